"""Backfill of the consumption of groups and teams, with the members that they have now."""

import operator
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from exporter.client.checkpoint import Checkpoint
from exporter.errors import EntitiesUnknownError
from exporter.exposition.openmetrics import Segment
from exporter.metrics import Sample
from exporter.sources.devin.backfill.consumption import (
    ConsumptionBackfill,
    FinishedPeriods,
    UsageTotals,
)
from exporter.sources.devin.consumption.scopes import SERVICE_USER_SCOPE, USER_SCOPE
from exporter.sources.devin.consumption.usage import EntityUsage
from exporter.sources.devin.derived.teams.metrics import GROUP_ACUS, TEAM_ACUS
from exporter.sources.devin.derived.teams.rows import Row, Rows
from exporter.sources.devin.derived.teams.shares import Shares


@dataclass(slots=True)
class _RowSum:
    """The daily sums of one row, by product, and the members whose usage is not in them yet."""

    lacking: set[tuple[str, str]]
    products: dict[str, "array[float]"] = field(default_factory=dict)

    def add(self, member: tuple[str, str], account: EntityUsage) -> None:
        self.lacking.discard(member)
        for product, column in account.products.items():
            before = self.products.get(product)
            self.products[product] = (
                column if before is None else array("d", map(operator.add, before, column))
            )


class SharesBackfill:
    """Makes segments of the finished days and cycles of groups and teams."""

    def __init__(
        self, consumption: ConsumptionBackfill, finished: FinishedPeriods, shares: Shares
    ) -> None:
        self._consumption = consumption
        self._finished = finished
        self._shares = shares

    def stretches(self, checkpoint: Checkpoint, totals: UsageTotals) -> Iterator[Segment]:
        """The segments of `yesterday` and the previous cycle, family by family."""
        if not totals.used:
            return
        families = (
            (GROUP_ACUS, self._rows(self._shares.group_rows)),
            (TEAM_ACUS, self._rows(self._shares.team_rows)),
        )
        summed = self._summed(checkpoint, [rows for _, rows in families])
        began = self._consumption.enterprise_began(totals)
        now, days = self._finished.now, self._finished.requested_days
        periods = (
            ("yesterday", self._consumption.days),
            ("previous_cycle", self._consumption.cycles),
        )
        for (metrics, _), sums in zip(families, summed, strict=True):
            for window, values in periods:
                for name, of_row in sums.items():
                    account = EntityUsage(now, days, of_row.products, None)
                    for product in totals.products:
                        for shown, acus in values(account, product):
                            sample = Sample(metrics[window], (name, product), acus)
                            yield Segment(max(shown.start, began), shown.end, sample)

    def _rows(self, rows: Callable[[float, float], tuple[object, Rows]]) -> Mapping[str, Row]:
        try:
            return rows(self._finished.now, float("inf"))[1].shown
        except EntitiesUnknownError:
            return {}

    def _summed(
        self, checkpoint: Checkpoint, families: Iterable[Mapping[str, Row]]
    ) -> list[dict[str, _RowSum]]:
        """The sums of each family; without the rows of which a member's usage is unknown."""
        summed: list[dict[str, _RowSum]] = []
        sums_of: dict[tuple[str, str], list[_RowSum]] = {}
        for rows in families:
            sums = {name: _RowSum(set(_members(row))) for name, row in rows.items()}
            summed.append(sums)
            for row_sum in sums.values():
                for member in row_sum.lacking:
                    sums_of.setdefault(member, []).append(row_sum)
        for scope in (USER_SCOPE, SERVICE_USER_SCOPE):
            for entity, account in self._consumption.accounts(checkpoint, scope):
                member = (scope.task, entity)
                for row_sum in sums_of.get(member, ()):
                    row_sum.add(member, account)
        return [
            {name: row_sum for name, row_sum in sums.items() if not row_sum.lacking}
            for sums in summed
        ]


def _members(row: Row) -> Iterator[tuple[str, str]]:
    """The members of a row, with the scope of each."""
    yield from ((USER_SCOPE.task, user_id) for user_id in row.users)
    yield from ((SERVICE_USER_SCOPE.task, bot) for bot in row.service_users)
