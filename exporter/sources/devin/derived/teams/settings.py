"""Settings of groups and teams."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_settings import SettingsConfigDict

from exporter.config.settings import Section


def _patterns(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


def _check_patterns(text: str) -> str:
    if not all(_patterns(text)):
        raise ValueError("wants patterns of groups, separated by commas, and none of them empty")
    return text


class TeamSettings(Section):
    """How consumption is divided among groups and teams."""

    model_config = SettingsConfigDict(env_prefix="devin_")

    teams_file: Path | None = Field(
        default=None,
        description="YAML or CSV file that says who belongs to which team and cost center, with "
        "budgets; read again when it changes",
    )
    owner_groups: Annotated[str, AfterValidator(_check_patterns)] | None = Field(
        default=None,
        description="patterns of identity-provider groups, separated by commas (`?` matches one in "
        "a name): each user counts in one group only, the one that the first of them matches",
    )
    group_min_users: int = Field(
        default=5,
        ge=1,
        le=1_000_000,
        description="groups and teams of fewer users are summed as `other` with user metrics "
        "`hash` or `off`",
    )

    def owner_patterns(self) -> tuple[str, ...]:
        """The patterns of owner groups; none if groups overlap."""
        return _patterns(self.owner_groups) if self.owner_groups else ()
