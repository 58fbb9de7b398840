"""The clocks of the process, and how fast they run."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """The clocks that the whole process uses.

    Attributes:
        clock: Unix seconds. It decides what is due, what is fresh and which window is running.
        monotonic: seconds of a clock that is never set, for durations.
        speed: seconds of both clocks per real second. Timers take real seconds.
    """

    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    speed: float = 1.0

    def timer(self, seconds: float) -> float:
        """Convert seconds of these clocks to the real seconds of a timer."""
        return seconds / self.speed
