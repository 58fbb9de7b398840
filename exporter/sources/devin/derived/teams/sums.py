"""Sums of consumption over many entities and all windows at once. Pure."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from exporter.sources.devin.billing.windows import Window
from exporter.sources.devin.consumption.ledger import EntityUsage

Days = tuple[range, ...]


@dataclass(frozen=True, slots=True)
class Figures:
    """The consumption of one entity: a number for each window, by product."""

    account: EntityUsage
    by_product: Mapping[str, tuple[float, ...]]

    @classmethod
    def of(cls, account: EntityUsage, days: Days) -> "Figures":
        """The figures of these windows, whether or not the response covers them."""
        start = account.days.start
        slices = [slice(max(0, d.start - start), max(0, d.stop - start)) for d in days]
        return cls(
            account,
            {
                product: tuple([sum(column[part]) for part in slices])
                for product, column in account.products.items()
            },
        )


class WindowFigures:
    """The figures of the entities of one kind; made once for each response and windows."""

    def __init__(self) -> None:
        self._days: Days = ()
        self._known: dict[str, Figures] = {}

    def of(self, accounts: Mapping[str, EntityUsage], days: Days) -> Mapping[str, Figures]:
        """The figures of all accounts."""
        known = self._known if days == self._days else {}
        self._days = days
        self._known = {
            entity: before
            if (before := known.get(entity)) is not None and before.account is account
            else Figures.of(account, days)
            for entity, account in accounts.items()
        }
        return self._known


def complete_sums(
    figures: Sequence[Figures], windows: Iterable[Window], products: Iterable[str], now: float
) -> Iterator[Mapping[str, float] | None]:
    """For each window the sums by product; None where a response does not have its figure.

    Args:
        windows: those of the figures.
        products: have a sum even without use.
    """
    columns: dict[str, list[tuple[float, ...]]] = {}
    for each in figures:
        for product, acus in each.by_product.items():
            columns.setdefault(product, []).append(acus)
    sums = {
        product: [math.fsum(parts) for parts in zip(*every, strict=True)]
        for product, every in columns.items()
    }
    oldest = min((each.account.requested_at for each in figures), default=math.inf)
    first_day = max((each.account.days.start for each in figures), default=0)
    zeros = dict.fromkeys(products, 0.0)
    for number, window in enumerate(windows):
        if first_day <= window.days.start and window.covers(oldest, now):
            used = {product: of[number] for product, of in sums.items() if of[number]}
            yield {**zeros, **used}
        else:
            yield None
