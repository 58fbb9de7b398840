"""What requests cost: the budget that they are paid from, and the figures about them."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from exporter.metrics import Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How hard a client may work.

    Attributes:
        requests_per_second: over all requests, retries included; never exceeded.
        concurrency: requests in flight.
        attempt_seconds: the longest that one attempt may take, from connecting to its last byte.
    """

    requests_per_second: float
    concurrency: int
    attempt_seconds: float = 30.0


REQUESTS = Metric(
    "devin_exporter_api_requests_total",
    "Requests sent, by the path's template and the answer's status (or the reason why there "
    "was none).",
    ("source", "path", "status"),
    "counter",
)
DURATION = Metric(
    "devin_exporter_api_request_duration_seconds",
    "Time from sending a request to the end of its answer.",
    ("source", "path"),
    "histogram",
)
RETRIES = Metric(
    "devin_exporter_api_retries_total",
    "Requests sent again, by what the attempt before failed with.",
    ("source", "reason"),
    "counter",
)
BUDGET = Metric(
    "devin_exporter_request_budget_per_second",
    "Requests per second that the source may send at most.",
    ("source",),
)
WAITED = Metric(
    "devin_exporter_request_wait_seconds_total",
    "Time that requests waited for the budget.",
    ("source",),
    "counter",
)
METRICS = (REQUESTS, DURATION, RETRIES, BUDGET, WAITED)
BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class RequestMetrics:
    """The exporter's own figures about requests, for all sources together."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(REQUESTS.name, REQUESTS.help, REQUESTS.labels, registry=registry)
        self.durations = Histogram(
            DURATION.name, DURATION.help, DURATION.labels, registry=registry, buckets=BUCKETS
        )
        self.retries = Counter(RETRIES.name, RETRIES.help, RETRIES.labels, registry=registry)
        self.budget = Gauge(BUDGET.name, BUDGET.help, BUDGET.labels, registry=registry)
        self.waited = Counter(WAITED.name, WAITED.help, WAITED.labels, registry=registry)


class Budget:
    """Spaces requests evenly, so that no second ever holds more than the rate."""

    def __init__(self, per_second: float, monotonic: Callable[[], float]) -> None:
        self._gap = 1 / per_second
        self._monotonic = monotonic
        self._turn = threading.Lock()
        self._next = monotonic()
        self._held_until = self._next

    def take(self, pause: Callable[[float], None]) -> float:
        """Wait for a slot with `pause` (seconds); returns the seconds that it took."""
        began = self._monotonic()
        with self._turn:
            while (wait := max(self._next, self._held_until) - self._monotonic()) > 0:
                pause(wait)
            now = self._monotonic()
            self._next = now + self._gap
        return now - began

    def hold(self, seconds: float) -> None:
        """Give out no slot within the next `seconds`."""
        self._held_until = max(self._held_until, self._monotonic() + seconds)


def retry_after_seconds(header: str | None, now: float) -> float | None:
    """How long a `Retry-After` header (seconds or a date) asks to wait; None if it makes no sense.

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
