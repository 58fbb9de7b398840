"""Settings of the Devin API v3."""

import ssl
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

import httpx
from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from exporter.credentials import Key, key_from
from exporter.errors import CredentialError
from exporter.settings import Section, is_loopback


def _check_url(text: str) -> str:
    wanted = "wants https://host without user, query or fragment (http only for loopback)"
    try:
        url = urlsplit(text)
        _ = url.port
        httpx.URL(text)
        (url.hostname or "").encode("idna")
    except (ValueError, httpx.InvalidURL):
        raise ValueError(wanted) from None
    plain = url.scheme == "http" and is_loopback(url.hostname or "")
    if any(character.isspace() for character in text):
        raise ValueError(wanted)
    if not (url.scheme == "https" or plain) or not url.hostname:
        raise ValueError(wanted)
    if url.username is not None or url.password is not None or url.query or url.fragment:
        raise ValueError(wanted)
    return text.rstrip("/")


class DevinSettings(Section):
    """Key, address and pace of the v3 source."""

    model_config = SettingsConfigDict(env_prefix="devin_")

    service_user_token: SecretStr | None = Field(
        default=None, description="the v3 key (`cog_…`) of a service user"
    )
    service_user_token_file: Path | None = Field(
        default=None, description="file with the v3 key, read again when it changes"
    )
    api_url: Annotated[str, AfterValidator(_check_url)] = Field(
        default="https://api.devin.ai",
        description="base URL of the API; plain `http` only for loopback",
    )
    ca_file: Path | None = Field(
        default=None, description="PEM file with the authorities to trust for that host"
    )
    poll_interval: float = Field(
        default=300,
        ge=1,
        le=86_400,
        allow_inf_nan=False,
        description="seconds between polls of consumption; the queue is polled every 60 s or "
        "as often as this, activity of organizations four times as slowly",
    )
    requests_per_second: float = Field(
        default=10,
        ge=0.001,
        le=10_000,
        allow_inf_nan=False,
        description="requests per second that are never exceeded, retries included (`demo`: 200)",
    )
    acu_price: float | None = Field(
        default=None, ge=0, allow_inf_nan=False, description="price of one ACU, for cost panels"
    )
    acu_currency: str = Field(
        default="USD", pattern=r"^[A-Z]{3}$", description="currency of the price, as ISO 4217"
    )
    acu_pool: float | None = Field(
        default=None, ge=0, allow_inf_nan=False, description="ACUs bought per billing cycle"
    )
    concurrency: int = Field(default=8, ge=1, le=256, description="requests in flight at most")

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.service_user_token is not None and self.service_user_token_file is not None:
            raise ValueError(
                "DEVIN_SERVICE_USER_TOKEN, DEVIN_SERVICE_USER_TOKEN_FILE: set one of the two"
            )
        try:
            key = self.key()
            if key is not None:
                key()
        except CredentialError as failure:
            raise ValueError(f"DEVIN_SERVICE_USER_TOKEN_FILE: {failure}") from None
        except ValueError as failure:
            raise ValueError(f"DEVIN_SERVICE_USER_TOKEN: {failure}") from None
        try:
            self.trust()
        except (OSError, ssl.SSLError):
            raise ValueError("DEVIN_CA_FILE: wants a readable PEM file of certificates") from None
        return self

    def key(self) -> Key | None:
        """The source of the bearer key; None if no key is set."""
        return key_from(self.service_user_token, self.service_user_token_file)

    def trust(self) -> ssl.SSLContext | None:
        """The TLS context that trusts `ca_file` alone; None for the public authorities."""
        return ssl.create_default_context(cafile=self.ca_file) if self.ca_file else None
