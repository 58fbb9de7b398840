"""Sums of consumption over many entities and all windows at once. Pure."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import TypeAdapter

from exporter.scheduling.kept import Entry, Kept
from exporter.sources.devin.billing.windows import Window
from exporter.sources.devin.consumption.ledger import EntityUsage

T = TypeVar("T")

_NAMES = TypeAdapter(dict[str, tuple[int, int, frozenset[str]]])


class Remembered(Generic[T]):
    """A result that is made again only when its inputs change."""

    def __init__(self) -> None:
        self._last: tuple[tuple[object, ...], T] | None = None

    def get(self, inputs: tuple[object, ...], make: Callable[[], T]) -> T:
        """The result of these inputs. Objects that are the same are not compared further."""
        if self._last is None or self._last[0] != inputs:
            self._last = inputs, make()
        return self._last[1]


class ShownNames:
    """The names that had a sum in each of the running windows.

    A name that is gone has a sum of 0 until its window ends, as nobody is in it any more. Without
    that, the last values of a day would count those who were in it twice.

    Args:
        name: of the kept state.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._names: dict[str, tuple[int, int, frozenset[str]]] = {}

    def gone(
        self, shown: Iterable[tuple[str, str]], windows: Mapping[str, Window]
    ) -> Sequence[tuple[str, str]]:
        """Names and windows that were shown before, and are not in `shown` (the same pairs)."""
        now: dict[str, set[str]] = {window: set() for window in windows}
        for name, window in shown:
            now[window].add(name)
        names, gone = dict(self._names), list[tuple[str, str]]()
        for window, present in now.items():
            days = windows[window].days
            start, stop, before = names.get(window, (days.start, days.stop, frozenset[str]()))
            if (start, stop) != (days.start, days.stop):
                before = frozenset()
            names[window] = days.start, days.stop, before | present
            gone += ((name, window) for name in sorted(before - present))
        self._names = names
        return gone

    def kept(self) -> Kept:
        """The names, across restarts."""
        return Kept(name=self._name, entries=self._entries, restore=self._restore)

    def _entries(self) -> Mapping[str, Entry]:
        names = self._names
        return {"names": Entry(names, lambda: _NAMES.dump_json(names))} if names else {}

    def _restore(self, values: Mapping[str, bytes]) -> None:
        for value in values.values():
            self._names = _NAMES.validate_json(value)


@dataclass(frozen=True, slots=True)
class Figures:
    """The consumption of one entity: a number for each window, by product."""

    account: EntityUsage
    by_product: Mapping[str, tuple[float, ...]]


class WindowFigures:
    """The figures of the entities of one kind; made once for each response and windows."""

    def __init__(self) -> None:
        self._days: tuple[range, ...] = ()
        self._accounts: Mapping[str, EntityUsage] = {}
        self._known: dict[str, Figures] = {}

    def of(
        self, accounts: Mapping[str, EntityUsage], days: tuple[range, ...]
    ) -> Mapping[str, Figures]:
        """The figures of all accounts; as long as nothing changes, the same object."""
        if days != self._days:
            self._days, self._known = days, {}
        elif accounts == self._accounts:
            return self._known
        self._accounts = accounts
        slices: dict[int, list[slice[int, int, None]]] = {}
        known: dict[str, Figures] = {}
        for entity, account in accounts.items():
            figures = self._known.get(entity)
            if figures is None or figures.account.products is not account.products:
                start = account.days.start
                if start not in slices:
                    slices[start] = [
                        slice(max(0, d.start - start), max(0, d.stop - start)) for d in days
                    ]
                parts = slices[start]
                by_product = {
                    product: tuple(map(sum, map(column.__getitem__, parts)))
                    for product, column in account.products.items()
                }
                figures = Figures(account, by_product)
            elif figures.account is not account:
                figures = Figures(account, figures.by_product)
            known[entity] = figures
        self._known = known
        return known


def complete_sums(
    figures: Sequence[Figures],
    windows: Mapping[str, Window],
    products: Iterable[str],
    now: float,
) -> Iterator[tuple[str, str, float]]:
    """Windows, products and sums; without the windows of which a response lacks the figure.

    Args:
        windows: those of the figures, by name.
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
    oldest = min((each.account.known_at for each in figures), default=math.inf)
    first_day = max((each.account.days.start for each in figures), default=0)
    zeros = dict.fromkeys(products, 0.0)
    for number, (name, window) in enumerate(windows.items()):
        if first_day <= window.days.start and window.covers(oldest, now):
            used = {product: of[number] for product, of in sums.items() if of[number]}
            for product, total in {**zeros, **used}.items():
                yield name, product, total
