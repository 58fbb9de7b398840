"""The rate limit of an API, shared by all of its requests."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime


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
    """Spaces requests evenly, so that no second ever holds more than the rate."""

    def __init__(self, per_second: float, monotonic: Callable[[], float]) -> None:
        self._gap = 1 / per_second
        self._monotonic = monotonic
        self._turn = threading.Lock()
        self._next = monotonic()
        self._paused_until = self._next

    def acquire(self, pause: Callable[[float], None]) -> float:
        """Wait for a slot with `pause` (seconds); returns the seconds that it took."""
        began = self._monotonic()
        with self._turn:
            while (wait := max(self._next, self._paused_until) - self._monotonic()) > 0:
                pause(wait)
            now = self._monotonic()
            self._next = now + self._gap
        return now - began

    def pause_for(self, seconds: float) -> None:
        """Grant no slot within the next `seconds`."""
        self._paused_until = max(self._paused_until, self._monotonic() + seconds)


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
