"""The ledger, by examples and by random histories of use, polls, failures and restatements."""

import math
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.sources.devin.billing.windows import (
    DAY,
    BillingWindows,
    Window,
    billing_day_start,
    billing_windows,
    day_number,
)
from exporter.sources.devin.consumption.ledger import DailyUsage, EntityUsage, Ledger
from tests.support.rig import at

DAYS = range(100, 110)
NOON = billing_day_start(105) + 4 * 3_600


def window_of(*days: int) -> Window:
    return Window(billing_day_start(days[0]), billing_day_start(days[-1] + 1))


def test_a_day_that_a_good_answer_leaves_out_is_zero() -> None:
    account = EntityUsage.of([DailyUsage(104, 2.0, {"devin": 2.0})], requested_at=NOON, days=DAYS)
    assert account.total(window_of(103)) == {"devin": 0.0}
    assert account.total(window_of(103, 104)) == {"devin": 2.0}


def test_days_outside_of_what_was_asked_for_are_cut_off() -> None:
    uses = [DailyUsage(99, 5.0, {"devin": 5.0}), DailyUsage(110, 7.0, {"devin": 7.0})]
    assert EntityUsage.of(uses, requested_at=NOON, days=DAYS).total(window_of(*DAYS)) == {}


def test_a_total_above_its_products_shows_the_difference_as_unknown() -> None:
    account = EntityUsage.of([DailyUsage(104, 3.0, {"devin": 2.0})], requested_at=NOON, days=DAYS)
    assert account.total(window_of(104)) == {"devin": 2.0, "unknown": 1.0}


def test_a_total_below_its_products_shows_a_negative_unknown() -> None:
    account = EntityUsage.of([DailyUsage(104, 1.5, {"devin": 2.0})], requested_at=NOON, days=DAYS)
    assert account.total(window_of(104)) == {"devin": 2.0, "unknown": -0.5}


def test_a_difference_of_rounding_is_no_unknown_product() -> None:
    use = DailyUsage(104, 0.3, {"devin": 0.1, "cascade": 0.2})
    assert "unknown" not in EntityUsage.of([use], requested_at=NOON, days=DAYS).products


def test_a_day_that_stands_twice_is_refused() -> None:
    uses = [DailyUsage(104, 1.0, {"devin": 1.0}), DailyUsage(104, 2.0, {"devin": 2.0})]
    with pytest.raises(ValueError, match="stands twice"):
        EntityUsage.of(uses, requested_at=NOON, days=DAYS)


def test_a_window_that_starts_before_what_was_asked_for_is_not_told() -> None:
    account = EntityUsage.of([], requested_at=NOON, days=DAYS)
    assert account.is_final_at(window_of(100, 105), NOON)
    assert not account.is_final_at(window_of(99, 105), NOON)


def test_entities_are_asked_in_turn_the_never_asked_first() -> None:
    ledger = Ledger()
    ledger.attempts.note("b", 2.0)
    ledger.attempts.note("c", 1.0)
    assert ledger.attempts.least_recent_first(["b", "c", "a"]) == ["a", "c", "b"]


def test_an_entity_is_missing_once_asked_for_without_a_fresh_answer() -> None:
    ledger = Ledger()
    assert ledger.missing(NOON, 900.0) == frozenset()
    ledger.attempts.note("a", NOON)
    assert ledger.missing(NOON, 900.0) == {"a"}
    ledger.record("a", EntityUsage.of([], requested_at=NOON, days=DAYS))
    assert ledger.missing(NOON + 899, 900.0) == frozenset()
    assert ledger.missing(NOON + 900, 900.0) == {"a"}
    assert ledger.expires(NOON + 899, 900.0) == NOON + 900


def test_whoever_left_is_kept_while_a_window_holds_their_use() -> None:
    ledger = Ledger()
    ledger.record("idle", EntityUsage.of([], requested_at=NOON, days=DAYS))
    ledger.record(
        "gone", EntityUsage.of([DailyUsage(104, 1.0, {"devin": 1.0})], requested_at=NOON, days=DAYS)
    )
    assert ledger.with_use([window_of(104)]) == {"gone"}
    assert ledger.with_use([window_of(105)]) == frozenset()
    ledger.retain({"idle"})
    assert ledger.accounts().keys() == {"idle"}


FIRST_DAY = day_number(at("2026-03-01 12:00:00"))
CYCLE_LENGTH = 5
MAX_AGE = 6 * 3_600.0


@dataclass
class Truth:
    """What the vendor knows: ACUs by day and product, and what was told at the last answer."""

    now: float
    days: dict[int, dict[str, float]] = field(default_factory=dict)
    told: dict[int, dict[str, float]] = field(default_factory=dict)
    told_at: float | None = None

    def use(self, product: str, acus: float) -> None:
        """Consume now."""
        day = self.days.setdefault(day_number(self.now - 8 * 3_600), {})
        day[product] = day.get(product, 0.0) + acus

    def restate(self, back: int, factor: float) -> None:
        """Bill a past day anew."""
        day = self.days.get(day_number(self.now - 8 * 3_600) - back, {})
        for product in day:
            day[product] *= factor

    def windows(self) -> BillingWindows:
        """Cycles of a fixed number of days."""
        today = day_number(self.now - 8 * 3_600)
        start = today - (today - FIRST_DAY) % CYCLE_LENGTH
        cycle = Window(billing_day_start(start), billing_day_start(start + CYCLE_LENGTH))
        before = Window(cycle.start - CYCLE_LENGTH * DAY, cycle.start)
        return billing_windows(self.now, cycle=cycle, previous_cycle=before)

    def answer(self, ledger: Ledger) -> None:
        """Tell the ledger everything, without the days that hold nothing."""
        windows = self.windows()
        days = range(day_number(windows.earliest) - 1, day_number(windows.today.start) + 2)
        uses = [
            DailyUsage(day, math.fsum(split.values()), split)
            for day, split in self.days.items()
            if any(split.values())
        ]
        ledger.record("it", EntityUsage.of(uses, requested_at=self.now, days=days))
        self.told = {day: dict(split) for day, split in self.days.items()}
        self.told_at = self.now


steps = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.sampled_from([1.0, 3_600.0, 7 * 3_600.0, 26 * 3_600.0])),
        st.tuples(st.just("until the boundary"), st.sampled_from([-1.0, 0.0, 1.0, 5.0])),
        st.tuples(st.sampled_from(["devin", "cascade", "new"]), st.floats(1e-6, 1e4)),
        st.tuples(st.just("restate"), st.floats(0.0, 2.0)),
        st.tuples(st.just("poll"), st.just(0.0)),
        st.tuples(st.just("failed poll"), st.just(0.0)),
    ),
    max_size=60,
)


def play(truth: Truth, ledger: Ledger, what: str, amount: float) -> None:
    match what:
        case "wait":
            truth.now += amount
        case "until the boundary":
            end = truth.windows().today.end
            truth.now = max(truth.now, end + amount)
        case "restate":
            truth.restate(back=1 + int(amount * 3), factor=amount)
        case "poll":
            truth.answer(ledger)
        case "failed poll":
            ledger.attempts.note("it", truth.now)
        case product:
            truth.use(product, amount)


@settings(max_examples=300, deadline=None)
@given(steps)
def test_what_is_published_is_what_the_ledger_said_or_absent_for_a_named_reason(
    history: list[tuple[str, float]],
) -> None:
    truth = Truth(billing_day_start(FIRST_DAY) + 3_600)
    ledger = Ledger()
    for what, amount in history:
        play(truth, ledger, what, amount)
        account = ledger.fresh(truth.now, MAX_AGE).get("it")
        for name, window in truth.windows().by_name().items():
            finished = name in {"yesterday", "previous_cycle"}
            asked = truth.told_at
            reasons = {
                "never answered": asked is None,
                "too old": asked is not None and truth.now >= asked + MAX_AGE,
                "the window ended since": asked is not None
                and asked < (window.end if finished else window.start),
            }
            shown = account is not None and account.is_final_at(window, truth.now)
            assert shown != any(reasons.values()), (name, reasons)
            if account is not None and shown:
                told: dict[str, float] = {}
                for day in window.days:
                    for product, acus in truth.told.get(day, {}).items():
                        told[product] = told.get(product, 0.0) + acus
                total = {p: acus for p, acus in account.total(window).items() if acus}
                expected = {p: acus for p, acus in told.items() if acus}
                assert total == pytest.approx(expected, abs=1e-6)


@settings(max_examples=200, deadline=None)
@given(steps)
def test_a_finished_day_told_after_its_end_holds_the_use_of_its_last_second(
    history: list[tuple[str, float]],
) -> None:
    truth = Truth(billing_day_start(FIRST_DAY) + 3_600)
    ledger = Ledger()
    for what, amount in history:
        play(truth, ledger, what, amount)
    truth.now = truth.windows().today.end - 1
    truth.use("devin", 123.0)
    truth.now += 1
    truth.answer(ledger)
    yesterday = truth.windows().yesterday
    shown = ledger.accounts()["it"].total(yesterday)["devin"]
    assert shown == pytest.approx(truth.days[day_number(yesterday.start)]["devin"], abs=1e-6)
    assert shown >= 123.0
