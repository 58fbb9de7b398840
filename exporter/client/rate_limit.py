"""The rate limit of an API, shared by all of its requests."""

import heapq
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import IntEnum
from itertools import count

RECOVERY_SECONDS = 600.0
"""After a 429, the rate returns from nothing to its setting in this time."""

LEAST_SHARE = 1 / 64
"""The rate never falls below this share of its setting."""


class Priority(IntEnum):
    """Which request is sent first when several wait; the first of these goes first."""

    QUEUE = 0
    TOTAL = 1
    LISTS = 2
    ORGANIZATIONS = 3
    MOVED = 4
    SWEEP = 5

    @property
    def label(self) -> str:
        """The label value in metrics."""
        return self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """The limits on one client's requests.

    Attributes:
        requests_per_second: over all requests, retries included; never exceeded.
        concurrency: requests in flight.
        attempt_seconds: the longest that one attempt may take, from connecting to its last byte.
    """

    requests_per_second: float
    concurrency: int
    attempt_seconds: float = 30.0


class RateLimiter:
    """Spaces requests evenly, so that no second ever holds more than the rate.

    A 429 halves the rate. It then recovers slowly, and never exceeds its setting.
    """

    def __init__(self, per_second: float, monotonic: Callable[[], float]) -> None:
        self._setting = per_second
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._reduced_to = per_second
        self._reduced_at = self._sent = self._paused_until = monotonic()
        self._first = True

    def per_second(self) -> float:
        """The present rate."""
        recovered = self._setting * (self._monotonic() - self._reduced_at) / RECOVERY_SECONDS
        return min(self._setting, self._reduced_to + recovered)

    def acquire(self, pause: Callable[[float], None]) -> float:
        """Wait for a slot with `pause` (seconds); returns the seconds that it took.

        Only one thread may call it at a time: see `Turns`.
        """
        began = self._monotonic()
        while (wait := self._next_slot() - self._monotonic()) > 0:
            pause(wait)
        now = self._monotonic()
        self._sent, self._first = now, False
        return now - began

    def _next_slot(self) -> float:
        slot = self._sent if self._first else self._sent + 1 / self.per_second()
        return max(slot, self._paused_until)

    def pause_for(self, seconds: float) -> None:
        """Grant no slot within the next `seconds`."""
        self._paused_until = max(self._paused_until, self._monotonic() + seconds)

    def reduce(self, *, sent: float) -> None:
        """Halve the rate, as a request was refused for it.

        Args:
            sent: when that request was sent (monotonic seconds). Of several requests that were
                sent before the rate was reduced, only the first one reduces it.
        """
        with self._lock:
            if sent >= self._reduced_at:
                lowest = self._setting * LEAST_SHARE
                self._reduced_to = max(lowest, self.per_second() / 2)
                self._reduced_at = self._monotonic()


class Turns:
    """Lets requests pass one by one, the most urgent first, and limits those in flight."""

    def __init__(self, in_flight: int) -> None:
        self._free = in_flight
        self._passing = False
        self._waiting: list[tuple[Priority, int]] = []
        self._tickets = count()
        self._changed = threading.Condition()

    @contextmanager
    def turn(self, priority: Priority, wait_for_slot: Callable[[], None]) -> Iterator[None]:
        """Be in flight, after a wait for the turn and then for a slot of the rate limit."""
        self._enter(priority)
        try:
            try:
                wait_for_slot()
            finally:
                with self._changed:
                    self._passing = False
                    self._changed.notify_all()
            yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify_all()

    def waiting(self, priority: Priority) -> int:
        """How many requests of a priority wait for their turn."""
        with self._changed:
            return sum(each is priority for each, _ in self._waiting)

    def _enter(self, priority: Priority) -> None:
        with self._changed:
            ticket = (priority, next(self._tickets))
            heapq.heappush(self._waiting, ticket)
            while self._passing or not self._free or self._waiting[0] != ticket:
                self._changed.wait()
            heapq.heappop(self._waiting)
            self._passing = True
            self._free -= 1


def retry_after_seconds(header: str | None, now: float) -> float | None:
    """The seconds to wait by a `Retry-After` header (seconds or a date); None if it is invalid.

    Args:
        now: Unix seconds.
    """
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - now)
    except (ValueError, OverflowError):
        return None
