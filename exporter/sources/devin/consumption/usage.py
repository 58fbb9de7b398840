"""The usage of one entity by billing day and product, as its responses have it. Pure."""

import math
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

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
    """The usage of one entity: from its newest response, and from an older one for closed days.

    Attributes:
        requested_at: Unix seconds at which the newest request was sent. Each day that had ended by
            then was requested after its end.
        days: the known day numbers; a day that a response leaves out is 0.
        products: ACUs per product and day, one number for each of `days`.
        newest_day: number of the newest day in the response; None if it has no day.
        confirmed_at: Unix seconds of a later total that proves that nothing has changed since;
            -inf if there is none.
        closed_days_at: Unix seconds of the older request that the closed days are from; inf if the
            newest one was for all days.
    """

    requested_at: float
    days: range
    products: Mapping[str, "array[float]"]
    newest_day: int | None
    confirmed_at: float = -math.inf
    closed_days_at: float = math.inf

    @property
    def swept_at(self) -> float:
        """Unix seconds of the last request for all days."""
        return min(self.requested_at, self.closed_days_at)

    @property
    def known_at(self) -> float:
        """Unix seconds at which this was the usage, by the response or by a later total."""
        return max(self.requested_at, self.confirmed_at)

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

    def knows(self, days: range) -> bool:
        """Whether all these days are known."""
        return self.days.start <= days.start and days.stop <= self.days.stop

    def with_closed_days(self, earlier: "EntityUsage", closed: range) -> "EntityUsage":
        """The same with the days before it as they were known earlier, which must know them."""
        products = {
            product: earlier.column(product, closed) + self.column(product, self.days)
            for product in {**earlier.products, **self.products}
        }
        newest = self.newest_day
        if newest is None:
            newest = earlier.newest_day_before(closed.stop)
        days = range(closed.start, self.days.stop)
        return EntityUsage(
            self.requested_at, days, products, newest, closed_days_at=earlier.swept_at
        )

    def column(self, product: str, days: range) -> "array[float]":
        """ACUs of one product on each of these days, which must be known."""
        known = self.products.get(product)
        if known is None:
            return array("d", bytes(8 * len(days)))
        return known[days.start - self.days.start : days.stop - self.days.start]

    def newest_day_before(self, day: int) -> int | None:
        """The newest day in the response, or else the newest with use, before a day (numbers)."""
        if self.newest_day is None or self.newest_day < day:
            return self.newest_day
        used = (
            number
            for column in self.products.values()
            for number, acus in zip(self.days, column, strict=True)
            if acus and number < day
        )
        return max(used, default=None)

    def total(self, window: Window) -> dict[str, float]:
        """ACUs per product over a window's days, whether or not the response covers it."""
        first, end = self._places(window.days)
        return {product: math.fsum(column[first:end]) for product, column in self.products.items()}

    def acus(self, product: str, days: range) -> float:
        """ACUs of one product over these days; 0 for a product that is not in the response."""
        first, end = self._places(days)
        return math.fsum(self.products.get(product, ())[first:end])

    def _places(self, days: range) -> tuple[int, int]:
        start = self.days.start
        return max(0, days.start - start), max(0, days.stop - start)

    def is_final_at(self, window: Window, now: float) -> bool:
        """Whether `total` is this window's figure at `now`."""
        return self.days.start <= window.days.start and window.covers(self.known_at, now)

    def changes(self, before: "EntityUsage | None") -> Iterator[tuple[str, int, float]]:
        """Yield product, day and ACUs of every change since an earlier response."""
        known = before.products if before is not None else {}
        for product in {*self.products, *known}:
            new, old = self.products.get(product), known.get(product)
            if before is not None and self.days == before.days and new == old:
                continue
            acus = dict(zip(self.days, new, strict=True)) if new is not None else {}
            if old is not None and before is not None:
                for day, was in zip(before.days, old, strict=True):
                    # What a response no longer reaches back to has not changed.
                    if day in self.days:
                        acus[day] = acus.get(day, 0.0) - was
            yield from ((product, day, change) for day, change in acus.items() if change)


def total(accounts: Sequence[EntityUsage], window: Window) -> dict[str, float]:
    """ACUs per product over a window's days, summed over several entities."""
    if len(accounts) == 1:
        return accounts[0].total(window)
    parts: dict[str, list[float]] = {}
    for account in accounts:
        for product, acus in account.total(window).items():
            parts.setdefault(product, []).append(acus)
    return {product: math.fsum(acus) for product, acus in parts.items()}
