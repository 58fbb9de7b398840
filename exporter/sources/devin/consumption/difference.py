"""What of the enterprise's total its parts do not show yet, and the search for it."""

import threading
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import add

from exporter.client.fan_out import is_of_the_api
from exporter.errors import PartialError, PollError
from exporter.sources.devin.consumption.usage import EntityUsage

Cell = tuple[str, int]
"""A product and a billing day's number."""

FOUND_ALLOWS = 15.0
"""How many more requests may find nothing, for each change that is found."""

ROUNDING_ACUS = 1e-6
ROUNDING_SHARE = 1e-9


@dataclass(slots=True)
class Difference:
    """The total less the parts, which shrinks while changes of parts are found.

    On closed days the parts must equal the total. On days that are still open a part is requested
    a little later than the total and may hold more; the next total then holds that too.

    Attributes:
        left: the difference in each cell.
        tolerances: the difference in each cell that is taken for rounding.
        open_from: the number of the first day that may still grow.
    """

    left: dict[Cell, float]
    tolerances: Mapping[Cell, float]
    open_from: int
    _below: frozenset[Cell] = field(init=False)
    _unexplained: set[Cell] = field(init=False)

    def __post_init__(self) -> None:
        """Find the cells that are to be explained."""
        self._below = frozenset(
            cell for cell, acus in self.left.items() if acus < -self.tolerances[cell]
        )
        self._unexplained = {cell for cell in self.left if not self._is_explained(cell)}

    @classmethod
    def of(
        cls,
        total: EntityUsage,
        parts: Iterable[EntityUsage],
        *,
        days: range,
        open_from: int,
        accepted: Mapping[Cell, float],
        some_products: bool,
    ) -> "Difference":
        """Compare the total with all its parts on these days.

        Args:
            accepted: differences that are known to belong to no part.
            some_products: whether the vendor splits only some products to parts of this kind. One
                that no part has, and whose total was accepted without one, is then left out.
        """
        sums = _sums(parts, days)
        never_split: set[str] = set()
        if some_products:
            of_parts = {product for product, column in sums.items() if any(column)}
            never_split = {product for product, _ in accepted} - of_parts
        left: dict[Cell, float] = {}
        tolerances: dict[Cell, float] = {}
        for product in sorted({*total.products, *sums} - never_split):
            column = sums.get(product)
            for place, day in enumerate(days):
                acus = total.acus(product, range(day, day + 1))
                known = column[place] if column is not None else 0.0
                cell = (product, day)
                left[cell] = acus - known - accepted.get(cell, 0.0)
                tolerances[cell] = ROUNDING_ACUS + ROUNDING_SHARE * max(abs(acus), abs(known))
        return cls(left, tolerances, open_from)

    @property
    def explained(self) -> bool:
        """Whether the parts show all that the total shows."""
        return not self._unexplained

    def unexplained(self) -> frozenset[Cell]:
        """The cells in which something is left to find."""
        return frozenset(self._unexplained)

    @property
    def changed_from(self) -> int:
        """The first day with something to find; the first open one if there is nothing."""
        return min((day for _, day in self._unexplained), default=self.open_from)

    def found(self, before: EntityUsage | None, after: EntityUsage) -> bool:
        """Take a part's new response into account; returns whether it has changed."""
        changed = False
        for product, day, acus in after.changes(before):
            changed = True
            cell = (product, day)
            if cell not in self.left:
                continue
            self.left[cell] -= acus
            if self._is_explained(cell):
                self._unexplained.discard(cell)
            else:
                self._unexplained.add(cell)
        return changed

    def _is_explained(self, cell: Cell) -> bool:
        left, tolerance = self.left[cell], self.tolerances[cell]
        if cell[1] >= self.open_from and cell not in self._below:
            return left <= tolerance
        return abs(left) <= tolerance


def _sums(parts: Iterable[EntityUsage], days: range) -> dict[str, "array[float]"]:
    sums: dict[str, array[float]] = {}
    for part in parts:
        for product, column in part.products.items():
            known = sums.get(product) or array("d", bytes(8 * len(days)))
            sums[product] = array("d", map(add, known, _aligned(part.days, column, days)))
    return sums


def _aligned(own: range, column: "array[float]", days: range) -> "array[float]":
    """A column of some days as one of other days; 0 on days that it does not have."""
    if own == days:
        return column
    first = max(own.start, days.start)
    end = max(first, min(own.stop, days.stop))
    aligned = array("d", bytes(8 * len(days)))
    if end > first:
        aligned[first - days.start : end - days.start] = column[first - own.start : end - own.start]
    return aligned


class Search:
    """The search for whoever explains a difference. Safe to use from several threads.

    Attributes:
        allowance: how many more requests may find nothing.
        interrupted: whether it was late, or failed as the API did.
    """

    def __init__(self, difference: Difference, allowance: float, *, all_days: bool = False) -> None:
        self._difference = difference
        self._all_days = all_days
        self.allowance = allowance
        self.interrupted = False
        self._lock = threading.Lock()

    def note(self, before: EntityUsage | None, after: EntityUsage) -> None:
        """Take a response into account."""
        with self._lock:
            changed = self._difference.found(before, after)
            self.allowance += FOUND_ALLOWS if changed else -1.0

    def note_failure(self, error: PollError) -> None:
        """Take a failure into account, of a request or of the whole search."""
        gave_up = isinstance(error, PartialError) and not error.complete
        if gave_up or is_of_the_api(error):
            self.interrupted = True

    @property
    def changed_from(self) -> int | None:
        """The first day (number) of what is left to explain; None if all days are requested."""
        with self._lock:
            return None if self._all_days else self._difference.changed_from

    def ends(self, *, late: bool) -> bool:
        """Whether everything is explained, too many requests have found nothing, or it is late."""
        over = self._difference.explained or self.allowance < 1.0
        if late and not over:
            self.interrupted = True
        return over or late
