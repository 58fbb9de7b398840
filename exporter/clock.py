"""What the time is, and how fast it passes."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """The one time of a process.

    Attributes:
        clock: Unix seconds; decides what is due, fresh and within a window.
        monotonic: seconds that nobody sets, to measure how long something takes.
        speed: how many seconds of both pass in one of the machine's, by which timers go.
    """

    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    speed: float = 1.0

    def timer(self, seconds: float) -> float:
        """The machine's seconds in which so many of ours pass."""
        return seconds / self.speed
