"""A whole and its parts: who used how many ACUs of which product on which day."""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import groupby

from exporter.client.checkpoint import Checkpoint
from exporter.client.endpoint import Request
from exporter.sources.devin.consumption import daily
from exporter.sources.devin.consumption.scopes import USER_SCOPE, DailyResponse, Scope
from exporter.sources.devin.derived.prices import Prices
from exporter.sources.source import ExportError

ROUNDING = Decimal("1e-9")
"""ACUs up to which a remainder is the rounding of the vendor's sums."""
_EPOCH = dt.date(1970, 1, 1)

Amount = tuple[str, int, Decimal]
"""A product, the number of a day, and ACUs."""
Entity = tuple[Scope, str]


@dataclass(frozen=True, slots=True)
class Payer:
    """Who used something: an organization (its id and name), and tags."""

    organization: tuple[str, str] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


def date_of(day: int) -> dt.date:
    """The date of a billing day."""
    return _EPOCH + dt.timedelta(days=day)


def number_of(date: dt.date) -> int:
    """The number of the billing day of a date."""
    return (date - _EPOCH).days


def unpriced(pairs: Sequence[tuple[str, int]]) -> str:
    """What is wrong with products and days without a price."""
    of_product: defaultdict[str, set[int]] = defaultdict(set)
    for product, day in pairs:
        of_product[product].add(day)
    texts = [
        f"{product} on {', '.join(str(date_of(day)) for day in sorted(days))}"
        for product, days in sorted(of_product.items())
    ]
    return f"DEVIN_ACU_PRICE has no price of {'; of '.join(texts)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A whole and its parts on some days."""

    days: range
    now: float
    whole: Entity
    parts: tuple[Entity, ...]
    payer: Callable[[Scope, str], Payer]
    org_id: str | None

    def requests(self) -> Iterator[Sequence[Request[DailyResponse]]]:
        """One request for each entity, in a group for each scope."""
        for _, group in groupby((self.whole, *self.parts), key=lambda entity: entity[0].task):
            yield [self._request(entity) for entity in group]

    def _request(self, entity: Entity) -> Request[DailyResponse]:
        # The API's bounds may be inclusive or not: request a day more on each side.
        days = range(self.days.start - 1, self.days.stop + 1)
        return daily.request(*entity, days, org_id=self.org_id)

    def _used(self, checkpoint: Checkpoint, entity: Entity) -> Iterator[Amount]:
        response = checkpoint.response(self._request(entity))
        if response is None:
            raise ExportError(f"{entity[0].task}: an entity has no response")
        usage = daily.to_usage(response, requested_at=self.now, days=self.days)
        for product, column in usage.products.items():
            for day, acus in zip(self.days, column, strict=True):
                if acus:
                    yield product, day, Decimal(repr(acus))

    def check_prices(self, checkpoint: Checkpoint, prices: Prices) -> None:
        """Raise `ExportError` if anything was used that has no price, before a row is written."""
        found = {
            (product, day)
            for entity in (self.whole, *self.parts)
            for product, day, _ in self._used(checkpoint, entity)
            if prices.of(product, day) is None
        }
        if found:
            raise ExportError(unpriced(sorted(found)))

    def amounts(self, checkpoint: Checkpoint) -> Iterator[tuple[Payer, Amount]]:
        """The parts, those that cannot be distinguished added up, then what no part has."""
        left: defaultdict[tuple[str, int], Decimal] = defaultdict(Decimal)
        for product, day, acus in self._used(checkpoint, self.whole):
            left[product, day] += acus
        shared: dict[tuple[tuple[str, str], ...], Payer] = {}
        sums: defaultdict[tuple[tuple[tuple[str, str], ...], str, int], Decimal] = defaultdict(
            Decimal
        )
        for entity in self.parts:
            payer = self.payer(*entity)
            for product, day, acus in self._used(checkpoint, entity):
                left[product, day] -= acus
                if entity[0] is USER_SCOPE and "user" not in payer.tags:
                    key = tuple(payer.tags.items())
                    shared[key] = payer
                    sums[key, product, day] += acus
                else:
                    yield payer, (product, day, acus)
        for (key, product, day), acus in sums.items():
            yield shared[key], (product, day, acus)
        nobody = self.payer(*self.whole)
        for (product, day), acus in left.items():
            if abs(acus) > ROUNDING:
                yield nobody, (product, day, acus)
