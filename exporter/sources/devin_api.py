"""The address of Devin's API, which serves v3 and v2."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from exporter.config.settings import Section
from exporter.config.types import ApiUrl, CaFile


class DevinApiSettings(Section):
    """Address and certificate authorities of the host that serves v3 and v2."""

    model_config = SettingsConfigDict(env_prefix="devin_")

    api_url: ApiUrl = Field(
        default="https://api.devin.ai",
        description="base URL of the API, for v3 and v2; plain `http` only for loopback",
    )
    ca_file: CaFile | None = Field(
        default=None,
        description="PEM file with the authorities to trust for that host, and no others; they "
        "need no Authority Key Identifier",
    )
