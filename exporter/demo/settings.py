"""Settings of the simulated enterprise."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from exporter.config.settings import Section
from exporter.demo.calendar import Calendar, DayStart
from exporter.demo.people import Size


class DemoSettings(Section):
    """Settings that only `devin-exporter demo` reads."""

    model_config = SettingsConfigDict(env_prefix="demo_")

    organizations: int = Field(default=6, ge=1, le=10_000, description="organizations (`demo`)")
    users: int = Field(default=200, ge=2, le=100_000, description="users (`demo`)")
    days: int = Field(default=400, ge=2, le=4_000, description="days of history (`demo`)")
    seed: int = Field(default=1, ge=0, description="another seed, another enterprise (`demo`)")
    day_start: DayStart = Field(
        default="documented",
        description="when billing days start: `documented` is 08:00 UTC all year, `los-angeles` "
        "is midnight there (`demo`)",
    )
    api_port: int = Field(
        default=0,
        ge=0,
        le=65_535,
        description="port of the simulated API on loopback, 0 for any (`demo`)",
    )

    def size(self) -> Size:
        """The size of the simulated enterprise."""
        return Size(
            organizations=self.organizations,
            users=self.users,
            days=self.days,
            seed=self.seed,
            calendar=Calendar(self.day_start),
        )
