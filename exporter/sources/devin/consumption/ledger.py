"""Consumption by entity, billing day and product. Pure: no I/O and no clock of its own.

An entity is the enterprise, an organization, a user or a service user. Each good answer replaces
all that was known of its entity, so a restated day takes its new value, and carries the moment
its request was sent, which decides the windows it can tell (see `windows.Window.covers`).
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
"""ACUs by which a day's total may differ from the sum of its products by rounding."""


@dataclass(frozen=True, slots=True)
class DailyUsage:
    """One billing day of one entity: the vendor's total and its split."""

    day: int
    acus: float
    by_product: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class EntityUsage:
    """What one answer says of one entity.

    Attributes:
        sent: Unix seconds at which the request was sent.
        days: the day numbers that were asked for; a day that the answer left out is 0.
        products: ACUs per product and day, one number for each of `days`.
        newest_day: number of the newest day that the answer named; None if it named none.
    """

    sent: float
    days: range
    products: Mapping[str, "array[float]"]
    newest_day: int | None

    @classmethod
    def of(cls, uses: Iterable[DailyUsage], *, sent: float, days: range) -> "EntityUsage":
        """Sort an answer into an account; days outside of `days` are cut off.

        A day whose products do not add up to its total shows the difference, which may be
        negative, as the product `unknown`.

        Raises:
            ValueError: if a day stands twice.
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
        running = day_number(billing_day(sent).start)
        newest = max((day for day in seen if day <= running), default=None)
        return cls(sent, days, products, newest)

    @classmethod
    def summed(
        cls, accounts: Iterable["EntityUsage"], *, sent: float, days: range
    ) -> "EntityUsage":
        """Several accounts of the same days as one."""
        products: dict[str, array[float]] = {}
        for account in accounts:
            for product, column in account.products.items():
                sums = products.setdefault(product, array("d", bytes(8 * len(days))))
                for place, acus in enumerate(column):
                    sums[place] += acus
        return cls(sent, days, products, None)

    def total(self, window: Window) -> dict[str, float]:
        """ACUs per product over a window's days, whether or not the answer can tell it yet."""
        return {product: self.acus(product, window.days) for product in self.products}

    def acus(self, product: str, days: range) -> float:
        """ACUs of one product over these days; 0 for a product that the answer does not name."""
        first = max(0, days.start - self.days.start)
        end = max(0, days.stop - self.days.start)
        return math.fsum(self.products.get(product, ())[first:end])

    def is_final_at(self, window: Window, now: float) -> bool:
        """Whether `total` is this window's figure at `now`."""
        return self.days.start <= window.days.start and window.covers(self.sent, now)


def total(accounts: Sequence[EntityUsage], window: Window) -> dict[str, float]:
    """ACUs per product of several accounts together over a window's days."""
    if len(accounts) == 1:
        return accounts[0].total(window)
    parts: dict[str, list[float]] = {}
    for account in accounts:
        for product, acus in account.total(window).items():
            parts.setdefault(product, []).append(acus)
    return {product: math.fsum(acus) for product, acus in parts.items()}


@dataclass(slots=True)
class Ledger:
    """The accounts of all entities of one kind. Safe to use from several threads."""

    _accounts: dict[str, EntityUsage] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    attempts: Attempts = field(default_factory=Attempts)
    used: bool = False
    """Whether any account has ever held any ACU."""

    def record(self, entity: str, account: EntityUsage) -> None:
        """Replace what is known of an entity."""
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
        """The entities with any use in one of the windows, as far as their last answers say."""
        asked = tuple(windows)
        return frozenset(
            entity
            for entity, account in self.accounts().items()
            if any(any(account.total(window).values()) for window in asked)
        )

    def accounts(self) -> dict[str, EntityUsage]:
        """All accounts by entity, as they are now."""
        with self._lock:
            return dict(self._accounts)

    def fresh(self, now: float, max_age: float) -> dict[str, EntityUsage]:
        """The accounts whose answer is young enough to be published."""
        return {
            entity: account
            for entity, account in self.accounts().items()
            if is_fresh(account.sent, now, max_age)
        }

    def expires(self, now: float, max_age: float) -> float:
        """When the next of the fresh accounts becomes too old (Unix seconds)."""
        fresh = self.fresh(now, max_age).values()
        return first_expiry((account.sent for account in fresh), max_age)

    def missing(self, now: float, max_age: float) -> frozenset[str]:
        """Entities that were asked for and of which there is no answer young enough."""
        return self.attempts.entities() - self.fresh(now, max_age).keys()

    def products(self) -> Iterator[str]:
        """Every product that any account names, with repetitions."""
        for account in self.accounts().values():
            yield from account.products
