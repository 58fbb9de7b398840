"""Settings of the Devin API v3."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from exporter.config.credentials import Key, key_from
from exporter.config.settings import Section
from exporter.config.types import PollInterval, check_secret
from exporter.sources.devin.derived.prices import Prices, parse_prices
from exporter.sources.devin.members.user_policy import Mode


def _check_prices(text: str) -> str:
    parse_prices(text)
    return text


class DevinSettings(Section):
    """Key, limits and poll interval of the v3 source."""

    model_config = SettingsConfigDict(env_prefix="devin_")

    service_user_token: SecretStr | None = Field(
        default=None, description="the v3 key (`cog_…`) of a service user"
    )
    service_user_token_file: Path | None = Field(
        default=None, description="file with the v3 key, read again when it changes"
    )
    poll_interval: PollInterval = Field(
        default=300,
        description="seconds between polls of consumption; if there are more than eight "
        "organizations, theirs is polled half as often; the queue is polled every 60 s or as "
        "often as this, activity of organizations four times as slowly",
    )
    requests_per_second: float = Field(
        default=10,
        ge=0.001,
        le=10_000,
        allow_inf_nan=False,
        description="requests to the v3 API per second that are never exceeded, retries included "
        "(`demo`: 200)",
    )
    sweep_interval: float = Field(
        default=21_600,
        ge=1,
        le=604_800,
        allow_inf_nan=False,
        description="seconds within which the ACUs of everybody have been requested, whether or "
        "not anything has changed; in between only of those who may have used some",
    )
    user_metrics: Mode = Field(
        default="full",
        description="`off`: no series of users; `hash`: a keyed hash for the id, no names; `id`; "
        "`full`: e-mail and name too",
    )
    user_hash_key: SecretStr | None = Field(
        default=None, description="key of the hashes, required for `hash`"
    )
    user_hash_key_file: Path | None = Field(
        default=None, description="file with the key of the hashes, read again when it changes"
    )
    user_limit: int = Field(
        default=1000,
        ge=0,
        description="users with series of their own at most; the rest is summed up as `other`",
    )
    recent_sessions: int = Field(
        default=25, ge=0, le=1_000, description="rows of the table of recent sessions; 0 for none"
    )
    large_session_acus: float = Field(
        default=50,
        gt=0,
        allow_inf_nan=False,
        description="ACUs above which a session is large: while it runs, it is in that table, "
        "however old, and raises an alert",
    )
    session_breakdown_limit: int = Field(
        default=50,
        ge=0,
        le=1_000,
        description="tags, repositories, origins, playbooks and automations with own rows, "
        "each; the rest is summed up as `other`; 0 for no breakdown of sessions at all",
    )
    session_titles: bool = Field(
        default=False,
        description="whether that table shows titles, which users wrote; never with user metrics "
        "`off` or `hash`",
    )
    acu_price: Annotated[str, AfterValidator(_check_prices)] | None = Field(
        default=None,
        description="price of one ACU, for cost: `2.25`; by billing day: "
        "`2026-01-01=2.00,2026-07-01=2.25`; by product: `2.25;cascade=1.50`, "
        "[each with dates or without](../cost.md)",
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
        check_secret(
            "DEVIN_SERVICE_USER_TOKEN", self.service_user_token, self.service_user_token_file
        )
        check_secret("DEVIN_USER_HASH_KEY", self.user_hash_key, self.user_hash_key_file)
        if self.user_metrics == "hash" and self.hash_key() is None:
            raise ValueError("DEVIN_USER_HASH_KEY: wants a key, as DEVIN_USER_METRICS is hash")
        return self

    def key(self) -> Key | None:
        """The source of the bearer key; None if no key is set."""
        return key_from(self.service_user_token, self.service_user_token_file)

    def hash_key(self) -> Key | None:
        """The source of the key of the hashes; None if none is set."""
        return key_from(self.user_hash_key, self.user_hash_key_file)

    def prices(self) -> Prices | None:
        """The prices of an ACU; None if none is set."""
        return None if self.acu_price is None else parse_prices(self.acu_price)
