"""A total beside its parts, one of which may be in a row that cannot be read."""

import pytest

from exporter.sources.devin.billing.windows import billing_windows, day_number
from exporter.sources.devin.consumption.ledger import DailyUsage, EntityUsage, Ledger
from exporter.sources.devin.consumption.parts import Parts
from tests.support.rig import at

NOW = at("2026-03-20 15:30:00")
TODAY = day_number(NOW)
CLOSED = TODAY - 5
DAYS = range(TODAY - 20, TODAY + 2)


def used(acus: float, *, after: float) -> EntityUsage:
    use = DailyUsage(CLOSED, acus, {"devin": acus})
    return EntityUsage.of([use], requested_at=NOW + after, days=DAYS)


@pytest.mark.parametrize("may_lack_one", [False, True])
def test_a_difference_is_nobodys_use_only_if_every_part_is_known(*, may_lack_one: bool) -> None:
    ledger = Ledger()
    parts = Parts((ledger,), lambda: may_lack_one)
    windows = billing_windows(NOW, cycle=None, previous_cycle=None)
    parts.begin(used(5.0, after=0))
    ledger.record("ada", used(3.0, after=10))
    difference = parts.compare(used(5.0, after=20), windows)
    assert parts.accepted == ({} if may_lack_one else {("devin", CLOSED): 2.0})
    assert difference.explained is not may_lack_one
