"""Settings of the AIone gateway."""

from pathlib import Path
from typing import Annotated, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from exporter.config.credentials import Key, key_from
from exporter.config.settings import Section
from exporter.config.types import ApiUrl, CaFile, PollInterval, check_secret


def _check_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("wants a time zone of the IANA database, like Asia/Shanghai") from None
    return name


class AioneSettings(Section):
    """Address, key, range and poll interval of the AIone gateway."""

    model_config = SettingsConfigDict(env_prefix="aione_")

    api_url: ApiUrl | None = Field(
        default=None, description="base URL of the gateway; plain `http` only for loopback"
    )
    token: SecretStr | None = Field(
        default=None, description="the gateway's token; with the URL it turns the source on"
    )
    token_file: Path | None = Field(
        default=None, description="file with that token, read again when it changes"
    )
    ca_file: CaFile | None = Field(
        default=None,
        description="PEM file with the authorities to trust for the gateway, and no others; they "
        "need no Authority Key Identifier",
    )
    range_days: int = Field(
        default=30, ge=1, le=3_660, description="days that the gateway's totals are asked for"
    )
    timezone: Annotated[str, AfterValidator(_check_zone)] = Field(
        default="UTC",
        description="zone of the gateway's calendar days, like `Asia/Shanghai`: it says which row "
        "of the daily trend is today's",
    )
    poll_interval: PollInterval = Field(
        default=300,
        description="seconds between polls of the gateway",
    )

    @model_validator(mode="after")
    def _usable(self) -> Self:
        check_secret("AIONE_TOKEN", self.token, self.token_file)
        if self.api_url is None and self.key() is not None:
            raise ValueError("AIONE_API_URL: wants the gateway's URL, as its token is set")
        if self.api_url is not None and self.key() is None:
            raise ValueError("AIONE_TOKEN: wants the gateway's token, as its URL is set")
        return self

    def key(self) -> Key | None:
        """The source of the bearer token; None if none is set."""
        return key_from(self.token, self.token_file)

    def zone(self) -> ZoneInfo:
        """The zone of the gateway's days."""
        return ZoneInfo(self.timezone)
