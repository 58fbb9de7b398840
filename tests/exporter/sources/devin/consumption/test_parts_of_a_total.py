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


def test_a_poll_adds_a_little_to_the_requests_that_may_find_nothing() -> None:
    ledger = Ledger()
    parts = Parts((ledger,))
    for n in range(8_000):
        ledger.record(f"user-{n}", used(0.0, after=0))
    parts.allow_more()
    assert parts.allowance == 40
    parts.allowance = 1.0
    parts.allow_more()
    assert parts.allowance == 5
    ledger.retain(["user-1"])
    for _ in range(20):
        parts.allow_more()
    assert parts.allowance == 16


def test_only_a_search_that_ended_keeps_figures_fresh() -> None:
    ledger = Ledger()
    parts = Parts((ledger,))
    ledger.record("ada", used(0.0, after=0))
    total = used(5.0, after=20)
    difference = parts.compare(total, WINDOWS)
    parts.conclude(difference, total, finished=False, longest_gap=900.0)
    assert ledger.searched_at < NOW
    parts.conclude(difference, total, finished=True, longest_gap=900.0)
    assert ledger.searched_at == NOW + 20
    assert ledger.confirmed_at < NOW


def test_a_search_that_was_not_finished_goes_on_with_those_it_has_not_requested() -> None:
    ledger = Ledger()
    parts = Parts((ledger,))
    for after, user in enumerate(("ada", "bob", "eve")):
        ledger.record(user, used(0.0, after=10 + after))
    total = used(5.0, after=60)

    def in_order() -> list[str]:
        found = parts.with_sign(total, dict.fromkeys(("ada", "bob", "eve"), NOW + 50))
        return [part.entity for part in found]

    assert in_order() == ["ada", "bob", "eve"]
    ledger.record("ada", used(0.0, after=30))
    assert in_order() == ["bob", "eve", "ada"]


def test_what_is_left_decides_who_of_those_without_a_sign_is_requested_first() -> None:
    ledger = Ledger()
    parts = Parts((ledger,))

    def record(user: str, product: str, *days: int, after: float) -> None:
        uses = [DailyUsage(day, 1.0, {product: 1.0}) for day in days]
        ledger.record(user, EntityUsage.of(uses, requested_at=NOW + after, days=DAYS))

    for after, user in enumerate(("ada", "bob", "eve", "kim", "sam", "zoe")):
        product = "cascade" if user in {"bob", "kim", "zoe"} else "devin"
        record(user, product, CLOSED if user == "kim" else TODAY - 1, after=after)
    record("new", "devin", after=6)
    # These have moved since the last search; the sessions of `sam` and `new` may show late.
    record("ada", "devin", TODAY - 1, TODAY, after=30)
    record("zoe", "cascade", TODAY - 1, TODAY, after=31)
    uses = [
        DailyUsage(CLOSED, 1.0, {"cascade": 1.0}),
        DailyUsage(TODAY - 1, 5.0, {"devin": 3.0, "cascade": 2.0}),
        DailyUsage(TODAY, 5.0, {"devin": 1.0, "cascade": 4.0}),
    ]
    total = EntityUsage.of(uses, requested_at=NOW + 60, days=DAYS)
    difference = parts.compare(total, WINDOWS)
    assert difference.unexplained() == {("cascade", TODAY)}
    signs = dict.fromkeys(("sam", "new"), NOW - 100)
    found = parts.without_sign(difference, total, since=NOW + 25, unfinished=False, signs=signs)
    # Whoever uses other products alone is not likely to have used what is left.
    assert [part.entity for part in found.likely] == ["zoe", "new"]
    assert [part.entity for part in found.others] == ["bob", "kim", "eve", "sam", "ada"]


def test_whoever_was_not_requested_after_a_sign_has_it_until_then() -> None:
    ledger = Ledger()
    parts = Parts((ledger,))
    for after, user in ((10, "ada"), (40, "bob"), (20, "eve")):
        ledger.record(user, used(0.0, after=after))
    signs = {"ada": NOW + 15, "bob": NOW + 35, "eve": NOW + 60}
    found = parts.with_sign(used(5.0, after=90), signs)
    assert [part.entity for part in found] == ["ada", "eve"]


def test_a_sign_stands_for_the_whole_second_that_it_is_dated_in() -> None:
    ledger = Ledger()
    parts = Parts((ledger,))
    for after, user in ((10.4, "ada"), (11.4, "bob")):
        ledger.record(user, used(0.0, after=after))
    found = parts.with_sign(used(5.0, after=90), {"ada": NOW + 10, "bob": NOW + 10})
    assert [part.entity for part in found] == ["ada"]


def test_users_of_the_product_with_the_fewest_users_are_requested_first() -> None:
    ledger = Ledger()
    parts = Parts((ledger,))
    for number, products in enumerate(({"devin"}, {"devin", "cascade"}, {"devin"}, set())):
        split = dict.fromkeys(sorted(products), 1.0)
        use = DailyUsage(TODAY, float(len(split)), split)
        account = EntityUsage.of([use], requested_at=NOW + number, days=DAYS)
        ledger.record(f"user-{number}", account)
    use = DailyUsage(TODAY, 6.0, {"devin": 4.0, "cascade": 2.0})
    total = EntityUsage.of([use], requested_at=NOW + 60, days=DAYS)
    difference = parts.compare(total, WINDOWS)
    found = parts.without_sign(difference, total, since=NOW + 50, unfinished=False, signs={})
    assert [str(part) for part in found.others] == ["user-1", "user-0", "user-2", "user-3"]


@pytest.mark.parametrize("may_lack_one", [False, True])
def test_a_difference_is_nobodys_use_only_if_every_part_is_known(*, may_lack_one: bool) -> None:
    ledger = Ledger()
    parts = Parts((ledger,), lambda: may_lack_one)
    parts.begin(used(5.0, after=0))
    ledger.record("ada", used(3.0, after=10))
    difference = parts.compare(used(5.0, after=20), WINDOWS)
    assert parts.accepted == ({} if may_lack_one else {("devin", CLOSED): 2.0})
    assert difference.explained is not may_lack_one
