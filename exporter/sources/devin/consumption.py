"""ACUs per billing day and product, of the enterprise and of each entity.

`GET /v3/enterprise/consumption/daily` and, one request per entity as there is no bulk list,
`…/daily/organizations/{org_id}`, `…/daily/users/{user_id}`,
`…/daily/service-users/{service_user_id}`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from pydantic import Field, TypeAdapter

from exporter.errors import ShapeError
from exporter.http import ApiModel, Client
from exporter.metrics import Metric, Sample
from exporter.sources.devin import cycles, directory
from exporter.sources.devin.fields import Acus, Timestamp
from exporter.sources.devin.ledger import Account, DayUse, Ledger
from exporter.sources.devin.sweep import sweep
from exporter.sources.devin.windows import (
    BillingWindows,
    Window,
    billing_day_start,
    day_number,
)
from exporter.tasks import Snapshot, Task

PRODUCTS = ("devin", "cascade", "terminal")
"""Products that are published even where nobody has used them; others once they are seen."""

ENTERPRISE = ""

_WINDOWS = {
    "today": "in the running billing day, which starts at 08:00 UTC",
    "yesterday": "in the last complete billing day",
    "cycle": "in the running billing cycle",
    "previous_cycle": "in the last complete billing cycle",
}


def _metrics(prefix: str, of: str, labels: tuple[str, ...], *windows: str) -> dict[str, Metric]:
    return {
        window: Metric(
            f"devin_{prefix}consumption_{window}_acus",
            f"ACUs of {of} {_WINDOWS[window]}; can go down when a day is restated.",
            (*labels, "product"),
        )
        for window in windows
    }


class DayItem(ApiModel):
    """One billing day; `acus_by_product` is an open map whose values may be null."""

    date: Timestamp
    acus: Acus
    acus_by_product: dict[str, Acus | None] = Field(default_factory=dict)


class DailyAnswer(ApiModel):
    """The fields read of every `…/consumption/daily…` endpoint."""

    consumption_by_date: tuple[DayItem, ...]


_SHAPE = TypeAdapter(DailyAnswer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """One kind of entity whose consumption the API tells.

    Attributes:
        label: the label (and path parameter) that holds an entity's id; None for the enterprise.
        metrics: the metric of each window.
        zeros: whether products without use are published as 0.
    """

    task: str
    endpoint: str
    label: str | None
    metrics: Mapping[str, Metric]
    zeros: bool


_DAILY = "/v3/enterprise/consumption/daily"
ENTERPRISE_SCOPE = Scope(
    task="enterprise_consumption",
    endpoint=_DAILY,
    label=None,
    metrics=_metrics("", "the enterprise", (), *_WINDOWS),
    zeros=True,
)
ORGANIZATION_SCOPE = Scope(
    task="organization_consumption",
    endpoint=f"{_DAILY}/organizations/{{org_id}}",
    label="org_id",
    metrics=_metrics("organization_", "an organization", ("org_id",), *_WINDOWS),
    zeros=True,
)
_PERSONAL = ("today", "yesterday", "cycle")
USER_SCOPE = Scope(
    task="user_consumption",
    endpoint=f"{_DAILY}/users/{{user_id}}",
    label="user_id",
    metrics=_metrics("user_", "a user", ("user_id",), *_PERSONAL),
    zeros=False,
)
SERVICE_USER_SCOPE = Scope(
    task="service_user_consumption",
    endpoint=f"{_DAILY}/service-users/{{service_user_id}}",
    label="service_user_id",
    metrics=_metrics("service_user_", "a service user", ("service_user_id",), *_PERSONAL),
    zeros=False,
)

SCOPES = (ENTERPRISE_SCOPE, ORGANIZATION_SCOPE, USER_SCOPE, SERVICE_USER_SCOPE)
METRICS = tuple(metric for scope in SCOPES for metric in scope.metrics.values())


class Consumption:
    """The ledgers of all scopes and the tasks that keep them."""

    def __init__(
        self,
        client: Client,
        clock: Callable[[], float],
        *,
        windows: Callable[[float], BillingWindows],
        people: directory.Directory,
    ) -> None:
        self._client = client
        self._clock = clock
        self._windows = windows
        self._people = people
        self.enterprise = Ledger()
        self.organizations = Ledger()
        self.users = Ledger()
        self.service_users = Ledger()

    def tasks(self, poll_interval: float) -> Iterator[Task]:
        """The tasks that keep the ledgers."""
        yield self._task(
            ENTERPRISE_SCOPE, self.enterprise, lambda: frozenset({ENTERPRISE}), poll_interval
        )
        yield self._task(
            ORGANIZATION_SCOPE,
            self.organizations,
            self._people.org_ids,
            poll_interval,
            directory.ORGANIZATIONS_TASK,
        )
        yield self._task(
            USER_SCOPE, self.users, self._people.user_ids, poll_interval, directory.USERS_TASK
        )
        yield self._task(
            SERVICE_USER_SCOPE,
            self.service_users,
            self._people.service_user_ids,
            poll_interval,
            directory.SERVICE_USERS_TASK,
        )

    def _task(
        self,
        scope: Scope,
        ledger: Ledger,
        listed: Callable[[], frozenset[str]],
        poll_interval: float,
        *after: str,
    ) -> Task:
        return Task(
            name=scope.task,
            source=self._client.source,
            interval=poll_interval,
            metrics=tuple(scope.metrics.values()),
            poll=lambda: self._poll(scope, ledger, listed),
            snapshot=lambda now, max_age: self._publish(scope, ledger, now, max_age),
            next_end=lambda now: self._windows(now).next_end,
            after=(cycles.TASK, *after),
            main=scope is ENTERPRISE_SCOPE,
        )

    def _poll(self, scope: Scope, ledger: Ledger, listed: Callable[[], frozenset[str]]) -> None:
        """Ask for all listed entities, and for those that have left while a window holds use."""
        windows = self._windows(self._clock())
        cycle = windows.cycle or Window(windows.earliest, windows.today.end)
        held = (cycle, windows.yesterday)
        entities = listed() | ledger.with_use(held)
        ledger.retain(entities)
        in_turn = ledger.longest_unasked_first(entities)
        if scope.label is None:
            self._ask(scope, ledger, ENTERPRISE)
        else:
            sweep(
                in_turn,
                lambda entity: self._ask(scope, ledger, entity),
                threads=self._client.concurrency,
            )

    def _ask(self, scope: Scope, ledger: Ledger, entity: str) -> None:
        sent = self._clock()
        windows = self._windows(sent)
        # The API's bounds may or may not be inclusive: a day more on each side.
        days = range(day_number(windows.earliest) - 1, day_number(windows.today.start) + 2)
        try:
            answer = self._client.get(
                scope.endpoint,
                _SHAPE,
                ids={scope.label: entity} if scope.label else None,
                params={
                    "time_after": int(billing_day_start(days.start)),
                    "time_before": int(billing_day_start(days.stop - 1)),
                },
            )
            try:
                uses = map(_day_use, answer.consumption_by_date)
                ledger.record(entity, Account.of(uses, sent=sent, days=days))
            except ValueError as contradiction:
                raise ShapeError(f"{scope.endpoint}: {contradiction}") from None
        finally:
            ledger.attempted(entity, sent)

    def _publish(self, scope: Scope, ledger: Ledger, now: float, max_age: float) -> Snapshot:
        windows = self._windows(now)
        accounts = ledger.fresh(now, max_age)
        seen = self._products_seen() if scope.zeros else ()
        named = [account.newest_day for account in accounts.values()]
        newest = max((day for day in named if day is not None), default=None)
        return Snapshot(
            tuple(_samples(scope, accounts, windows.by_name(), seen, now)),
            expires=ledger.expires(now, max_age),
            missing=len(ledger.missing(now, max_age)),
            newest_day=None if newest is None else billing_day_start(newest),
        )

    def _products_seen(self) -> tuple[str, ...]:
        ledgers = (self.enterprise, self.organizations, self.users, self.service_users)
        named = {product for ledger in ledgers for product in ledger.products()}
        return (*PRODUCTS, *sorted(named.difference(PRODUCTS)))


def _day_use(item: DayItem) -> DayUse:
    split = {name: acus for name, acus in item.acus_by_product.items() if acus is not None}
    return DayUse(day_number(item.date), item.acus, split)


def _samples(
    scope: Scope,
    accounts: Mapping[str, Account],
    windows: Mapping[str, Window],
    zeros: Iterable[str],
    now: float,
) -> Iterator[Sample]:
    for name, metric in scope.metrics.items():
        window = windows.get(name)
        if window is None:
            continue
        for entity, account in sorted(accounts.items()):
            if not account.tells(window, now):
                continue
            used = {product: acus for product, acus in account.total(window).items() if acus}
            labels = {scope.label: entity} if scope.label else {}
            for product, acus in {**dict.fromkeys(zeros, 0.0), **used}.items():
                yield metric(acus, product=product, **labels)
