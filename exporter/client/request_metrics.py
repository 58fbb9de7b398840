"""The exporter's own metrics about its requests."""

from collections.abc import Callable
from functools import partial

from prometheus_client import CollectorRegistry

from exporter.client.rate_limit import Priority, Turns
from exporter.exposition.instruments import Counter, Histogram, LiveGauge
from exporter.metrics import Metric

REQUESTS = Metric(
    "devin_exporter_api_requests_total",
    "Requests sent, by the path's template and the response's status (or the reason why there "
    "was none).",
    ("source", "path", "status"),
    "counter",
)
DURATION = Metric(
    "devin_exporter_api_request_duration_seconds",
    "Time from sending a request to the end of its response.",
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
    "Requests per second that the source may send at most; after a 429 less than the setting.",
    ("source",),
)
WAITED = Metric(
    "devin_exporter_request_wait_seconds_total",
    "Time that requests waited for the rate limit.",
    ("source",),
    "counter",
)
QUEUED = Metric(
    "devin_exporter_api_requests_queued_total",
    "Requests that were to be sent, retries included, by their priority.",
    ("source", "priority"),
    "counter",
)
WAITING = Metric(
    "devin_exporter_api_requests_waiting",
    "Requests that wait for the rate limit or for one in flight to end, by their priority.",
    ("source", "priority"),
)
METRICS = (REQUESTS, DURATION, RETRIES, BUDGET, WAITED, QUEUED, WAITING)
BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class RequestMetrics:
    """The metrics about the requests of all sources."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(REQUESTS.name, REQUESTS.help, REQUESTS.labels, registry=registry)
        self.durations = Histogram(
            DURATION.name, DURATION.help, DURATION.labels, registry=registry, buckets=BUCKETS
        )
        self.retries = Counter(RETRIES.name, RETRIES.help, RETRIES.labels, registry=registry)
        self.budget = LiveGauge(BUDGET.name, BUDGET.help, BUDGET.labels, registry=registry)
        self.waited = Counter(WAITED.name, WAITED.help, WAITED.labels, registry=registry)
        self.queued = Counter(QUEUED.name, QUEUED.help, QUEUED.labels, registry=registry)
        self.waiting = LiveGauge(WAITING.name, WAITING.help, WAITING.labels, registry=registry)

    def watch(self, source: str, *, per_second: Callable[[], float], turns: Turns) -> None:
        """Publish a source's rate limit and what waits for it."""
        self.budget.follow(per_second, source)
        self.waited.labels(source)
        for priority in Priority:
            self.queued.labels(source, priority.label)
            self.waiting.follow(partial(turns.waiting, priority), source, priority.label)
