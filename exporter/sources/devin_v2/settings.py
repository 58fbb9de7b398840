"""Settings of Devin's v2 metrics."""

from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from exporter.config.credentials import Key, key_from
from exporter.config.settings import Section
from exporter.config.types import PollInterval, check_secret


class DevinV2Settings(Section):
    """Key and poll interval of the v2 source."""

    model_config = SettingsConfigDict(env_prefix="devin_v2_")

    api_key: SecretStr | None = Field(
        default=None,
        description="personal key (`apk_user_…`) of an Enterprise admin; turns the v2 metrics on",
    )
    api_key_file: Path | None = Field(
        default=None, description="file with the v2 key, read again when it changes"
    )
    poll_interval: PollInterval = Field(
        default=300,
        description="seconds between polls of the v2 metrics",
    )

    @model_validator(mode="after")
    def _usable(self) -> Self:
        check_secret("DEVIN_V2_API_KEY", self.api_key, self.api_key_file)
        return self

    def key(self) -> Key | None:
        """The source of the bearer key; None if no key is set."""
        return key_from(self.api_key, self.api_key_file)
