"""The rate limit of the web configuration: a token bucket over all requests."""

from collections.abc import Callable

from exporter.web.config.document import RateLimit


class TokenBucket:
    """Holds `burst` tokens, and one more each `interval` seconds. Use it in one thread.

    Args:
        monotonic: seconds.
    """

    def __init__(self, limit: RateLimit, monotonic: Callable[[], float]) -> None:
        self.limit = limit
        self._monotonic = monotonic
        self._tokens = float(limit.burst)
        self._filled = monotonic()

    def take(self) -> bool:
        """Take a token for a request; False if there is none. Without an interval all may pass."""
        if not self.limit.interval:
            return True
        now = self._monotonic()
        gained = (now - self._filled) / self.limit.interval
        self._tokens = min(float(self.limit.burst), self._tokens + gained)
        self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
