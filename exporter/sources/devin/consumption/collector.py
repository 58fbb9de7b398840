"""ACUs per billing day and product, of the enterprise and of each entity.

`GET /v3/enterprise/consumption/daily`, and one request per entity, as there is no bulk endpoint:
`…/daily/organizations/{org_id}`, `…/daily/users/{user_id}`,
`…/daily/service-users/{service_user_id}`.
"""

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

from exporter.client.http import Client
from exporter.client.rate_limit import Priority
from exporter.errors import EntitiesUnknownError
from exporter.scheduling.task import Progress, Snapshot, Task
from exporter.sources.devin.billing import cycles
from exporter.sources.devin.billing.windows import Window, day_number
from exporter.sources.devin.consumption import daily, kept, series
from exporter.sources.devin.consumption.ledger import Ledger
from exporter.sources.devin.consumption.parts import Part, Parts, progress
from exporter.sources.devin.consumption.polling import Api, PartsPoll
from exporter.sources.devin.consumption.scopes import (
    ENTERPRISE,
    ENTERPRISE_SCOPE,
    ORGANIZATION_SCOPE,
    PRODUCTS,
    SCOPES,
    SERVICE_USER_SCOPE,
    USER_SCOPE,
    Scope,
)
from exporter.sources.devin.consumption.usage import EntityUsage
from exporter.sources.devin.data_set import Context, DataSet
from exporter.sources.devin.members import directory
from exporter.sources.devin.operations import sessions

TOTAL_SECONDS = 5.0
"""A total up to this old need not be requested again."""

_REQUESTED_BY = {
    ENTERPRISE_SCOPE.task: (ORGANIZATION_SCOPE.task, USER_SCOPE.task, SERVICE_USER_SCOPE.task),
    ORGANIZATION_SCOPE.task: (USER_SCOPE.task, SERVICE_USER_SCOPE.task),
    SERVICE_USER_SCOPE.task: (USER_SCOPE.task,),
}


class Consumption:
    """The ledgers of all scopes, and the tasks that poll them."""

    def __init__(
        self,
        client: Client,
        clock: Callable[[], float],
        context: Context,
        *,
        sweep_interval: float,
    ) -> None:
        self._client = client
        self._clock = clock
        self._identity = context.identity
        self._day_start = context.day_start
        self._windows = context.cycles.windows
        self._people = context.directory
        self._policy = context.user_policy
        self._signs = context.sessions.signs
        self._total_lock = threading.Lock()
        self.enterprise = Ledger()
        self.organizations = Ledger(longest_age=sweep_interval)
        self.users = Ledger(longest_age=sweep_interval)
        self.service_users = Ledger(longest_age=sweep_interval)
        self.ledgers = (self.enterprise, self.organizations, self.users, self.service_users)
        self._scopes = dict(zip(self.ledgers, SCOPES, strict=True))
        people, organizations = (self.users, self.service_users), (self.organizations,)
        requested = self.service_users.attempts.entities
        of_people = Parts(people, lambda: context.directory.may_lack_people(requested()))
        self._parts = {
            ORGANIZATION_SCOPE.task: Parts(
                organizations, context.directory.may_lack_organizations, some_products=True
            ),
            USER_SCOPE.task: of_people,
            SERVICE_USER_SCOPE.task: of_people,
        }
        self._sweep_interval = sweep_interval
        self._requested_everybody: set[str] = set()

    def data_sets(self, poll_interval: float) -> Iterator[DataSet]:
        """The data set of each scope."""
        people, data_set = self._people, partial(self._data_set, poll_interval)
        yield data_set(ENTERPRISE_SCOPE, self.enterprise, lambda: frozenset({ENTERPRISE}))
        yield data_set(
            ORGANIZATION_SCOPE, self.organizations, people.org_ids, directory.ORGANIZATIONS_TASK
        )
        yield data_set(USER_SCOPE, self.users, people.user_ids, directory.USERS_TASK)
        yield data_set(
            SERVICE_USER_SCOPE,
            self.service_users,
            people.service_user_ids,
            directory.SERVICE_USERS_TASK,
            sessions.TASK,
        )

    def _data_set(
        self,
        poll_interval: float,
        scope: Scope,
        ledger: Ledger,
        list_entities: Callable[[], frozenset[str]],
        *after: str,
    ) -> DataSet:
        task = Task(
            name=scope.task,
            source=self._client.source,
            interval=poll_interval,
            metrics=tuple(scope.metrics.values()),
            poll=lambda: self._poll(scope, ledger, list_entities, poll_interval),
            snapshot=lambda now, max_age: self._publish(scope, ledger, now, max_age),
            next_window_end=lambda now: self._windows(now).next_window_end,
            depends_on=after,
            # Their polls may have requested what this task publishes.
            republish_after=(cycles.TASK, *_REQUESTED_BY.get(scope.task, ())),
            required_for_ready=lambda: scope is self._main_scope(),
            kept=(
                *kept.of_ledger(scope.task, ledger, self._parts.get(scope.task)),
                *([self._policy.kept()] if scope is USER_SCOPE else []),
            ),
            requested_everything=lambda: scope.task in self._requested_everybody,
            progress=lambda: self._progress(scope, ledger, list_entities),
        )
        return DataSet(task, scope.endpoints)

    @property
    def used(self) -> bool:
        """Whether any ACU of any entity was ever seen."""
        return any(ledger.used for ledger in self.ledgers)

    @property
    def of_key(self) -> Ledger:
        """The ledger of what the key sees in all: the enterprise, or its organization."""
        return self.enterprise if self._identity.org_id is None else self.organizations

    def _main_scope(self) -> Scope:
        return ENTERPRISE_SCOPE if self._identity.org_id is None else ORGANIZATION_SCOPE

    def _poll(
        self,
        scope: Scope,
        ledger: Ledger,
        list_entities: Callable[[], frozenset[str]],
        interval: float,
    ) -> None:
        """Request those listed, and those that have left but have use in a window."""
        began = self._clock()
        windows = self._windows(began)
        cycle = windows.cycle or Window(windows.earliest, windows.today.end)
        compared = (cycle, windows.yesterday, *filter(None, [windows.previous_cycle]))
        entities = list_entities() | ledger.with_use(compared)
        ledger.retain(entities)
        self._requested_everybody.discard(scope.task)
        if scope is self._main_scope():
            for entity in entities:
                self._request_total(scope, ledger, entity)
            self._requested_everybody.add(scope.task)
            return
        if scope is USER_SCOPE:
            self._policy.listed(entities)
        try:
            self._parts_poll(scope, ledger, interval).run(entities)
        finally:
            if all(ledger.attempts.last(entity) >= began for entity in entities):
                self._requested_everybody.add(scope.task)
            if scope is USER_SCOPE and ledger.attempts.entities() >= entities:
                windows = self._windows(self._clock())
                series.rank(self._policy, entities, ledger.accounts(), windows)

    def _parts_poll(self, scope: Scope, ledger: Ledger, interval: float) -> PartsPoll:
        of_organizations = scope is ORGANIZATION_SCOPE
        return PartsPoll(
            api=Api(
                clock=self._clock,
                threads=self._client.concurrency,
                total=self._total,
                request=self._request_part,
                signs=self._signs,
                windows=self._windows,
            ),
            parts=self._parts[scope.task],
            ledger=ledger,
            interval=interval,
            sweep_interval=self._sweep_interval,
            looks_for_changes=scope is not SERVICE_USER_SCOPE,
            every_second=of_organizations,
            published=lambda now: [
                window
                for name, window in self._windows(now).certain().items()
                if name in scope.metrics
            ],
            priority=Priority.ORGANIZATIONS if of_organizations else Priority.SWEEP,
            moved_priority=Priority.ORGANIZATIONS if of_organizations else Priority.MOVED,
        )

    def _progress(
        self, scope: Scope, ledger: Ledger, list_entities: Callable[[], frozenset[str]]
    ) -> Progress | None:
        parts = self._parts.get(scope.task)
        if parts is None or scope is self._main_scope():
            return None
        with suppress(EntitiesUnknownError):
            per_second, interval = self._client.requests_per_second, self._sweep_interval
            began, entities = parts.round_began, list_entities()
            return progress(ledger, entities, began=began, interval=interval, per_second=per_second)
        return None

    def _total(self, newer_than: float) -> EntityUsage:
        """The total of all parts, from a response that is a few seconds old at most."""
        scope = self._main_scope()
        ledger = self.enterprise if scope is ENTERPRISE_SCOPE else self.organizations
        entity = self._identity.org_id or ENTERPRISE
        known = ledger.accounts().get(entity)
        known_at = known.requested_at if known is not None else -math.inf
        if 0 <= self._clock() - ledger.attempts.last(entity) <= TOTAL_SECONDS:
            if ledger.attempts.last(entity) > known_at:
                raise EntitiesUnknownError("the total has just failed to be read")
            if known is not None and known_at > newer_than:
                return known
        return self._request_total(scope, ledger, entity)

    def _request_total(self, scope: Scope, ledger: Ledger, entity: str) -> EntityUsage:
        # One at a time, so that no response replaces that of a later request.
        with self._total_lock:
            return self._request(scope, ledger, entity, Priority.TOTAL)[1]

    def _request_part(
        self, part: Part, priority: Priority, changed_from: int | None
    ) -> tuple[EntityUsage | None, EntityUsage]:
        scope = self._scopes[part.ledger]
        return self._request(scope, part.ledger, part.entity, priority, changed_from)

    def _request(
        self,
        scope: Scope,
        ledger: Ledger,
        entity: str,
        priority: Priority,
        changed_from: int | None = None,
    ) -> tuple[EntityUsage | None, EntityUsage]:
        """Request the usage of an entity; returns what was known before, and now.

        Closed days before `changed_from` (a number) are requested only in the sweep.
        """
        requested_at = self._clock()
        windows = self._windows(requested_at)
        # The API's bounds may be inclusive or not: request a day more on each side.
        days = range(day_number(windows.earliest) - 1, day_number(windows.today.start) + 2)
        needed = days
        if changed_from is not None:
            needed = daily.days_to_request(
                ledger.accounts().get(entity),
                days=days,
                changed_from=changed_from,
                now=requested_at,
                sweep_interval=self._sweep_interval,
            )
        requested = range(max(days.start, needed.start - 1), days.stop)
        own = self._identity.org_id
        request = daily.request(scope, entity, requested, org_id=own, priority=priority)
        try:
            response = self._client.get(request)
            self._day_start.observe(daily.starts(response), requested_at=requested_at)
            account = daily.to_usage(response, requested_at=requested_at, days=needed)
            return ledger.record(entity, account, days=days, now=self._clock())
        finally:
            ledger.attempts.note(entity, requested_at, now=self._clock())

    def _publish(self, scope: Scope, ledger: Ledger, now: float, max_age: float) -> Snapshot:
        windows = self._windows(now).certain()
        fresh = ledger.published(now, max_age)
        accounts = fresh.accounts
        missing = ledger.attempts.entities() - accounts.keys()
        if scope is USER_SCOPE:
            groups = series.by_label(self._policy, self._people, accounts, missing)
        else:
            groups = {entity: [account] for entity, account in sorted(accounts.items())}
        days = (account.newest_day for account in accounts.values())
        newest = max((day for day in days if day is not None), default=None)
        return Snapshot(
            tuple(series.samples(scope, groups, windows, self._zeros_of(scope), now)),
            expires=fresh.expires,
            expired_entities=len(missing),
            newest_day=None if newest is None else self._day_start.calendars()[0].start_of(newest),
        )

    def _zeros_of(self, scope: Scope) -> tuple[str, ...]:
        return self.products_seen() if scope.zeros else ()

    def products_seen(self) -> tuple[str, ...]:
        """The products that are published even without use, and all others seen."""
        named = {product for ledger in self.ledgers for product in ledger.products()}
        return (*PRODUCTS, *sorted(named.difference(PRODUCTS)))
