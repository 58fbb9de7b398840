"""E-mail and groups of users, as the lists have them."""

import operator
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Self

from exporter.client.response import first_expiry
from exporter.errors import EntitiesUnknownError
from exporter.sources.devin.derived.teams.patterns import TeamMap
from exporter.sources.devin.identity import Identity
from exporter.sources.devin.members.directory import Directory
from exporter.sources.devin.members.models import Member


@dataclass(frozen=True, slots=True)
class Membership:
    """What decides the groups and the team of a user; `groups` is None if they are unknown."""

    email: str = ""
    groups: frozenset[str] | None = frozenset()

    @classmethod
    def of(cls, members: Iterable[Member]) -> Self:
        """The membership of one user by the rows of both lists."""
        rows = tuple(members)
        groups = [row.groups() for row in rows]
        known = [names for names in groups if names is not None]
        return cls(
            email=next((row.email for row in rows if row.email), ""),
            groups=frozenset[str]().union(*known) if len(known) == len(groups) else None,
        )

    def team(self, user_id: str, teams: TeamMap) -> str:
        """The team of a user with this membership; empty for none.

        Raises:
            EntitiesUnknownError: if the rules read groups, and those of the user are unknown.
        """
        if self.groups is None and teams.reads_groups:
            raise EntitiesUnknownError("a group has no name")
        return teams.team_of(user_id, email=self.email, groups=self.groups or ())


_Made = tuple[tuple[Member, ...], Membership]
"""The rows of a user in both lists, and the membership that they make."""


@dataclass(frozen=True, slots=True)
class Known:
    """The memberships of all users.

    Attributes:
        by_user: of those who have left and still count, the last known ones.
        expires: Unix seconds at which the first list becomes too old.
    """

    by_user: Mapping[str, Membership]
    expires: float


class Memberships:
    """The memberships of users; they are kept as long as a user who has left counts."""

    def __init__(self, people: Directory, identity: Identity) -> None:
        self._people = people
        self._identity = identity
        self._last: dict[str, _Made] = {}

    def known(self, now: float, max_age: float, *, counted: AbstractSet[str]) -> Known:
        """The memberships of all listed users, and of those who are counted.

        Args:
            counted: users whose consumption is requested.

        Raises:
            EntitiesUnknownError: while a user may be unknown, or a list is too old; and for an
                organization's key, which has no access to groups and service users.
        """
        if self._identity.org_id is not None:
            raise EntitiesUnknownError("an organization's key does not list all members")
        rows = self._people.user_rows(now, max_age)
        members: dict[str, tuple[Member, ...]] = {}
        for row in rows:
            user_id = row.value.user_id
            members[user_id] = (*members.get(user_id, ()), row.value)
        listed = self._people.all_user_ids()
        if not members.keys() >= listed:
            raise EntitiesUnknownError("the list of users is too old")
        left = counted - members.keys()
        self._last = {
            **{user_id: last for user_id, last in self._last.items() if user_id in left},
            **{user_id: self._of(user_id, rows) for user_id, rows in members.items()},
        }
        by_user = {user_id: membership for user_id, (_, membership) in self._last.items()}
        never_listed = dict.fromkeys(left - by_user.keys(), Membership())
        return Known(
            {**by_user, **never_listed},
            first_expiry((row.requested_at for row in rows), max_age),
        )

    def _of(self, user_id: str, members: tuple[Member, ...]) -> _Made:
        """The membership by the rows of both lists; made once for the same rows."""
        last = self._last.get(user_id)
        if last and len(last[0]) == len(members) and all(map(operator.is_, last[0], members)):
            return last
        return members, Membership.of(members)
