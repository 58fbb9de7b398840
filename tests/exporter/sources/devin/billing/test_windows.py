"""The two calendars."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.sources.devin.billing.windows import (
    Window,
    billing_day,
    billing_month,
    billing_windows,
    covering,
    day_number,
    ending_on,
    utc_day,
    utc_month,
    utc_week,
)
from tests.support.rig import at

MOMENTS = st.integers(min_value=0, max_value=int(at("2100-01-01 00:00:00")))


@pytest.mark.parametrize("clock", ["00:00:00", "07:00:00", "08:00:00"])
def test_a_billing_day_is_known_by_its_utc_date(clock: str) -> None:
    assert day_number(at(f"2026-03-01 {clock}")) == day_number(at("2026-03-01 08:00:00"))


def test_milliseconds_are_recognized() -> None:
    moment = at("2026-03-01 08:00:00")
    assert day_number(moment * 1_000) == day_number(moment)


def test_the_billing_day_turns_at_eight_in_winter_and_in_summer() -> None:
    for date in ("2026-01-15", "2026-07-15"):
        assert billing_day(at(f"{date} 07:59:59.9")).end == at(f"{date} 08:00:00")
        assert billing_day(at(f"{date} 08:00:00")).start == at(f"{date} 08:00:00")


def test_weeks_start_on_monday_and_months_on_the_first() -> None:
    sunday, monday = at("2026-03-01 23:59:59"), at("2026-03-02 00:00:00")
    assert utc_week(sunday) == Window(at("2026-02-23 00:00:00"), monday)
    assert utc_week(monday).start == monday
    assert utc_month(sunday) == Window(at("2026-03-01 00:00:00"), at("2026-04-01 00:00:00"))
    assert utc_month(at("2026-12-31 23:59:59")).end == at("2027-01-01 00:00:00")


def test_a_billing_month_turns_on_the_first_at_eight() -> None:
    assert billing_month(at("2026-03-01 07:59:59")).start == at("2026-02-01 08:00:00")
    assert billing_month(at("2026-03-01 08:00:00")).start == at("2026-03-01 08:00:00")


@given(MOMENTS)
def test_every_moment_lies_in_its_windows(moment: int) -> None:
    for running in (billing_day, billing_month, utc_day, utc_week, utc_month):
        window = running(moment)
        assert moment in window
        assert running(window.end).start == window.end
        assert running(window.start) == window


@given(MOMENTS, MOMENTS)
def test_a_finished_window_is_told_only_from_its_end_on(sent: int, later: int) -> None:
    window = billing_day(sent)
    assert window.covers(sent, sent)
    assert not window.covers(sent, window.end + later)
    assert window.covers(window.end, window.end + later)


def test_without_a_known_cycle_any_two_months_are_covered() -> None:
    windows = billing_windows(at("2026-09-04 12:00:00"), cycle=None, previous_cycle=None)
    assert windows.earliest < at("2026-07-05 08:00:00")
    assert set(windows.by_name()) == {"today", "yesterday"}


def test_of_overlapping_windows_the_latest_start_counts() -> None:
    windows = [Window(0, 10), Window(5, 10)]
    assert covering(windows, 7) == Window(5, 10)
    assert covering(windows, 10) is None
    assert ending_on(windows, 10) == Window(5, 10)
    assert ending_on(windows, 200_000) is None
