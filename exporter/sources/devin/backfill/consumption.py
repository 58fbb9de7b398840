"""Backfill of consumption, by finished days and cycles."""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from exporter.client.checkpoint import Checkpoint
from exporter.client.endpoint import Request
from exporter.errors import EntitiesUnknownError
from exporter.exposition.openmetrics import Segment
from exporter.sources.devin.billing.day_start import DayStart
from exporter.sources.devin.billing.windows import (
    Window,
    billing_day,
    billing_day_start,
    day_number,
    seconds,
)
from exporter.sources.devin.consumption import daily
from exporter.sources.devin.consumption.scopes import (
    ENTERPRISE,
    ENTERPRISE_SCOPE,
    ORGANIZATION_SCOPE,
    PRODUCTS,
    SCOPES,
    SERVICE_USER_SCOPE,
    USER_SCOPE,
    DailyResponse,
    Scope,
)
from exporter.sources.devin.consumption.usage import EntityUsage
from exporter.sources.devin.data_set import Context
from exporter.sources.devin.members.user_policy import OTHER

Cycle = tuple[Window, Window, Window | None]


@dataclass(frozen=True, slots=True)
class FinishedPeriods:
    """The finished periods that a backfill covers.

    Attributes:
        shown: from the first to the last moment that gets samples (Unix seconds).
        days: the numbers of the finished billing days.
        cycles: the cycles, each as the time it was running, the cycle, the one before.
        ranking: the cycles whose use ranks the users.
        now: when the requests are sent (Unix seconds).
        day_start: when billing days start.
    """

    shown: Window
    days: range
    cycles: tuple[Cycle, ...]
    ranking: tuple[Window, ...]
    now: float
    day_start: DayStart

    def cut(self, start: float, end: float) -> Window:
        """The part of an interval (Unix seconds) that gets samples."""
        return Window(max(start, self.shown.start), min(end, self.shown.end))

    def yesterday_shown(self, day: int) -> Window:
        """When a finished day was certain to be `yesterday`."""
        following = self.day_start.certain_span(range(day + 1, day + 2))
        return self.cut(following.start, following.end)

    @property
    def requested_days(self) -> range:
        """The days to request: one more on each side, as the API's bounds may be inclusive."""
        windows = [*self.ranking, *(before for _, _, before in self.cycles if before is not None)]
        first = min([self.days.start, *(window.days.start for window in windows)])
        return range(first - 1, day_number(billing_day(self.now).start) + 2)


@dataclass(frozen=True, slots=True)
class UsageTotals:
    """What must be known from all responses before the first series is written.

    Attributes:
        products: all products of all entities.
        used: whether there is any ACU at all.
        first_use: start of the first day with any use (Unix seconds).
        unknown_users: users without a response.
    """

    products: tuple[str, ...]
    used: bool
    first_use: float
    unknown_users: frozenset[str]


class ConsumptionBackfill:
    """Requests the daily usage of all entities, and makes segments of their finished days."""

    def __init__(self, context: Context, finished: FinishedPeriods) -> None:
        self._finished = finished
        self._policy = context.user_policy
        self._org_id = context.identity.org_id
        people = context.directory
        self._entities = {
            ORGANIZATION_SCOPE.task: _ids(people.org_ids),
            SERVICE_USER_SCOPE.task: _ids(people.service_user_ids),
        }
        if self._org_id is None:
            self._entities[ENTERPRISE_SCOPE.task] = (ENTERPRISE,)
        # In mode `off` as well: groups and teams are the sums of users.
        self._entities[USER_SCOPE.task] = _ids(people.user_ids)
        self._all_users_known = _all_known(people.all_user_ids)
        self._created = {
            item.org_id: seconds(item.created_at)
            for item in people.organizations(finished.now, math.inf)
            if item.created_at is not None
        }

    @property
    def org_ids(self) -> tuple[str, ...]:
        """The organizations that are requested."""
        return self._entities[ORGANIZATION_SCOPE.task]

    def created(self, org_id: str, otherwise: float) -> float:
        """When an organization was created (Unix seconds); `otherwise` if that is unknown."""
        return self._created.get(org_id, otherwise)

    def requests(self) -> Iterator[list[Request[DailyResponse]]]:
        """One request for each entity, in a group for each scope."""
        for scope in SCOPES:
            yield [self._request(scope, entity) for entity in self._entities.get(scope.task, ())]

    def _request(self, scope: Scope, entity: str) -> Request[DailyResponse]:
        return daily.request(scope, entity, self._finished.requested_days, org_id=self._org_id)

    def accounts(self, checkpoint: Checkpoint, scope: Scope) -> Iterator[tuple[str, EntityUsage]]:
        """The usage of all entities of a scope that have a response, by id."""
        for entity in self._entities.get(scope.task, ()):
            response = checkpoint.response(self._request(scope, entity))
            if response is not None:
                yield (
                    entity,
                    daily.to_usage(
                        response,
                        requested_at=self._finished.now,
                        days=self._finished.requested_days,
                    ),
                )

    def usage_totals(self, checkpoint: Checkpoint) -> UsageTotals:
        """Read all responses once, and rank the users by their use."""
        named: set[str] = set()
        used = False
        first_use = math.inf
        use: dict[str, float] = {}
        for scope in SCOPES:
            for entity, account in self.accounts(checkpoint, scope):
                named.update(account.products)
                used = used or any(any(column) for column in account.products.values())
                if scope is USER_SCOPE:
                    use[entity] = math.fsum(
                        acus
                        for window in self._finished.ranking
                        for acus in account.total(window).values()
                    )
                else:
                    first_use = min(first_use, _first_use(account))
        users = self._entities.get(USER_SCOPE.task, ())
        today = day_number(billing_day(self._finished.now).start)
        self._policy.rank({user_id: use.get(user_id, 0.0) for user_id in users}, day=today)
        return UsageTotals(
            (*PRODUCTS, *sorted(named.difference(PRODUCTS))),
            used,
            first_use,
            frozenset(users) - use.keys(),
        )

    def enterprise_began(self, totals: UsageTotals) -> float:
        """The earliest moment at which the enterprise is known to exist (Unix seconds)."""
        return min([totals.first_use, *self._created.values()])

    def stretches(self, checkpoint: Checkpoint, totals: UsageTotals) -> Iterator[Segment]:
        """The segments of `yesterday` and the previous cycle, family by family."""
        if not totals.used:
            return
        for window, values in (("yesterday", self.days), ("previous_cycle", self.cycles)):
            for scope in (ENTERPRISE_SCOPE, ORGANIZATION_SCOPE):
                for entity, account in self.accounts(checkpoint, scope):
                    known = self.enterprise_began(totals)
                    began = min(self.created(entity, known), _first_use(account))
                    labels = {scope.label: entity} if scope.label else {}
                    metric = scope.metrics[window]
                    for product in totals.products:
                        for shown, acus in values(account, product):
                            start = max(shown.start, began)
                            yield Segment(start, shown.end, metric(acus, product=product, **labels))
        if self._policy.mode != "off":
            yield from self._personal(USER_SCOPE, self._users(checkpoint, totals))
        yield from self._personal(SERVICE_USER_SCOPE, self.accounts(checkpoint, SERVICE_USER_SCOPE))

    def _personal(
        self, scope: Scope, accounts: Iterable[tuple[str, EntityUsage]]
    ) -> Iterator[Segment]:
        metric = scope.metrics["yesterday"]
        for label, account in accounts:
            for product in account.products:
                for shown, acus in self.days(account, product):
                    if acus:
                        labels = {str(scope.label): label}
                        yield Segment(
                            shown.start, shown.end, metric(acus, product=product, **labels)
                        )

    def _users(
        self, checkpoint: Checkpoint, totals: UsageTotals
    ) -> Iterator[tuple[str, EntityUsage]]:
        """Users with their own series, then the sum of the others if all of them are known."""
        for user_id, account in self.accounts(checkpoint, USER_SCOPE):
            if self._policy.own(user_id):
                yield self._policy.label(user_id), account
        unknown = totals.unknown_users
        if self._all_users_known and all(self._policy.own(user_id) for user_id in unknown):
            others = (
                account
                for user_id, account in self.accounts(checkpoint, USER_SCOPE)
                if not self._policy.own(user_id)
            )
            days = self._finished.requested_days
            yield OTHER, EntityUsage.summed(others, requested_at=self._finished.now, days=days)

    def days(self, account: EntityUsage, product: str) -> Iterator[tuple[Window, float]]:
        """ACUs of each finished day, with the time in which it was `yesterday`."""
        for day in self._finished.days:
            shown = self._finished.yesterday_shown(day)
            yield shown, account.acus(product, range(day, day + 1))

    def cycles(self, account: EntityUsage, product: str) -> Iterator[tuple[Window, float]]:
        """ACUs of each finished cycle, with the time in which it was the previous one."""
        for shown, _, previous in self._finished.cycles:
            if previous is not None:
                yield shown, account.acus(product, previous.days)


def _ids(list_entities: Callable[[], frozenset[str]]) -> tuple[str, ...]:
    with suppress(EntitiesUnknownError):
        return tuple(sorted(list_entities()))
    return ()


def _all_known(list_entities: Callable[[], frozenset[str]]) -> bool:
    try:
        list_entities()
    except EntitiesUnknownError:
        return False
    return True


def _first_use(account: EntityUsage) -> float:
    """When the first day with any use starts (Unix seconds); inf if there is none."""
    used = (
        day
        for column in account.products.values()
        for day, acus in zip(account.days, column, strict=True)
        if acus
    )
    return billing_day_start(first) if (first := min(used, default=None)) else math.inf
