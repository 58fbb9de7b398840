"""Calls back every second, also while the clock is being set, and detects that it was set.

A timer that waits for a time of day would stop until a clock that was set back has caught up.
"""

import logging
import threading
from collections.abc import Callable
from datetime import datetime

from apscheduler.triggers.interval import IntervalTrigger

from exporter.client.response import CLOCK_STEP_SECONDS
from exporter.process import Timing

logger = logging.getLogger(__name__)

TICK_SECONDS = 1.0


class NonCatchingUpInterval(IntervalTrigger):  # type: ignore[misc] # APScheduler ships no type information
    """An interval that skips the runs that a jump of the clock has passed."""

    def get_next_fire_time(
        self, previous_fire_time: datetime | None, now: datetime
    ) -> datetime | None:
        """When to run next, at the earliest now."""
        following: datetime | None = super().get_next_fire_time(previous_fire_time, now)
        return following and max(following, now)


class Ticker:
    """Calls back every second, from its own thread, from `start` to `stop`.

    Args:
        tick: called every second.
        jumped: called before `tick` if the clock was set; takes the seconds, negative for back.
    """

    def __init__(
        self, timing: Timing, *, tick: Callable[[], None], jumped: Callable[[float], None]
    ) -> None:
        self._timing = timing
        self._tick = tick
        self._jumped = jumped
        self._ahead = self._clock_ahead()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ticker", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread; a running callback is not waited for."""
        self._stopped.set()

    def beat(self) -> None:
        """Check the clock, then call back."""
        ahead = self._clock_ahead()
        step, self._ahead = ahead - self._ahead, ahead
        if abs(step) > CLOCK_STEP_SECONDS:
            self._jumped(step)
        self._tick()

    def _clock_ahead(self) -> float:
        """The seconds by which the clock is ahead of the monotonic clock."""
        while True:
            before = self._timing.monotonic()
            clock = self._timing.clock()
            took = self._timing.monotonic() - before
            if took < CLOCK_STEP_SECONDS / 2:
                return clock - before

    def _run(self) -> None:
        while not self._stopped.wait(self._timing.timer(TICK_SECONDS)):
            try:
                self.beat()
            except Exception:
                logger.exception("cannot tick")
