"""How many sessions wait to start: `GET /v3/enterprise/queue`."""

from collections.abc import Callable, Iterator

from pydantic import TypeAdapter

from exporter.http import Client
from exporter.metrics import Metric, Sample
from exporter.shapes import ApiModel, Count
from exporter.tasks import Answer, Snapshot, Task, while_fresh
from exporter.texts import Word

ENDPOINT = "/v3/enterprise/queue"
LONGEST_INTERVAL = 60.0
KNOWN_STATUSES = ("normal", "elevated", "high")

SIZE = Metric("devin_queue_size", "Sessions that wait to start.")
STATUS = Metric(
    "devin_queue_status",
    "The vendor's judgement of the queue: 1 for the present status, 0 for the others.",
    ("status",),
)
METRICS = (SIZE, STATUS)


class QueueAnswer(ApiModel):
    """The fields read of the queue endpoint."""

    queue_size: Count
    status: Word


SHAPE = TypeAdapter(QueueAnswer)


class Queue:
    """The queue as last seen."""

    def __init__(self, client: Client, clock: Callable[[], float]) -> None:
        self._client = client
        self._clock = clock
        self._answer: Answer[QueueAnswer] | None = None

    def task(self, poll_interval: float) -> Task:
        """The task that keeps it: every minute, or as often as everything else."""
        return Task(
            name="queue",
            source=self._client.source,
            interval=min(LONGEST_INTERVAL, poll_interval),
            metrics=METRICS,
            poll=self.poll,
            snapshot=self.snapshot,
        )

    def poll(self) -> None:
        """Ask for the queue. Raises `PollError`."""
        sent = self._clock()
        self._answer = Answer(sent, self._client.get(ENDPOINT, SHAPE))

    def snapshot(self, now: float, max_age: float) -> Snapshot:
        """Size and status, as long as the answer is young enough."""
        return while_fresh(self._answer, now, max_age, lambda told: _samples(told.value))


def _samples(queue: QueueAnswer) -> Iterator[Sample]:
    yield SIZE(queue.queue_size)
    for status in dict.fromkeys((*KNOWN_STATUSES, queue.status)):
        yield STATUS(1 if status == queue.status else 0, status=status)
