"""The price of an ACU by billing day and product, as `DEVIN_ACU_PRICE` has it.

    2.25                                        one price
    2026-01-01=2.00,2026-07-01=2.25             each from the billing day of that date on
    2.25;cascade=1.50                           one product has its own price
    devin=2026-01-01=2.00,2026-07-01=2.25;cascade=1.50

Before the first date of a list there is no price.
"""

import datetime as dt
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from types import MappingProxyType

_FIRST_DAY = dt.date(1970, 1, 1).toordinal()
_SINCE_EVER = dt.date.min.toordinal() - _FIRST_DAY
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
HIGHEST = Decimal(10**9)


@dataclass(frozen=True, slots=True)
class PriceList:
    """Prices with the number of the billing day from which each holds, in the order of days."""

    steps: tuple[tuple[int, Decimal], ...]

    def on(self, day: int) -> Decimal | None:
        """The price on a billing day; None before the first one."""
        return next((price for first, price in reversed(self.steps) if first <= day), None)


@dataclass(frozen=True, slots=True)
class Prices:
    """The price lists of all products.

    Attributes:
        others: the list of products without one of their own; None if they have no price.
        by_product: the lists of single products.
    """

    others: PriceList | None
    by_product: Mapping[str, PriceList]

    def of(self, product: str, day: int) -> Decimal | None:
        """The price of an ACU of a product on a billing day (its number); None if unknown."""
        listed = self.by_product.get(product, self.others)
        return listed.on(day) if listed else None

    def of_all(self, day: int) -> Decimal | None:
        """The one price of all products on a billing day; None if products have their own."""
        return self.others.on(day) if self.others and not self.by_product else None


def parse_prices(text: str) -> Prices:
    """Parse price lists.

    Raises:
        ValueError: naming the part that is wrong by its place, not by its text.
    """
    others: PriceList | None = None
    by_product: dict[str, PriceList] = {}
    for number, part in enumerate(text.split(";"), start=1):
        product, listed = _product_of(part)
        place = f"part {number}" if ";" in text else ""
        prices = PriceList(tuple(_steps(listed, place)))
        if product is None and others is not None:
            raise ValueError(f"{place}: a second price without a product")
        if product in by_product:
            raise ValueError(f"{place}: a second price of the same product")
        if product is None:
            others = prices
        else:
            by_product[product] = prices
    return Prices(others, MappingProxyType(by_product))


def _product_of(part: str) -> tuple[str | None, str]:
    """The product of a part, or None, and its price list. No product begins with a digit."""
    head, equals, rest = part.partition("=")
    product = head.strip()
    if not equals or "," in product or not product or product[0].isdigit():
        return None, part
    return product, rest


def _steps(listed: str, part: str) -> Iterator[tuple[int, Decimal]]:
    entries = listed.split(",")
    before: int | None = None
    for number, entry in enumerate(entries, start=1):
        place = ", ".join(filter(None, (part, f"entry {number}" if len(entries) > 1 else "")))
        date, equals, price = entry.rpartition("=")
        if not equals and len(entries) > 1:
            raise _error(place, "wants a date before its price, like 2026-07-01=2.25")
        first = _day(date.strip(), place) if equals else _SINCE_EVER
        if before is not None and first <= before:
            raise _error(place, "wants a later date than the entry before it")
        before = first
        yield first, _price(price.strip(), place)


def _day(text: str, place: str) -> int:
    try:
        if _DATE.fullmatch(text):
            return dt.date.fromisoformat(text).toordinal() - _FIRST_DAY
    except ValueError:
        pass
    raise _error(place, "wants a date of the calendar before the =, like 2026-07-01")


def _price(text: str, place: str) -> Decimal:
    try:
        price = Decimal(text)
    except InvalidOperation:
        price = Decimal("nan")
    if not math.isfinite(price) or not 0 <= price <= HIGHEST:
        raise _error(place, "wants a price from 0, like 2.25")
    return price


def _error(place: str, wanted: str) -> ValueError:
    return ValueError(f"{place}: {wanted}" if place else wanted)
