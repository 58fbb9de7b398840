"""Consumption of finished days and cycles, for a backfill."""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from exporter.client.checkpoint import Checkpoint
from exporter.client.endpoint import Request
from exporter.errors import EntitiesUnknownError
from exporter.exposition.openmetrics import Segment
from exporter.sources.devin.billing.windows import (
    Window,
    billing_day,
    billing_day_start,
    day_number,
    seconds,
)
from exporter.sources.devin.consumption import daily
from exporter.sources.devin.consumption.ledger import EntityUsage
from exporter.sources.devin.consumption.scopes import (
    ENTERPRISE,
    ENTERPRISE_SCOPE,
    ORGANIZATION_SCOPE,
    PRODUCTS,
    SCOPES,
    SERVICE_USER_SCOPE,
    USER_SCOPE,
    DailyAnswer,
    Scope,
)
from exporter.sources.devin.context import Context
from exporter.sources.devin.members.user_policy import OTHER

Cycle = tuple[Window, Window, Window | None]


@dataclass(frozen=True, slots=True)
class FinishedPeriods:
    """The finished stretches that a backfill tells.

    Attributes:
        shown: from the first to the last moment that gets samples (Unix seconds).
        days: the numbers of the finished billing days.
        cycles: which cycle ran when: the stretch, the cycle, the one before.
        ranking: the cycles by whose use users are ranked now.
        now: when the requests are sent.
    """

    shown: Window
    days: range
    cycles: tuple[Cycle, ...]
    ranking: tuple[Window, ...]
    now: float

    def cut(self, start: float, end: float) -> Window:
        """The part of a stretch that gets samples."""
        return Window(max(start, self.shown.start), min(end, self.shown.end))

    def yesterday_shown(self, day: int) -> Window:
        """When a finished day was yesterday."""
        return self.cut(billing_day_start(day + 1), billing_day_start(day + 2))

    @property
    def asked(self) -> range:
        """The days to ask for: one more on each side, as the API's bounds may be inclusive."""
        windows = [*self.ranking, *(before for _, _, before in self.cycles if before is not None)]
        first = min([self.days.start, *(window.days.start for window in windows)])
        return range(first - 1, day_number(billing_day(self.now).start) + 2)


@dataclass(frozen=True, slots=True)
class UsageTotals:
    """What must be known of all answers before the first series is told.

    Attributes:
        products: all that are named anywhere.
        used: whether there is any ACU at all.
        first_use: start of the enterprise's first day with any use.
        unknown_users: users without an answer.
    """

    products: tuple[str, ...]
    used: bool
    first_use: float
    unknown_users: frozenset[str]


class ConsumptionBackfill:
    """Asks for the ledgers of all entities, and tells their finished days."""

    def __init__(self, context: Context, finished: FinishedPeriods) -> None:
        self._finished = finished
        self._policy = context.user_policy
        self._org_id = context.identity.org_id
        people = context.directory
        self._entities = {
            ORGANIZATION_SCOPE.task: _those(people.org_ids),
            SERVICE_USER_SCOPE.task: _those(people.service_user_ids),
        }
        if self._org_id is None:
            self._entities[ENTERPRISE_SCOPE.task] = (ENTERPRISE,)
        if self._policy.mode != "off":
            self._entities[USER_SCOPE.task] = _those(people.user_ids)
        self._created = {
            item.org_id: seconds(item.created_at)
            for item in people.organizations(finished.now, math.inf)
            if item.created_at is not None
        }

    @property
    def org_ids(self) -> tuple[str, ...]:
        """The organizations that are asked for."""
        return self._entities[ORGANIZATION_SCOPE.task]

    def created(self, org_id: str, otherwise: float) -> float:
        """When an organization was created, or `otherwise` where that is not known."""
        return self._created.get(org_id, otherwise)

    def requests(self) -> Iterator[list[Request[DailyAnswer]]]:
        """One for each entity, in a group for each scope."""
        for scope in SCOPES:
            yield [self._request(scope, entity) for entity in self._entities.get(scope.task, ())]

    def _request(self, scope: Scope, entity: str) -> Request[DailyAnswer]:
        return daily.request(scope, entity, self._finished.asked, org_id=self._org_id)

    def _accounts(self, journal: Checkpoint, scope: Scope) -> Iterator[tuple[str, EntityUsage]]:
        for entity in self._entities.get(scope.task, ()):
            answer = journal.response(self._request(scope, entity))
            if answer is not None:
                yield (
                    entity,
                    daily.to_account(answer, sent=self._finished.now, days=self._finished.asked),
                )

    def survey(self, journal: Checkpoint) -> UsageTotals:
        """Read all answers once, and rank the users by their use."""
        named: set[str] = set()
        used = False
        first_use = math.inf
        use: dict[str, float] = {}
        for scope in SCOPES:
            for entity, account in self._accounts(journal, scope):
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

    def enterprise_began(self, survey: UsageTotals) -> float:
        """The earliest moment at which the enterprise is known to have been there."""
        return min([survey.first_use, *self._created.values()])

    def stretches(self, journal: Checkpoint, survey: UsageTotals) -> Iterator[Segment]:
        """What was `yesterday` and what was the previous cycle, family by family."""
        if not survey.used:
            return
        for window, tell in (("yesterday", self._days), ("previous_cycle", self._cycles)):
            for scope in (ENTERPRISE_SCOPE, ORGANIZATION_SCOPE):
                for entity, account in self._accounts(journal, scope):
                    known = self.enterprise_began(survey)
                    began = min(self.created(entity, known), _first_use(account))
                    labels = {scope.label: entity} if scope.label else {}
                    metric = scope.metrics[window]
                    for product in survey.products:
                        for shown, acus in tell(account, product):
                            start = max(shown.start, began)
                            yield Segment(start, shown.end, metric(acus, product=product, **labels))
        yield from self._personal(USER_SCOPE, self._users(journal, survey))
        yield from self._personal(SERVICE_USER_SCOPE, self._accounts(journal, SERVICE_USER_SCOPE))

    def _personal(
        self, scope: Scope, accounts: Iterable[tuple[str, EntityUsage]]
    ) -> Iterator[Segment]:
        metric = scope.metrics["yesterday"]
        for label, account in accounts:
            for product in account.products:
                for shown, acus in self._days(account, product):
                    if acus:
                        labels = {str(scope.label): label}
                        yield Segment(
                            shown.start, shown.end, metric(acus, product=product, **labels)
                        )

    def _users(self, journal: Checkpoint, survey: UsageTotals) -> Iterator[tuple[str, EntityUsage]]:
        """Those with series of their own, then the others' sum, unless one of them is unknown."""
        for user_id, account in self._accounts(journal, USER_SCOPE):
            if self._policy.own(user_id):
                yield self._policy.label(user_id), account
        if all(self._policy.own(user_id) for user_id in survey.unknown_users):
            others = (
                account
                for user_id, account in self._accounts(journal, USER_SCOPE)
                if not self._policy.own(user_id)
            )
            days = self._finished.asked
            yield OTHER, EntityUsage.summed(others, sent=self._finished.now, days=days)

    def _days(self, account: EntityUsage, product: str) -> Iterator[tuple[Window, float]]:
        for day in self._finished.days:
            shown = self._finished.yesterday_shown(day)
            yield shown, account.acus(product, range(day, day + 1))

    def _cycles(self, account: EntityUsage, product: str) -> Iterator[tuple[Window, float]]:
        for shown, _, previous in self._finished.cycles:
            if previous is not None:
                yield shown, account.acus(product, previous.days)


def _those(listed: Callable[[], frozenset[str]]) -> tuple[str, ...]:
    with suppress(EntitiesUnknownError):
        return tuple(sorted(listed()))
    return ()


def _first_use(account: EntityUsage) -> float:
    """When the first day with any use starts; never if there is none."""
    used = (
        day
        for column in account.products.values()
        for day, acus in zip(account.days, column, strict=True)
        if acus
    )
    return billing_day_start(first) if (first := min(used, default=None)) else math.inf
