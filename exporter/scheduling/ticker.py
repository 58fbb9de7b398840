"""A second's beat that goes on whatever becomes of the machine's clock, and notices when it is set.

Timers that wait for a time of day stand still while a clock that was set back catches up.
"""

import logging
import threading
from collections.abc import Callable
from datetime import datetime

from apscheduler.triggers.interval import IntervalTrigger

from exporter.client.response import CLOCK_STEP_SECONDS
from exporter.clock import Timing

logger = logging.getLogger(__name__)

TICK_SECONDS = 1.0


class NonCatchingUpInterval(IntervalTrigger):  # type: ignore[misc] # APScheduler ships no type information
    """Run again and again; runs that a clock's jump has left behind are not counted one by one."""

    def get_next_fire_time(
        self, previous_fire_time: datetime | None, now: datetime
    ) -> datetime | None:
        """When to run after a run, at the earliest now."""
        following: datetime | None = super().get_next_fire_time(previous_fire_time, now)
        return following and max(following, now)


class Ticker:
    """Calls back every second from a thread of its own, from `start` to `stop`.

    Args:
        tick: called at every beat.
        jumped: called before it with the seconds, negative for back, by which the clock was set.
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
        """Begin to beat."""
        self._thread.start()

    def stop(self) -> None:
        """Beat no more."""
        self._stopped.set()

    def beat(self) -> None:
        """One beat."""
        ahead = self._clock_ahead()
        step, self._ahead = ahead - self._ahead, ahead
        if abs(step) > CLOCK_STEP_SECONDS:
            self._jumped(step)
        self._tick()

    def _clock_ahead(self) -> float:
        """By how much the clock is ahead of the monotonic one, which is read at the same time."""
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
