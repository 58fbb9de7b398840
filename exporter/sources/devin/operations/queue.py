"""Sessions that wait to start: `GET /v3/enterprise/queue`."""

from collections.abc import Callable, Iterator

from pydantic import TypeAdapter

from exporter.client.endpoint import Endpoint, Request
from exporter.client.http import Client
from exporter.client.models import Count, ResponseModel
from exporter.client.rate_limit import Priority
from exporter.client.response import Response
from exporter.exposition.text import Word
from exporter.metrics import Metric, Sample
from exporter.scheduling.task import Task
from exporter.sources.devin import keys
from exporter.sources.last_response import LastResponse

LONGEST_INTERVAL = 60.0
KNOWN_STATUSES = ("normal", "elevated", "high")

SIZE = Metric("devin_queue_size", "Sessions that wait to start.")
STATUS = Metric(
    "devin_queue_status",
    "The vendor's judgement of the queue: 1 for the present status, 0 for the others.",
    ("status",),
)
METRICS = (SIZE, STATUS)


class QueueResponse(ResponseModel):
    """The fields read of the queue endpoint."""

    queue_size: Count
    status: Word


ENDPOINT = Endpoint(
    path="/v3/enterprise/queue",
    response=TypeAdapter(QueueResponse),
    feeds="queue",
    permission=keys.VIEW_METRICS,
    keys=keys.ENTERPRISE_ONLY,
)


def task(client: Client, clock: Callable[[], float], poll_interval: float) -> Task:
    """The task that polls the queue: every minute, or more often if `poll_interval` is shorter."""
    last = LastResponse(
        clock,
        fetch=lambda: client.get(Request(endpoint=ENDPOINT, priority=Priority.QUEUE)),
        samples=_samples,
    )
    return Task(
        name="queue",
        source=client.source,
        interval=min(LONGEST_INTERVAL, poll_interval),
        metrics=METRICS,
        poll=last.poll,
        snapshot=last.snapshot,
    )


def _samples(response: Response[QueueResponse], _: float) -> Iterator[Sample]:
    queue = response.value
    yield SIZE(queue.queue_size)
    for status in dict.fromkeys((*KNOWN_STATUSES, queue.status)):
        yield STATUS(1 if status == queue.status else 0, status=status)
