"""The ledger, by examples and by random histories of use, polls, failures and restatements."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.sources.devin.billing.day_start import DayStart
from exporter.sources.devin.billing.windows import (
    DAY,
    DOCUMENTED,
    LOS_ANGELES,
    BillingWindows,
    Calendar,
    Window,
    billing_day_start,
    billing_windows,
    day_number,
)
from exporter.sources.devin.consumption.ledger import Ledger
from exporter.sources.devin.consumption.usage import DailyUsage, EntityUsage
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


def used(acus: float, *, requested_at: float) -> EntityUsage:
    use = DailyUsage(104, acus, {"devin": acus})
    return EntityUsage.of([use], requested_at=requested_at, days=DAYS)


def test_an_earlier_response_that_comes_late_does_not_replace_a_later_one() -> None:
    ledger = Ledger()
    later = used(2.0, requested_at=NOON + 10)
    ledger.record("a", later, now=NOON + 11)
    assert ledger.record("a", used(1.0, requested_at=NOON), now=NOON + 12) == (later, later)
    assert ledger.accounts()["a"] is later


def test_a_response_from_the_future_is_replaced_by_one_of_now() -> None:
    ledger = Ledger()
    ledger.record("a", used(2.0, requested_at=NOON + 3_600), now=NOON + 3_600)
    ledger.record("a", used(1.0, requested_at=NOON), now=NOON + 1)
    assert ledger.accounts()["a"].total(window_of(104)) == {"devin": 1.0}


def test_a_comparison_alone_keeps_no_figure_fresh() -> None:
    ledger = Ledger(longest_age=21_600.0)
    ledger.record("a", used(1.0, requested_at=NOON))
    ledger.compared_at = NOON + 900
    assert ledger.fresh(NOON + 899, 900.0).keys() == {"a"}
    assert ledger.fresh(NOON + 900, 900.0).keys() == set()


def test_finished_searches_keep_figures_fresh_unless_they_expired_in_between() -> None:
    ledger = Ledger(longest_age=21_600.0)
    ledger.record("a", used(1.0, requested_at=NOON))
    for after in (300, 600, 900):
        ledger.searched(NOON + after, longest_gap=900.0)
    assert ledger.fresh(NOON + 1_799, 900.0).keys() == {"a"}
    assert ledger.fresh(NOON + 1_800, 900.0).keys() == set()
    ledger.searched(NOON + 7_200, longest_gap=900.0)
    assert ledger.fresh(NOON + 7_200, 900.0).keys() == set()
    assert ledger.expiring(NOON + 7_500, 900.0, now=NOON + 7_200) == ["a"]
    ledger.confirmed_at = NOON + 7_200
    assert ledger.fresh(NOON + 8_099, 900.0).keys() == {"a"}


CYCLE_LENGTH = 5
MAX_AGE = 6 * 3_600.0
CALENDARS = {"documented": DOCUMENTED, "los angeles": LOS_ANGELES}
BEGINNINGS = {
    "in winter": day_number(at("2026-02-10 12:00:00")),
    "in summer": day_number(at("2026-07-01 12:00:00")),
    "before the clocks go forward": day_number(at("2026-03-06 12:00:00")),
    "before the clocks go back": day_number(at("2026-10-30 12:00:00")),
}


@dataclass
class Truth:
    """What the vendor knows: ACUs by day and product, and what was told at the last answer."""

    calendar: Calendar
    first_day: int
    now: float = 0.0
    days: dict[int, dict[str, float]] = field(default_factory=dict)
    told: dict[int, dict[str, float]] = field(default_factory=dict)
    told_at: float | None = None
    day_start: DayStart = field(default_factory=DayStart)

    def __post_init__(self) -> None:
        self.now = self.calendar.start_of(self.first_day) + 3_600

    def use(self, product: str, acus: float) -> None:
        """Consume now."""
        day = self.days.setdefault(self.calendar.number(self.now), {})
        day[product] = day.get(product, 0.0) + acus

    def restate(self, back: int, factor: float) -> None:
        """Bill a past day anew."""
        day = self.days.get(self.calendar.number(self.now) - back, {})
        for product in day:
            day[product] *= factor

    def by_calendar(self, calendar: Calendar) -> BillingWindows:
        """Cycles of a fixed number of days."""
        today = calendar.number(self.now)
        start = today - (today - self.first_day) % CYCLE_LENGTH
        cycle = calendar.span(range(start, start + CYCLE_LENGTH))
        before = calendar.span(range(start - CYCLE_LENGTH, start))
        return billing_windows(self.now, cycle=cycle, previous_cycle=before, calendar=calendar)

    def windows(self) -> BillingWindows:
        """The windows by all that was told so far of when days start."""
        own, *others = map(self.by_calendar, self.day_start.calendars())
        return replace(own, others=tuple(others))

    def answer(self, ledger: Ledger) -> None:
        """Tell the ledger everything, without the days that hold nothing."""
        windows = self.windows()
        days = range(day_number(windows.earliest) - 1, day_number(windows.today.start) + 2)
        uses = [
            DailyUsage(day, math.fsum(split.values()), split)
            for day, split in self.days.items()
            if any(split.values())
        ]
        starts = [self.calendar.start_of(use.day) for use in uses]
        self.day_start.observe(starts, requested_at=self.now)
        ledger.record("it", EntityUsage.of(uses, requested_at=self.now, days=days))
        self.told = {day: dict(split) for day, split in self.days.items()}
        self.told_at = self.now


steps = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.sampled_from([1.0, 3_600.0, 7 * 3_600.0, 26 * 3_600.0])),
        st.tuples(
            st.just("until the boundary"), st.sampled_from([-1_800.0, -1.0, 0.0, 1.0, 5.0, 1_800.0])
        ),
        st.tuples(st.sampled_from(["devin", "cascade", "new"]), st.floats(1e-6, 1e4)),
        st.tuples(st.just("restate"), st.floats(0.0, 2.0)),
        st.tuples(st.just("poll"), st.just(0.0)),
        st.tuples(st.just("failed poll"), st.just(0.0)),
    ),
    max_size=60,
)
each_calendar = pytest.mark.parametrize("calendar", CALENDARS.values(), ids=CALENDARS)
each_beginning = pytest.mark.parametrize("first_day", BEGINNINGS.values(), ids=BEGINNINGS)


def play(truth: Truth, ledger: Ledger, what: str, amount: float) -> None:
    match what:
        case "wait":
            truth.now += amount
        case "until the boundary":
            end = truth.by_calendar(truth.calendar).today.end
            truth.now = max(truth.now, end + amount)
        case "restate":
            truth.restate(back=1 + int(amount * 3), factor=amount)
        case "poll":
            truth.answer(ledger)
        case "failed poll":
            ledger.attempts.note("it", truth.now)
        case product:
            truth.use(product, amount)


def summed(told: Mapping[int, Mapping[str, float]], days: range) -> dict[str, float]:
    """ACUs by product over some days, without those that have none."""
    total: dict[str, float] = {}
    for day in days:
        for product, acus in told.get(day, {}).items():
            total[product] = total.get(product, 0.0) + acus
    return {product: acus for product, acus in total.items() if acus}


@each_beginning
@each_calendar
@settings(max_examples=100, deadline=None)
@given(steps)
def test_what_is_published_is_what_the_ledger_said_or_absent_for_a_named_reason(
    calendar: Calendar, first_day: int, history: list[tuple[str, float]]
) -> None:
    truth = Truth(calendar, first_day)
    ledger = Ledger()
    for what, amount in history:
        play(truth, ledger, what, amount)
        account = ledger.fresh(truth.now, MAX_AGE).get("it")
        windows, true = truth.windows(), truth.by_calendar(calendar).by_name()
        running = {each.number(truth.now) for each in truth.day_start.calendars()}
        asked = truth.told_at
        for name, window in windows.by_name().items():
            finished = name in {"yesterday", "previous_cycle"}
            certain = name in windows.certain()
            reasons = {
                "never answered": asked is None,
                "too old": asked is not None and truth.now >= asked + MAX_AGE,
                "the window ended since": asked is not None
                and asked < (window.end if finished else window.start),
                "not certain which day is running": not certain,
            }
            assert certain or len(running) > 1
            shown = certain and account is not None and account.is_final_at(window, truth.now)
            assert shown != any(reasons.values()), (name, reasons)
            if account is not None and asked is not None and shown:
                assert window.days == true[name].days
                assert asked >= (true[name].end if finished else true[name].start)
                total = {p: acus for p, acus in account.total(window).items() if acus}
                assert total == pytest.approx(summed(truth.told, window.days), abs=1e-6)


@each_beginning
@each_calendar
@settings(max_examples=50, deadline=None)
@given(steps)
def test_a_finished_day_told_after_its_end_holds_the_use_of_its_last_second(
    calendar: Calendar, first_day: int, history: list[tuple[str, float]]
) -> None:
    truth = Truth(calendar, first_day)
    ledger = Ledger()
    for what, amount in history:
        play(truth, ledger, what, amount)
    truth.now = truth.by_calendar(calendar).today.end - 1
    truth.use("devin", 123.0)
    truth.now += 1
    truth.answer(ledger)
    yesterday = truth.by_calendar(calendar).yesterday
    shown = ledger.accounts()["it"].total(yesterday)["devin"]
    assert shown == pytest.approx(truth.days[day_number(yesterday.start)]["devin"], abs=1e-6)
    assert shown >= 123.0


@each_beginning
@each_calendar
def test_every_moment_of_a_week_but_one_hour_a_day_at_most_has_its_windows(
    calendar: Calendar, first_day: int
) -> None:
    truth = Truth(calendar, first_day)
    parted: set[str] = set()
    for quarter in range(7 * 96):
        truth.now = billing_day_start(first_day) + quarter * 900
        truth.use("devin", 1.0)
        truth.answer(Ledger())
        of_day = {"today", "yesterday"} & truth.windows().certain().keys()
        moment = datetime.fromtimestamp(truth.now, UTC)
        assert of_day == {"today", "yesterday"} or moment.hour == 7
        if not of_day:
            parted.add(f"{moment:%m-%d}")
    summer = [
        f"{datetime.fromtimestamp(day * DAY, UTC):%m-%d}"
        for day in range(first_day + 1, first_day + 8)
        if LOS_ANGELES.start_of(day) != DOCUMENTED.start_of(day)
    ]
    if calendar is DOCUMENTED:
        # Only until the first day of summer has been seen.
        started_in_winter = LOS_ANGELES.start_of(first_day) == DOCUMENTED.start_of(first_day)
        summer = summer[:1] if started_in_winter else []
    assert sorted(parted) == summer
