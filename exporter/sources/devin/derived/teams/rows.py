"""Who is summed under which label: groups, teams, and small ones as `other`. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from exporter.errors import EntitiesUnknownError
from exporter.sources.devin.derived.teams.memberships import Known
from exporter.sources.devin.derived.teams.patterns import OwnerGroups, TeamMap
from exporter.sources.devin.derived.teams.privacy import Crowds, labels_of
from exporter.sources.devin.derived.teams.settings import TeamSettings
from exporter.sources.devin.members.user_policy import OTHER, UserPolicy


@dataclass(frozen=True, slots=True)
class Row:
    """Those who are summed under one label."""

    users: frozenset[str] = frozenset()
    service_users: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Rows:
    """All rows by label.

    Attributes:
        hidden: names of groups or teams that have no row, though somebody may be in them.
    """

    shown: Mapping[str, Row]
    hidden: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Division:
    """The rules of division.

    Attributes:
        owners: makes groups a partition; None if they overlap.
        least: the fewest users of a row; None where users may be shown.
    """

    owners: OwnerGroups | None
    least: int | None

    @classmethod
    def of(cls, settings: TeamSettings, policy: UserPolicy) -> Self:
        """As the settings want it."""
        patterns = settings.owner_patterns()
        return cls(
            OwnerGroups(patterns) if patterns else None,
            None if policy.shows_ids else settings.group_min_users,
        )

    def groups(self, known: Known, teams: Callable[[], TeamMap | None]) -> Rows:
        """The users of each group; those in none have the empty name.

        Args:
            teams: gives the teams that are shown beside the groups; None if there are none.

        Raises:
            EntitiesUnknownError: while a group is unknown.
        """
        users: dict[str, set[str]] = {}
        for user_id, member in known.by_user.items():
            if member.groups is None:
                raise EntitiesUnknownError("a group has no name")
            for group in self._counted(member.groups):
                users.setdefault(group, set()).add(user_id)
        if self.least is None:
            return Rows({group: Row(frozenset(ids)) for group, ids in sorted(users.items())})
        crowds = _crowds(known, least=self.least)
        shown = teams()
        if shown is not None:
            # Teams are shown as well, so what both of them show must be safe together.
            labels_of(_by_team(known, shown), crowds, other=OTHER)
        return _merged(users, {}, labels_of(users, crowds, other=OTHER))

    def _counted(self, groups: frozenset[str]) -> Iterable[str]:
        if self.owners is not None:
            return (self.owners.owner_of(groups),)
        return groups or ("",)

    def teams(
        self, known: Known, bots: Iterable[str], teams: TeamMap, *, named: Iterable[str]
    ) -> Rows:
        """The members of each team; those in none have the empty name.

        Args:
            bots: all service users.
            named: the teams of the file, which have a row even if nobody is in them.

        Raises:
            EntitiesUnknownError: while a group that the file may name is unknown.
        """
        users = {**{name: set[str]() for name in named}, **_by_team(known, teams)}
        service_users: dict[str, set[str]] = {}
        for bot in bots:
            service_users.setdefault(teams.team_of(bot), set()).add(bot)
        names = users.keys() | service_users.keys()
        every = {name: users.get(name, set()) for name in names}
        labels: Mapping[str, str | None] = {name: name for name in every}
        if self.least is not None:
            labels = labels_of(every, _crowds(known, least=self.least), other=OTHER)
        return _merged(every, service_users, labels)


def _crowds(known: Known, *, least: int) -> Crowds:
    left = {user_id for user_id, member in known.by_user.items() if member.left}
    return Crowds(known.by_user, least=least, left=left)


def _by_team(known: Known, teams: TeamMap) -> dict[str, set[str]]:
    users: dict[str, set[str]] = {}
    for user_id, member in known.by_user.items():
        users.setdefault(member.team(user_id, teams), set()).add(user_id)
    return users


def _merged(
    users: Mapping[str, set[str]],
    service_users: Mapping[str, set[str]],
    labels: Mapping[str, str | None],
) -> Rows:
    """One row for each label, in which everybody counts once."""
    rows: dict[str, Row] = {}
    for name, label in sorted(labels.items()):
        if label is not None:
            before = rows.get(label, Row())
            rows[label] = Row(
                before.users | users[name],
                before.service_users | service_users.get(name, set()),
            )
    unshown = {OTHER} if None in labels.values() else set()
    return Rows(rows, frozenset({*labels, *unshown} - rows.keys()))
