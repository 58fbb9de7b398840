"""Who pays for users and service users: their teams with the cost centers, by the teams file."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from exporter.errors import EntitiesUnknownError
from exporter.sources.devin.consumption.scopes import SERVICE_USER_SCOPE, USER_SCOPE, Scope
from exporter.sources.devin.derived.teams.shares import Shares
from exporter.sources.source import ExportError


@dataclass(frozen=True, slots=True)
class Owner:
    """A team and its cost center; empty where there is none."""

    team: str = ""
    cost_center: str = ""


@dataclass(frozen=True, slots=True)
class Owners:
    """The owners of all who are in a team, by scope and id."""

    by_entity: Mapping[tuple[str, str], Owner] = field(default_factory=dict)

    @classmethod
    def of(cls, shares: Shares, now: float) -> Self:
        """As the teams file says; where users are not shown, small teams are one.

        Raises:
            ExportError: if there is a teams file, and who is in which team is not known.
        """
        if not shares.has_teams:
            return cls()
        try:
            _, rows = shares.team_rows(now, math.inf)
        except EntitiesUnknownError as unknown:
            raise ExportError(
                f"the teams are not known: {unknown}; without DEVIN_TEAMS_FILE, "
                "charges are exported without teams"
            ) from None
        by_entity: dict[tuple[str, str], Owner] = {}
        for team, row in rows.shown.items():
            owner = Owner(team, shares.cost_center(team))
            by_entity |= {(USER_SCOPE.task, each): owner for each in row.users}
            by_entity |= {(SERVICE_USER_SCOPE.task, each): owner for each in row.service_users}
        return cls(by_entity)

    def owner_of(self, scope: Scope, entity: str) -> Owner:
        """The owner of a user or service user."""
        return self.by_entity.get((scope.task, entity), Owner())
