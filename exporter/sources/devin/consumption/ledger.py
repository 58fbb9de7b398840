"""Consumption by entity, billing day and product. Pure: no I/O and no clock of its own.

An entity is the enterprise, an organization, a user or a service user. Each good response replaces
all that was known of its entity, so a restated day takes its new value. It is stored with the time
of its request, which decides the windows that it covers (see `windows.Window.covers`).
"""

import math
import threading
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from exporter.client.fan_out import Attempts
from exporter.client.response import first_expiry, is_fresh
from exporter.sources.devin.billing.windows import Window, billing_day, day_number

UNKNOWN_PRODUCT = "unknown"
TOLERANCE = 1e-9
"""ACUs by which rounding may change a day's total against the sum of its products."""


@dataclass(frozen=True, slots=True)
class DailyUsage:
    """One billing day of one entity: the vendor's total and its split by product."""

    day: int
    acus: float
    by_product: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class EntityUsage:
    """The usage of one entity, from one response.

    Attributes:
        requested_at: Unix seconds at which the request was sent.
        days: the requested day numbers; a day that the response leaves out is 0.
        products: ACUs per product and day, one number for each of `days`.
        newest_day: number of the newest day in the response; None if it has no day.
    """

    requested_at: float
    days: range
    products: Mapping[str, "array[float]"]
    newest_day: int | None

    @classmethod
    def of(cls, uses: Iterable[DailyUsage], *, requested_at: float, days: range) -> "EntityUsage":
        """Sort the days of a response by product; days outside of `days` are cut off.

        If the products of a day do not add up to its total, the difference becomes the product
        `unknown`. It may be negative.

        Raises:
            ValueError: if a day occurs twice.
        """
        products: dict[str, array[float]] = {}
        seen: set[int] = set()
        for use in uses:
            if use.day in seen:
                raise ValueError("a day stands twice")
            seen.add(use.day)
            if use.day not in days:
                continue
            split = dict(use.by_product)
            difference = use.acus - math.fsum(split.values())
            if abs(difference) > TOLERANCE:
                split[UNKNOWN_PRODUCT] = split.get(UNKNOWN_PRODUCT, 0.0) + difference
            for product, acus in split.items():
                column = products.setdefault(product, array("d", bytes(8 * len(days))))
                column[use.day - days.start] = acus
        running = day_number(billing_day(requested_at).start)
        newest = max((day for day in seen if day <= running), default=None)
        return cls(requested_at, days, products, newest)

    @classmethod
    def summed(
        cls, accounts: Iterable["EntityUsage"], *, requested_at: float, days: range
    ) -> "EntityUsage":
        """The sum of several entities' usage on the same days."""
        products: dict[str, array[float]] = {}
        for account in accounts:
            for product, column in account.products.items():
                sums = products.setdefault(product, array("d", bytes(8 * len(days))))
                for place, acus in enumerate(column):
                    sums[place] += acus
        return cls(requested_at, days, products, None)

    def total(self, window: Window) -> dict[str, float]:
        """ACUs per product over a window's days, whether or not the response covers it."""
        return {product: self.acus(product, window.days) for product in self.products}

    def acus(self, product: str, days: range) -> float:
        """ACUs of one product over these days; 0 for a product that is not in the response."""
        first = max(0, days.start - self.days.start)
        end = max(0, days.stop - self.days.start)
        return math.fsum(self.products.get(product, ())[first:end])

    def is_final_at(self, window: Window, now: float) -> bool:
        """Whether `total` is this window's figure at `now`."""
        return self.days.start <= window.days.start and window.covers(self.requested_at, now)


def total(accounts: Sequence[EntityUsage], window: Window) -> dict[str, float]:
    """ACUs per product over a window's days, summed over several entities."""
    if len(accounts) == 1:
        return accounts[0].total(window)
    parts: dict[str, list[float]] = {}
    for account in accounts:
        for product, acus in account.total(window).items():
            parts.setdefault(product, []).append(acus)
    return {product: math.fsum(acus) for product, acus in parts.items()}


@dataclass(slots=True)
class Ledger:
    """The usage of all entities of one kind. Safe to use from several threads."""

    _accounts: dict[str, EntityUsage] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    attempts: Attempts = field(default_factory=Attempts)
    used: bool = False
    """Whether any entity has ever used any ACU."""

    def record(self, entity: str, account: EntityUsage) -> None:
        """Replace the usage of an entity."""
        with self._lock:
            self._accounts[entity] = account
            self.used = self.used or any(any(column) for column in account.products.values())

    def retain(self, entities: Iterable[str]) -> None:
        """Forget all other entities."""
        kept = frozenset(entities)
        with self._lock:
            self._accounts = {e: a for e, a in self._accounts.items() if e in kept}
        self.attempts.retain(kept)

    def with_use(self, windows: Iterable[Window]) -> frozenset[str]:
        """The entities with any use in one of the windows, by their last responses."""
        requested = tuple(windows)
        return frozenset(
            entity
            for entity, account in self.accounts().items()
            if any(any(account.total(window).values()) for window in requested)
        )

    def accounts(self) -> dict[str, EntityUsage]:
        """The current usage by entity."""
        with self._lock:
            return dict(self._accounts)

    def fresh(self, now: float, max_age: float) -> dict[str, EntityUsage]:
        """The usage by entity, from fresh responses only."""
        return {
            entity: account
            for entity, account in self.accounts().items()
            if is_fresh(account.requested_at, now, max_age)
        }

    def expires(self, now: float, max_age: float) -> float:
        """When the first of the fresh responses becomes too old (Unix seconds)."""
        fresh = self.fresh(now, max_age).values()
        return first_expiry((account.requested_at for account in fresh), max_age)

    def missing(self, now: float, max_age: float) -> frozenset[str]:
        """Entities that were requested and have no fresh response."""
        return self.attempts.entities() - self.fresh(now, max_age).keys()

    def products(self) -> Iterator[str]:
        """The products of all entities, with repetitions."""
        for account in self.accounts().values():
            yield from account.products
