"""The tasks of the gateway that a token or a gateway may lack."""

from collections.abc import Callable
from typing import TypeVar

from exporter.client.http import Client
from exporter.errors import NotFoundError, PermissionMissingError
from exporter.metrics import Metric
from exporter.scheduling.task import Task, never_ends
from exporter.sources.last_response import LastResponse
from exporter.sources.optional import OptionalEndpoint

T = TypeVar("T")

OPTIONAL = "not for every token or gateway"


def optional_task(
    client: Client,
    name: str,
    last: LastResponse[T],
    *,
    interval: float,
    metrics: tuple[Metric, ...],
    next_window_end: Callable[[float], float] = never_ends,
) -> Task:
    """A task that is off while the gateway refuses its endpoint or has none."""
    poll = OptionalEndpoint(
        last.poll,
        absent=(NotFoundError, PermissionMissingError),
        after_success=False,
        because=lambda absent: f"{OPTIONAL}: {absent}",
    )
    return Task(
        name=name,
        source=client.source,
        interval=interval,
        metrics=metrics,
        poll=poll,
        snapshot=last.snapshot,
        next_window_end=next_window_end,
    )
