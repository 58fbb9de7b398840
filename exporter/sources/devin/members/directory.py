"""The members of an enterprise: organizations, users (from both lists) and service users."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from functools import partial
from typing import TypeVar

from exporter.client.endpoint import Request
from exporter.client.fan_out import run_all
from exporter.client.http import Client
from exporter.client.models import Listing
from exporter.client.response import first_expiry
from exporter.errors import EntitiesUnknownError, NotFoundError, PermissionMissingError
from exporter.metrics import Metric, Sample
from exporter.scheduling.task import Snapshot, Task
from exporter.sources.devin.identity import Identity
from exporter.sources.devin.members import models, samples
from exporter.sources.devin.members.debounced_list import DebouncedList
from exporter.sources.devin.members.models import Member, Organization
from exporter.sources.devin.members.user_policy import UserPolicy
from exporter.sources.devin.operations import sessions

ORGANIZATIONS_TASK = "organizations"
USERS_TASK = "users"
USER_NAMES_TASK = "user_names"
SERVICE_USERS_TASK = "service_users"
TASKS = (ORGANIZATIONS_TASK, USERS_TASK, SERVICE_USERS_TASK)

T = TypeVar("T")


class Directory:
    """The lists of members, and the ids to request data for.

    Args:
        seen: users (`user`) and service users (`service`) of recent sessions, for keys that have
            no access to the lists.
    """

    def __init__(
        self,
        client: Client,
        clock: Callable[[], float],
        identity: Identity,
        *,
        policy: UserPolicy,
        seen: Callable[[], Mapping[str, str]],
    ) -> None:
        self._client = client
        self._identity = identity
        self._policy = policy
        self._seen = seen
        self._only_seen = False
        self._organizations = DebouncedList(
            clock, fetch=self._fetch_organizations, id_of=lambda item: item.org_id
        )
        self._direct = DebouncedList(
            clock, fetch=self._fetch_users, id_of=lambda item: item.user_id
        )
        self._by_group = DebouncedList(
            clock, fetch=self._fetch_idp_users, id_of=lambda item: item.user_id
        )
        self._users = (self._direct, self._by_group)
        self._service_users = DebouncedList(
            clock,
            fetch=lambda: client.get_list(Request(endpoint=models.SERVICE_USERS)),
            id_of=lambda item: item.service_user_id,
        )

    def _fetch_organizations(self) -> Listing[Organization]:
        """All organizations. An organization's key has no access to their list."""
        org_id = self._identity.org_id
        if org_id is not None:
            return Listing([Organization(org_id=org_id)])
        return self._client.get_list(Request(endpoint=models.ORGANIZATIONS))

    def _fetch_users(self) -> Listing[Member]:
        """Users with a direct role; for an organization's key its members, else those seen."""
        org_id = self._identity.org_id
        if org_id is None:
            return self._client.get_list(Request(endpoint=models.USERS))
        try:
            members = self._client.get_list(
                Request(endpoint=models.ORG_USERS, ids={"org_id": org_id})
            )
        except (NotFoundError, PermissionMissingError):
            self._only_seen = True
            seen = (who for who, kind in self._seen().items() if kind == "user")
            return Listing(Member(user_id=who) for who in seen)
        self._only_seen = False
        return members

    def _fetch_idp_users(self) -> Listing[Member]:
        if self._identity.org_id is not None:
            return Listing()
        return self._client.get_list(Request(endpoint=models.IDP_USERS))

    def tasks(self, poll_interval: float, *, ranked_by: str) -> Iterator[Task]:
        """The tasks that poll the lists; `ranked_by` is the task whose polls rank the users."""
        yield Task(
            name=ORGANIZATIONS_TASK,
            source=self._client.source,
            interval=poll_interval,
            metrics=samples.ORGANIZATION_METRICS,
            poll=self._organizations.poll,
            snapshot=partial(
                _listing,
                (self._organizations,),
                samples.organization_samples,
                samples.ORGANIZATIONS,
            ),
            kept=(self._organizations.kept("organizations", models.ORGANIZATIONS_BY_ID),),
        )
        yield Task(
            name=USERS_TASK,
            source=self._client.source,
            interval=poll_interval,
            metrics=(samples.USERS,),
            poll=self._poll_users,
            snapshot=lambda now, max_age: _listing(
                self._users, _nothing, None if self._only_seen else samples.USERS, now, max_age
            ),
            depends_on=(sessions.TASK,),
            kept=(
                self._direct.kept("users", models.MEMBERS_BY_ID, shown=self._without_hidden),
                self._by_group.kept("idp_users", models.MEMBERS_BY_ID, shown=self._without_hidden),
            ),
        )
        yield Task(
            name=USER_NAMES_TASK,
            source=self._client.source,
            interval=poll_interval,
            metrics=(samples.USER_INFO, samples.MEMBER_INFO),
            poll=None,
            snapshot=self._user_names,
            depends_on=(USERS_TASK, ranked_by),
        )
        yield Task(
            name=SERVICE_USERS_TASK,
            source=self._client.source,
            interval=poll_interval,
            metrics=samples.SERVICE_USER_METRICS,
            poll=self._service_users.poll,
            snapshot=partial(
                _listing,
                (self._service_users,),
                samples.service_user_samples,
                samples.SERVICE_USERS,
            ),
            kept=(self._service_users.kept("service_users", models.SERVICE_USERS_BY_ID),),
        )

    def _without_hidden(self, member: Member) -> Member:
        """The member without names, unless these are published."""
        return member if self._policy.mode == "full" else member.without_names()

    def _poll_users(self) -> None:
        try:
            run_all({"direct": self._direct.poll, "by_group": self._by_group.poll})
        finally:
            # Later the ledger decides, as it also knows users who have left.
            if not self._policy.decided:
                self._policy.listed(self._users_or_seen())

    def _user_names(self, now: float, max_age: float) -> Snapshot:
        rows = [row for each in self._users for row in each.rows(now, max_age)]
        return Snapshot(
            tuple(samples.user_samples((row.value for row in rows), self._policy)),
            expires=first_expiry((row.requested_at for row in rows), max_age),
        )

    @property
    def user_lists(self) -> tuple[DebouncedList[Member], ...]:
        """Both lists of users: with a direct role, and with one by a group."""
        return self._users

    def organizations(self, now: float, max_age: float) -> tuple[Organization, ...]:
        """The organizations of a fresh list; none if the list is too old."""
        return tuple(row.value for row in self._organizations.rows(now, max_age))

    def org_ids(self) -> frozenset[str]:
        """The known organizations. Raises `EntitiesUnknownError` while there is no good list."""
        return self._organizations.ids()

    def all_org_ids(self) -> frozenset[str]:
        """All organizations. Raises `EntitiesUnknownError` while one may be unknown."""
        return self._organizations.all_ids()

    def user_ids(self) -> frozenset[str]:
        """The known users of both lists. Raises `EntitiesUnknownError` while none was good."""
        lists = [each for each in self._users if each.requested_at is not None]
        if not lists:
            raise EntitiesUnknownError("no good list of users yet")
        return frozenset().union(*(each.ids() for each in lists))

    def _users_or_seen(self) -> Iterable[str]:
        with suppress(EntitiesUnknownError):
            return self.user_ids()
        return [who for who, kind in self._seen().items() if kind == "user"]

    def all_user_ids(self) -> frozenset[str]:
        """All users. Raises `EntitiesUnknownError` while one may be unknown."""
        return frozenset().union(*(each.all_ids() for each in self._users))

    def may_lack_people(self, requested: AbstractSet[str]) -> bool:
        """Whether somebody's use may be unknown: of a row that could not be read, or not requested.

        Args:
            requested: the service users whose use was requested.
        """
        if any(each.has_gaps for each in (*self._users, self._service_users)):
            return True
        with suppress(EntitiesUnknownError):
            return not self.service_user_ids() <= requested
        return False

    def may_lack_organizations(self) -> bool:
        """Whether a row of the last list of organizations could not be read."""
        return self._organizations.has_gaps

    def service_user_ids(self) -> frozenset[str]:
        """The known service users; for an organization's key those of recent sessions.

        Raises:
            EntitiesUnknownError: while there is no good list.
        """
        if self._identity.org_id is not None:
            return frozenset(who for who, kind in self._seen().items() if kind == "service")
        return self._service_users.ids()

    def all_service_user_ids(self) -> frozenset[str]:
        """All service users. Raises `EntitiesUnknownError` while one may be unknown."""
        return self._service_users.all_ids()


def _listing(
    lists: Sequence[DebouncedList[T]],
    published_of: Callable[[Iterable[T]], Iterable[Sample]],
    count: Metric | None,
    now: float,
    max_age: float,
) -> Snapshot:
    """The samples of the fresh rows, and the count if all lists are fresh and complete."""
    fresh = [each for each in lists if each.is_fresh(now, max_age)]
    rows = [row for each in fresh for row in each.rows(now, max_age)]
    published = list(published_of(row.value for row in rows))
    if count is not None and len(fresh) == len(lists) and all(each.complete for each in fresh):
        published.append(count(len(frozenset().union(*(each.ids() for each in fresh)))))
    requested = [*(each.requested_at or 0 for each in fresh), *(row.requested_at for row in rows)]
    return Snapshot(
        tuple(published),
        expires=first_expiry(requested, max_age),
        expired_entities=sum(each.expired(now, max_age) for each in lists),
    )


def _nothing(_: Iterable[Member]) -> Iterator[Sample]:
    yield from ()
