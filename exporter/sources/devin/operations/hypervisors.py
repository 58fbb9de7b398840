"""Hypervisors of a dedicated deployment: `GET /v3/enterprise/hypervisors`."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Annotated

from pydantic import Field, TypeAdapter

from exporter.client.endpoint import Endpoint, Request
from exporter.client.http import Client
from exporter.client.models import Id, Listing, ListPage, ResponseModel
from exporter.client.response import Response
from exporter.exposition.text import Word
from exporter.metrics import Metric, Sample
from exporter.scheduling.task import Task
from exporter.sources.devin import keys
from exporter.sources.last_response import LastResponse

PER_CENT = 100

COUNT = Metric("devin_hypervisors", "Hypervisors of a dedicated deployment by status.", ("status",))
UTILIZATION = Metric(
    "devin_hypervisor_utilization_ratio",
    "How much of a hypervisor is in use, from 0 to 1.",
    ("hypervisor_id",),
)
METRICS = (COUNT, UTILIZATION)


class Hypervisor(ResponseModel):
    """The fields read of a hypervisor."""

    hypervisor_id: Id
    status: Word
    utilization_percentage: Annotated[float, Field(ge=0, le=10**6)]


ENDPOINT = Endpoint(
    path="/v3/enterprise/hypervisors",
    response=TypeAdapter(ListPage[Hypervisor]),
    feeds="hypervisors",
    permission=keys.VIEW_INFRASTRUCTURE,
    keys=keys.ENTERPRISE_ONLY,
    optional=keys.NOT_HERE,
)


def task(client: Client, clock: Callable[[], float], poll_interval: float) -> Task:
    """The task that polls all hypervisors, whatever their status."""
    request = Request(endpoint=ENDPOINT, params={"status": "all"})
    last = LastResponse(clock, fetch=lambda: client.get_list(request), samples=_samples)
    return Task(
        name="hypervisors",
        source=client.source,
        interval=poll_interval,
        metrics=METRICS,
        poll=last.poll,
        snapshot=last.snapshot,
    )


def _samples(response: Response[Listing[Hypervisor]], _: float) -> Iterator[Sample]:
    items = {item.hypervisor_id: item for item in response.value}
    statuses = Counter(item.status for item in items.values())
    if not response.value.unreadable:
        for status, count in sorted(statuses.items()):
            yield COUNT(count, status=status)
    for hypervisor_id, item in items.items():
        yield UTILIZATION(item.utilization_percentage / PER_CENT, hypervisor_id=hypervisor_id)
