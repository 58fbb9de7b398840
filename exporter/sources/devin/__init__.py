"""Devin's enterprise API v3: which data sets are read, and the tasks that keep them."""

from exporter.accounting import Limits
from exporter.http import Client
from exporter.sources.connection import Connection, Source, Surroundings
from exporter.sources.devin import (
    activity,
    consumption,
    cycles,
    directory,
    queue,
    session_metrics,
    unattributed,
)
from exporter.sources.devin.permissions import permission_of
from exporter.sources.devin.settings import DevinSettings
from exporter.tasks import Task

NAME = "devin"


def connect(settings: DevinSettings, surroundings: Surroundings) -> Connection | None:
    """Open the source; None if no key is set."""
    key = settings.key()
    if key is None:
        return None
    client = Client(
        source=NAME,
        base_url=settings.api_url,
        key=key,
        limits=Limits(
            requests_per_second=settings.requests_per_second, concurrency=settings.concurrency
        ),
        metrics=surroundings.request_metrics,
        stopping=surroundings.stopping,
        verify=settings.trust(),
        permission_of=permission_of,
        clock=surroundings.clock,
    )
    return Connection(NAME, client, tuple(_tasks(client, settings.poll_interval, surroundings)))


def _tasks(client: Client, interval: float, surroundings: Surroundings) -> list[Task]:
    clock = surroundings.clock
    billing = cycles.Cycles(client, clock)
    people = directory.Directory(client, clock)
    ledgers = consumption.Consumption(client, clock, windows=billing.windows, people=people)
    return [
        billing.task(interval),
        *people.tasks(interval),
        *ledgers.tasks(interval),
        unattributed.task(
            client.source, interval, ledgers=ledgers, people=people, windows=billing.windows
        ),
        *activity.Activity(client, clock, people).tasks(interval),
        session_metrics.SessionCounts(client, clock, billing.windows).task(interval),
        queue.Queue(client, clock).task(interval),
    ]


SOURCE = Source(
    name=NAME,
    settings=DevinSettings,
    wanted="DEVIN_SERVICE_USER_TOKEN or DEVIN_SERVICE_USER_TOKEN_FILE",
    metrics=(
        *cycles.METRICS,
        *directory.METRICS,
        *consumption.METRICS,
        *unattributed.METRICS,
        *activity.METRICS,
        *session_metrics.METRICS,
        *queue.METRICS,
    ),
    connect=connect,
)
