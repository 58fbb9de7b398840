"""Sums by label that are exact, whatever is added and taken away again. Pure."""

from collections.abc import Collection, Mapping, Sequence
from heapq import nlargest

from exporter.sources.devin.operations.breakdowns.labels import NONE, OTHER

UNITS = 10**12
"""The parts of one ACU in which amounts are added up, as integers: no rounding adds up."""


class Shares:
    """Amounts by label value. A value whose amount is 0 is not kept."""

    def __init__(self) -> None:
        self._units: dict[str, int] = {}
        self._sum = 0

    def add(self, values: Sequence[str], amount: float) -> None:
        """Add an amount in equal parts to some values."""
        self._add(values, amount, 1)

    def take(self, values: Sequence[str], amount: float) -> None:
        """Take away what was added before."""
        self._add(values, amount, -1)

    def _add(self, values: Sequence[str], amount: float, sign: int) -> None:
        whole = round(amount * UNITS)
        part, rest = divmod(whole, len(values))
        self._sum += sign * whole
        for value in values:
            units = self._units.pop(value, 0) + sign * (part + rest)
            if units:
                self._units[value] = units
            rest = 0

    def largest(self, most: int) -> list[str]:
        """The values with the largest amounts, at most so many, without `NONE` and `OTHER`."""
        named = self._units.keys() - {NONE, OTHER}
        return nlargest(most, named, key=lambda value: (self._units[value], value))

    def rows(self, own: Collection[str]) -> Mapping[str, float]:
        """The amounts of some values and of `NONE`, and of all the rest as `OTHER`; no zeros."""
        rows = {value: self._units.get(value, 0) for value in (NONE, *own)}
        rows[OTHER] = self._sum - sum(rows.values())
        return {value: units / UNITS for value, units in rows.items() if units}
