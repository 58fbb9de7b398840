"""The beat that notices when the machine's clock is set."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from exporter.client.response import CLOCK_STEP_SECONDS, is_fresh
from exporter.process import Timing
from exporter.scheduling.ticker import NonCatchingUpInterval, Ticker
from tests.support.limits import HANG_SECONDS
from tests.support.rig import Clock


class Beaten:
    """A ticker on two clocks, and what it called back."""

    def __init__(self) -> None:
        self.clock, self.monotonic = Clock(1_000_000.0), Clock(50.0)
        self.ticks = 0
        self.jumps: list[float] = []
        timing = Timing(self.clock, self.monotonic)
        self.ticker = Ticker(timing, tick=self.tick, jumped=self.jumps.append)

    def tick(self) -> None:
        """Count."""
        self.ticks += 1

    def pass_(self, seconds: float, *, set_by: float = 0.0) -> None:
        """Let time pass, and set the clock meanwhile."""
        self.monotonic.now += seconds
        self.clock.now += seconds + set_by
        self.ticker.beat()


@pytest.mark.parametrize("seconds", [0.0, 1.0, 90.0])
def test_time_that_passes_is_no_jump(seconds: float) -> None:
    beaten = Beaten()
    for _ in range(3):
        beaten.pass_(seconds)
    assert (beaten.ticks, beaten.jumps) == (3, [])


@pytest.mark.parametrize("step", [3_600.0, -3_600.0, CLOCK_STEP_SECONDS + 0.1])
def test_a_clock_that_is_set_is_told_once(step: float) -> None:
    beaten = Beaten()
    beaten.pass_(1.0)
    beaten.pass_(1.0, set_by=step)
    beaten.pass_(1.0)
    assert beaten.jumps == [pytest.approx(step)]


def test_small_steps_are_none_even_if_they_add_up() -> None:
    beaten = Beaten()
    for _ in range(10):
        beaten.pass_(1.0, set_by=-CLOCK_STEP_SECONDS / 2)
    assert beaten.jumps == []


def test_two_clocks_that_are_not_read_at_once_are_read_again() -> None:
    beaten = Beaten()
    readings = iter([0.0, 5.0, 6.0, 6.1])
    interrupted = Timing(beaten.clock, lambda: beaten.monotonic() + next(readings, 6.1))
    ticker = Ticker(interrupted, tick=beaten.tick, jumped=beaten.jumps.append)
    beaten.clock.now += 6.1
    ticker.beat()
    assert beaten.jumps == [pytest.approx(6.1, abs=0.2)]


def test_a_clock_that_jumps_over_decades_makes_one_run_due() -> None:
    every = NonCatchingUpInterval(seconds=60, timezone=UTC)
    now = datetime(2026, 3, 1, tzinfo=UTC)
    due = [datetime(1970, 1, 1, tzinfo=UTC)]
    while due[-1] <= now and len(due) < 10:
        following = every.get_next_fire_time(due[-1], now)
        assert following is not None
        due.append(following)
    assert due[1:] == [now, now + timedelta(seconds=60)]


def test_it_beats_on_where_a_tick_fails() -> None:
    beats = threading.Semaphore(0)

    def tick() -> None:
        beats.release()
        raise RuntimeError("once more")

    ticker = Ticker(Timing(speed=1_000), tick=tick, jumped=lambda _: None)
    ticker.start()
    assert beats.acquire(timeout=HANG_SECONDS)
    assert beats.acquire(timeout=HANG_SECONDS)
    ticker.stop()


def test_an_answer_from_the_future_is_not_fresh() -> None:
    assert is_fresh(requested_at=100.0, now=100.0, max_age=10.0)
    assert is_fresh(requested_at=100.0, now=100.0 - CLOCK_STEP_SECONDS, max_age=10.0)
    assert not is_fresh(requested_at=100.0, now=98.0, max_age=10.0)
    assert not is_fresh(requested_at=100.0, now=110.0, max_age=10.0)
