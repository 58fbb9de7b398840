"""A total beside its parts, one of which may be in a row that cannot be read."""

import pytest

from exporter.sources.devin.billing.windows import billing_windows, day_number
from exporter.sources.devin.consumption.ledger import Ledger
from exporter.sources.devin.consumption.parts import Parts
from exporter.sources.devin.consumption.usage import DailyUsage, EntityUsage
from tests.support.rig import at

NOW = at("2026-03-20 15:30:00")
TODAY = day_number(NOW)
CLOSED = TODAY - 5
DAYS = range(TODAY - 20, TODAY + 2)


def used(acus: float, *, after: float) -> EntityUsage:
    use = DailyUsage(CLOSED, acus, {"devin": acus})
    return EntityUsage.of([use], requested_at=NOW + after, days=DAYS)


WINDOWS = billing_windows(NOW, cycle=None, previous_cycle=None)


def test_only_a_search_that_ended_in_vain_shortens_the_next_one() -> None:
    ledger = Ledger()
    parts = Parts((ledger,))
    for n in range(1_000):
        ledger.record(f"user-{n}", used(0.0, after=0))
    total = used(5.0, after=20)
    difference = parts.compare(total, WINDOWS)
    parts.conclude(difference, total, finished=False, longest_gap=900.0)
    assert parts.in_vain() == 40
    assert ledger.searched_at < NOW
    parts.conclude(difference, total, finished=True, longest_gap=900.0)
    assert parts.in_vain() == 20
    assert ledger.searched_at == NOW + 20
    assert ledger.confirmed_at < NOW


def test_a_search_that_was_not_finished_goes_on_with_those_it_has_not_requested() -> None:
    ledger = Ledger()
    parts = Parts((ledger,))
    for after, user in enumerate(("ada", "bob", "eve")):
        ledger.record(user, used(0.0, after=10 + after))
    total = used(5.0, after=60)
    likely = parts.likely(
        total,
        since=NOW + 12,
        unfinished=True,
        seen={"ada", "bob", "eve"},
    )
    assert [part.entity for part in likely] == ["ada", "bob", "eve"]
    ledger.record("ada", used(0.0, after=30))
    likely = parts.likely(
        total,
        since=NOW + 12,
        unfinished=True,
        seen={"ada", "bob", "eve"},
    )
    assert [part.entity for part in likely] == ["bob", "ada", "eve"]


def test_sessions_that_changed_since_the_last_search_count_more_than_those_that_may_show_late() -> (
    None
):
    ledger = Ledger()
    parts = Parts((ledger,))
    for user in ("ada", "bob", "eve", "kim"):
        ledger.record(user, used(0.0, after=0))
    ledger.record("eve", used(1.0, after=10))
    total = used(5.0, after=60)
    likely = parts.likely(
        total,
        since=NOW + 5,
        unfinished=False,
        seen={"bob"},
        seen_before={"ada", "bob"},
    )
    assert [part.entity for part in likely] == ["bob", "ada", "eve"]


def test_what_is_left_decides_who_of_the_others_is_requested_first() -> None:
    ledger = Ledger()
    parts = Parts((ledger,))
    for place, (user, product, day) in enumerate(
        [
            ("ada", "devin", TODAY - 1),
            ("bob", "cascade", TODAY - 1),
            ("eve", "devin", CLOSED - 5),
            ("kim", "cascade", CLOSED - 5),
            ("sam", "devin", TODAY - 1),
        ]
    ):
        use = DailyUsage(day, 1.0, {product: 1.0})
        ledger.record(user, EntityUsage.of([use], requested_at=NOW + place, days=DAYS))
    uses = [
        DailyUsage(TODAY - 1, 5.0, {"devin": 2.0, "cascade": 3.0}),
        DailyUsage(CLOSED - 5, 2.0, {"devin": 1.0, "cascade": 1.0}),
    ]
    total = EntityUsage.of(uses, requested_at=NOW + 60, days=DAYS)
    difference = parts.compare(total, WINDOWS)
    assert difference.unexplained() == {("cascade", TODAY - 1)}
    others = [part.entity for part in parts.others(difference, total)]
    assert others == ["bob", "ada", "eve", "kim", "sam"]


@pytest.mark.parametrize("may_lack_one", [False, True])
def test_a_difference_is_nobodys_use_only_if_every_part_is_known(*, may_lack_one: bool) -> None:
    ledger = Ledger()
    parts = Parts((ledger,), lambda: may_lack_one)
    parts.begin(used(5.0, after=0))
    ledger.record("ada", used(3.0, after=10))
    difference = parts.compare(used(5.0, after=20), WINDOWS)
    assert parts.accepted == ({} if may_lack_one else {("devin", CLOSED): 2.0})
    assert difference.explained is not may_lack_one
