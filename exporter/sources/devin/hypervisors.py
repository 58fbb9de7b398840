"""Hypervisors of a dedicated deployment: `GET /v3/enterprise/hypervisors`."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Annotated

from pydantic import Field, TypeAdapter

from exporter.http import Client
from exporter.metrics import Metric, Sample
from exporter.shapes import ApiModel, Page
from exporter.sources.devin.fields import Id
from exporter.tasks import Answer, Snapshot, Task, while_fresh
from exporter.texts import Word

ENDPOINT = "/v3/enterprise/hypervisors"
PER_CENT = 100

COUNT = Metric("devin_hypervisors", "Hypervisors of a dedicated deployment by status.", ("status",))
UTILIZATION = Metric(
    "devin_hypervisor_utilization_ratio",
    "How much of a hypervisor is in use, from 0 to 1.",
    ("hypervisor_id",),
)
METRICS = (COUNT, UTILIZATION)


class Hypervisor(ApiModel):
    """The fields read of a hypervisor."""

    hypervisor_id: Id
    status: Word
    utilization_percentage: Annotated[float, Field(ge=0, le=10**6)]


SHAPE = TypeAdapter(Page[Hypervisor])


class Hypervisors:
    """The hypervisors as last seen."""

    def __init__(self, client: Client, clock: Callable[[], float]) -> None:
        self._client = client
        self._clock = clock
        self._answer: Answer[dict[str, Hypervisor]] | None = None

    def task(self, poll_interval: float) -> Task:
        """The task that keeps them."""
        return Task(
            name="hypervisors",
            source=self._client.source,
            interval=poll_interval,
            metrics=METRICS,
            poll=self.poll,
            snapshot=self.snapshot,
        )

    def poll(self) -> None:
        """Ask for all of them, whatever their status. Raises `PollError`."""
        sent = self._clock()
        items = self._client.get_list(ENDPOINT, SHAPE, params={"status": "all"})
        self._answer = Answer(sent, {item.hypervisor_id: item for item in items})

    def snapshot(self, now: float, max_age: float) -> Snapshot:
        """Counts by status and utilization, as long as the answer is young enough."""
        return while_fresh(self._answer, now, max_age, lambda told: _samples(told.value))


def _samples(items: dict[str, Hypervisor]) -> Iterator[Sample]:
    statuses = Counter(item.status for item in items.values())
    for status, count in sorted(statuses.items()):
        yield COUNT(count, status=status)
    for hypervisor_id, item in items.items():
        yield UTILIZATION(item.utilization_percentage / PER_CENT, hypervisor_id=hypervisor_id)
