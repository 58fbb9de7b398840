"""E-mail and groups of users, as the lists have them."""

import math
import operator
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Self

from exporter.client.response import is_fresh
from exporter.errors import EntitiesUnknownError
from exporter.sources.devin.derived.teams.patterns import TeamMap
from exporter.sources.devin.identity import Identity
from exporter.sources.devin.members.directory import Directory
from exporter.sources.devin.members.models import Member


@dataclass(frozen=True, slots=True)
class Membership:
    """What decides the groups and the team of a user.

    Attributes:
        email: empty for a user without one; None if it is unknown.
        groups: None if they are unknown.
        left: whether the user is in no list any more.
    """

    email: str | None = ""
    groups: frozenset[str] | None = frozenset()
    left: bool = False

    @classmethod
    def of(cls, members: Iterable[Member]) -> Self:
        """The membership of one user by the rows of both lists."""
        rows = tuple(members)
        groups = [row.groups() for row in rows]
        known = [names for names in groups if names is not None]
        unknown = None if any(row.names_left_out for row in rows) else ""
        return cls(
            email=next((row.email for row in rows if row.email), unknown),
            groups=frozenset[str]().union(*known) if len(known) == len(groups) else None,
        )

    def team(self, user_id: str, teams: TeamMap) -> str:
        """The team of a user with this membership; empty for none.

        Raises:
            EntitiesUnknownError: if the rules read groups or e-mail, and the user's are unknown.
        """
        if self.email is None and teams.reads_emails:
            if self.left:
                return teams.team_of(user_id)
            raise EntitiesUnknownError("the e-mail of a user has not been read since the start")
        if self.groups is None and teams.reads_groups:
            raise EntitiesUnknownError("a group has no name")
        return teams.team_of(user_id, email=self.email or "", groups=self.groups or ())


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
        self._versions: tuple[object, ...] = ()
        self._requested: tuple[float, float] = (0.0, 0.0)
        self._members: dict[str, tuple[Member, ...]] = {}
        self._listed: dict[str, Membership] = {}
        self._published: Mapping[str, Membership] = self._listed
        self._left: dict[str, Membership] = {}
        self._all: Mapping[str, Membership] = {}

    def known(self, now: float, max_age: float, *, counted: AbstractSet[str]) -> Known:
        """The memberships of all listed users, and of those who are counted.

        As long as nothing changes, they are the same object.

        Args:
            counted: users whose consumption is requested.

        Raises:
            EntitiesUnknownError: while a user may be unknown, or a list is too old; and for an
                organization's key, which has no access to groups and service users.
        """
        if self._identity.org_id is not None:
            raise EntitiesUnknownError("an organization's key does not list all members")
        self._read_lists()
        oldest, newest = self._requested
        if not (is_fresh(oldest, now, max_age) and is_fresh(newest, now, max_age)):
            raise EntitiesUnknownError("the list of users is too old")
        gone = counted - self._listed.keys()
        if self._listed is not self._published or gone != self._left.keys():
            last = {**self._published, **self._left}
            self._left = {
                user_id: replace(last.get(user_id, Membership()), left=True) for user_id in gone
            }
            self._all, self._published = {**self._listed, **self._left}, self._listed
        return Known(self._all, oldest + max_age)

    def _read_lists(self) -> None:
        """Take over the lists as they are. Raises `EntitiesUnknownError` if one is incomplete."""
        lists = self._people.user_lists
        listed = self._people.all_user_ids()
        versions = tuple(each.version for each in lists)
        if len(versions) == len(self._versions) and all(
            map(operator.is_, versions, self._versions)
        ):
            return
        rows = [row for each in lists for row in each.rows(each.requested_at or 0.0, math.inf)]
        members: dict[str, tuple[Member, ...]] = {}
        for row in rows:
            user_id = row.value.user_id
            members[user_id] = (*members.get(user_id, ()), row.value)
        if members.keys() != listed:
            raise EntitiesUnknownError("a row of the list of users is too old")
        requested = [
            *(row.requested_at for row in rows),
            *(each.requested_at or 0.0 for each in lists),
        ]
        self._versions, self._requested = versions, (min(requested), max(requested))
        self._listed = {
            user_id: self._listed[user_id]
            if self._members.get(user_id) == rows_of
            else Membership.of(rows_of)
            for user_id, rows_of in members.items()
        }
        self._members = members
