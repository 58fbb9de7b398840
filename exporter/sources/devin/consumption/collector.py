"""ACUs per billing day and product, of the enterprise and of each entity.

`GET /v3/enterprise/consumption/daily`, and one request per entity, as there is no bulk endpoint:
`…/daily/organizations/{org_id}`, `…/daily/users/{user_id}`,
`…/daily/service-users/{service_user_id}`.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from exporter.client.fan_out import for_each_entity
from exporter.client.http import Client
from exporter.errors import EntitiesUnknownError
from exporter.metrics import Sample
from exporter.scheduling.task import Snapshot, Task
from exporter.sources.devin.billing import cycles
from exporter.sources.devin.billing.windows import Window, day_number
from exporter.sources.devin.consumption import daily
from exporter.sources.devin.consumption.ledger import EntityUsage, Ledger, total
from exporter.sources.devin.consumption.scopes import (
    ENTERPRISE,
    ENTERPRISE_SCOPE,
    ORGANIZATION_SCOPE,
    PRODUCTS,
    SERVICE_USER_SCOPE,
    USER_SCOPE,
    Scope,
)
from exporter.sources.devin.data_set import Context, DataSet
from exporter.sources.devin.members import directory
from exporter.sources.devin.members.user_policy import OTHER
from exporter.sources.devin.operations import sessions


class Consumption:
    """The ledgers of all scopes, and the tasks that poll them."""

    def __init__(
        self,
        client: Client,
        clock: Callable[[], float],
        context: Context,
    ) -> None:
        self._client = client
        self._clock = clock
        self._identity = context.identity
        self._day_start = context.day_start
        self._windows = context.cycles.windows
        self._people = context.directory
        self._policy = context.user_policy
        self.enterprise = Ledger()
        self.organizations = Ledger()
        self.users = Ledger()
        self.service_users = Ledger()
        self.ledgers = (self.enterprise, self.organizations, self.users, self.service_users)

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
            poll=lambda: self._poll(scope, ledger, list_entities),
            snapshot=lambda now, max_age: self._publish(scope, ledger, now, max_age),
            next_window_end=lambda now: self._windows(now).next_window_end,
            depends_on=after,
            republish_after=(cycles.TASK,),
            required_for_ready=lambda: scope is self._main_scope(),
        )
        return DataSet(task, scope.endpoints)

    @property
    def used(self) -> bool:
        """Whether any ACU of any entity was ever seen."""
        return any(ledger.used for ledger in self.ledgers)

    def _main_scope(self) -> Scope:
        return ENTERPRISE_SCOPE if self._identity.org_id is None else ORGANIZATION_SCOPE

    def _poll(
        self, scope: Scope, ledger: Ledger, list_entities: Callable[[], frozenset[str]]
    ) -> None:
        """Request all listed entities, and those that have left but have use in a window."""
        windows = self._windows(self._clock())
        cycle = windows.cycle or Window(windows.earliest, windows.today.end)
        entities = list_entities() | ledger.with_use((cycle, windows.yesterday))
        ledger.retain(entities)
        if scope is ENTERPRISE_SCOPE:
            self._request(scope, ledger, ENTERPRISE)
            return
        if scope is USER_SCOPE:
            self._policy.listed(entities)
        try:
            for_each_entity(
                ledger.attempts.least_recent_first(entities),
                lambda entity: self._request(scope, ledger, entity),
                threads=self._client.concurrency,
            )
        finally:
            if scope is USER_SCOPE and ledger.attempts.entities() >= entities:
                self._rank(entities)

    def _rank(self, user_ids: Iterable[str]) -> None:
        """Decide for the billing day which users have their own series."""
        windows = self._windows(self._clock())
        cycles_known = [w for w in (windows.cycle, windows.previous_cycle) if w is not None]
        accounts = self.users.accounts()
        use = {
            user_id: math.fsum(
                acus
                for window in cycles_known
                if user_id in accounts
                for acus in accounts[user_id].total(window).values()
            )
            for user_id in user_ids
        }
        self._policy.rank(use, day=day_number(windows.today.start))

    def _request(self, scope: Scope, ledger: Ledger, entity: str) -> None:
        requested_at = self._clock()
        windows = self._windows(requested_at)
        # The API's bounds may be inclusive or not: request a day more on each side.
        days = range(day_number(windows.earliest) - 1, day_number(windows.today.start) + 2)
        request = daily.request(scope, entity, days, org_id=self._identity.org_id)
        try:
            response = self._client.get(request)
            self._day_start.observe(daily.starts(response), requested_at=requested_at)
            ledger.record(entity, daily.to_usage(response, requested_at=requested_at, days=days))
        finally:
            ledger.attempts.note(entity, requested_at)

    def _publish(self, scope: Scope, ledger: Ledger, now: float, max_age: float) -> Snapshot:
        windows = self._windows(now).certain()
        accounts = ledger.fresh(now, max_age)
        seen = self.products_seen() if scope.zeros else ()
        groups = self._groups(scope, accounts, ledger.missing(now, max_age))
        named = [account.newest_day for account in accounts.values()]
        newest = max((day for day in named if day is not None), default=None)
        return Snapshot(
            tuple(_samples(scope, groups, windows, seen, now)),
            expires=ledger.expires(now, max_age),
            expired_entities=len(ledger.missing(now, max_age)),
            newest_day=None if newest is None else self._day_start.calendars()[0].start_of(newest),
        )

    def _groups(
        self, scope: Scope, accounts: Mapping[str, EntityUsage], missing: frozenset[str]
    ) -> dict[str, list[EntityUsage]]:
        """The usage behind each label value: of one entity, or of all users that are summed."""
        if scope is not USER_SCOPE:
            return {entity: [account] for entity, account in sorted(accounts.items())}
        if self._policy.mode == "off" or not self._policy.decided or not accounts:
            return {}
        groups: dict[str, list[EntityUsage]] = {}
        for user_id, account in sorted(accounts.items()):
            groups.setdefault(self._policy.label(user_id), []).append(account)
        if not self._others_known(accounts, missing):
            groups.pop(OTHER, None)
        return groups

    def _others_known(self, accounts: Mapping[str, EntityUsage], missing: frozenset[str]) -> bool:
        """Whether the usage of all users in the sum is known, so that the sum is complete."""
        try:
            unknown = (self._people.all_user_ids() | missing) - accounts.keys()
        except EntitiesUnknownError:
            return False
        return all(self._policy.own(user_id) for user_id in unknown)

    def products_seen(self) -> tuple[str, ...]:
        """The products that are published even without use, then the others that were seen."""
        named = {product for ledger in self.ledgers for product in ledger.products()}
        return (*PRODUCTS, *sorted(named.difference(PRODUCTS)))


def _samples(
    scope: Scope,
    groups: Mapping[str, list[EntityUsage]],
    windows: Mapping[str, Window],
    zeros: Iterable[str],
    now: float,
) -> Iterator[Sample]:
    for name, metric in scope.metrics.items():
        window = windows.get(name)
        if window is None:
            continue
        for label, accounts in groups.items():
            if not all(account.is_final_at(window, now) for account in accounts):
                continue
            used = {product: acus for product, acus in total(accounts, window).items() if acus}
            labels = {scope.label: label} if scope.label else {}
            for product, acus in {**dict.fromkeys(zeros, 0.0), **used}.items():
                yield metric(acus, product=product, **labels)
