"""Sums of consumption over many entities and all windows at once. Pure.

They are made of what responses hold. When that was known, which changes with each total that
confirms it, decides only which windows are shown.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pydantic import TypeAdapter

from exporter.scheduling.kept import Entry, Kept
from exporter.sources.devin.billing.windows import Window
from exporter.sources.devin.consumption.usage import EntityUsage
from exporter.sources.devin.derived.teams.rows import Row

T = TypeVar("T")

Accounts = Mapping[str, EntityUsage]
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


@dataclass(frozen=True, slots=True, eq=False)
class Figures:
    """The consumption of one entity or row: a number for each window, by product.

    Attributes:
        source: of which response it was made; None for a row.
        first_day: the number of the first day that all responses reach back to.
    """

    source: object
    first_day: int
    by_product: Mapping[str, tuple[float, ...]]

    def used(self, place: int, products: Iterable[str]) -> Iterator[tuple[str, float]]:
        """The products that were used in the window at a place, and others without use."""
        used = {product: of[place] for product, of in self.by_product.items() if of[place]}
        yield from {**dict.fromkeys(products, 0.0), **used}.items()


@dataclass(frozen=True, slots=True)
class Extent:
    """Of what all responses of some accounts know.

    Attributes:
        known_at: when the first of them was known (Unix seconds).
        first_day: the number of the first day that all of them reach back to.
    """

    known_at: float = math.inf
    first_day: int = 0

    @classmethod
    def of(cls, accounts: Iterable[EntityUsage]) -> "Extent":
        """That of some accounts."""
        known_at, first_day = math.inf, 0
        for account in accounts:
            known_at = min(known_at, account.known_at)
            first_day = max(first_day, account.days.start)
        return cls(known_at, first_day)

    def joined(self, other: "Extent") -> "Extent":
        """That of both together."""
        return Extent(min(self.known_at, other.known_at), max(self.first_day, other.first_day))


@dataclass(slots=True)
class WindowFigures:
    """The figures of the entities of one kind; made once for each response and windows.

    Attributes:
        extent: of all accounts.
    """

    extent: Extent = field(default_factory=Extent)
    _accounts: Accounts = field(default_factory=dict)
    _days: tuple[range, ...] = ()
    _known: Mapping[str, Figures] = field(default_factory=dict)

    def of(self, accounts: Accounts, days: tuple[range, ...]) -> Mapping[str, Figures]:
        """The figures of all accounts; as long as no response changes, the same object."""
        if accounts is self._accounts and days == self._days:
            return self._known
        same_days = days == self._days
        before = self._known if same_days else {}
        known: dict[str, Figures] = {}
        parts = {asked: _parts(asked, days) for asked in {each.days for each in accounts.values()}}
        for entity, account in accounts.items():
            figures = before.get(entity)
            if figures is None or figures.source is not account.products:
                figures = _figures(account, parts[account.days])
            known[entity] = figures
        self._accounts, self._days, self.extent = accounts, days, Extent.of(accounts.values())
        if not same_days or changed(before, known):
            self._known = known
        return self._known


def _parts(asked: range, days: tuple[range, ...]) -> tuple[tuple[int, int], ...]:
    """Where the days of each window are among those that were requested."""
    start = asked.start
    return tuple((max(0, d.start - start), max(0, d.stop - start)) for d in days)


def _figures(account: EntityUsage, parts: tuple[tuple[int, int], ...]) -> Figures:
    by_product = {
        product: tuple([sum(column[first:end]) for first, end in parts])
        for product, column in account.products.items()
    }
    return Figures(account.products, account.days.start, by_product)


def changed(before: Mapping[str, Figures], after: Mapping[str, Figures]) -> AbstractSet[str]:
    """The entities with other figures than before, and those that came or went."""
    if before is after:
        return frozenset()
    new = {entity for entity, figures in after.items() if before.get(entity) is not figures}
    return new | (before.keys() - after.keys())


@dataclass(slots=True)
class RowSums:
    """The sums of rows; a row is summed again only when a response of a member changes."""

    _users: Mapping[str, Figures] = field(default_factory=dict)
    _service_users: Mapping[str, Figures] = field(default_factory=dict)
    _rows: Mapping[str, Row] = field(default_factory=dict)
    _known: Mapping[str, Figures] = field(default_factory=dict)

    def of(
        self,
        rows: Mapping[str, Row],
        users: Mapping[str, Figures],
        service_users: Mapping[str, Figures],
    ) -> Mapping[str, Figures]:
        """The sums of the rows of which every member is known; the same object while they stay."""
        others, bots = changed(self._users, users), changed(self._service_users, service_users)
        if rows is self._rows and not others and not bots:
            return self._known
        known: dict[str, Figures] = {}
        for name, row in rows.items():
            figures = self._known.get(name)
            if (
                figures is None
                or self._rows[name] != row
                or not row.users.isdisjoint(others)
                or not row.service_users.isdisjoint(bots)
            ):
                if not (users.keys() >= row.users and service_users.keys() >= row.service_users):
                    continue
                members = [users[each] for each in row.users]
                figures = _summed(members + [service_users[each] for each in row.service_users])
            known[name] = figures
        self._rows, self._users, self._service_users = rows, users, service_users
        self._known = known
        return known


def _summed(members: Iterable[Figures]) -> Figures:
    columns: dict[str, list[tuple[float, ...]]] = {}
    first_day = 0
    for each in members:
        first_day = max(first_day, each.first_day)
        for product, acus in each.by_product.items():
            columns.setdefault(product, []).append(acus)
    by_product = {
        product: tuple(math.fsum(parts) for parts in zip(*every, strict=True))
        for product, every in columns.items()
    }
    return Figures(None, first_day, by_product)


@dataclass(frozen=True, slots=True)
class Coverage:
    """Which windows the responses cover.

    Attributes:
        extent: of users and service users.
        windows: by name.
        now: Unix seconds.
    """

    users: Accounts
    service_users: Accounts
    extent: Extent
    windows: Mapping[str, Window]
    now: float

    def of_rows(self, rows: Mapping[str, Row]) -> Mapping[str, frozenset[str]]:
        """The windows of which all members of a row are known."""
        all_windows = frozenset(self.windows)
        if self._covered(self.extent) == all_windows:
            return dict.fromkeys(rows, all_windows)
        return {name: self._covered(Extent.of(self._members(row))) for name, row in rows.items()}

    def _members(self, row: Row) -> Iterable[EntityUsage]:
        yield from (self.users[each] for each in row.users if each in self.users)
        yield from (self.service_users[b] for b in row.service_users if b in self.service_users)

    def _covered(self, extent: Extent) -> frozenset[str]:
        return frozenset(
            name
            for name, window in self.windows.items()
            if extent.first_day <= window.days.start and window.covers(extent.known_at, self.now)
        )
