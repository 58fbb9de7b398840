"""Rows of lists that cannot be read, and are therefore left out."""

from collections.abc import Sequence

from exporter.client.http import Client
from exporter.client.response import first_expiry
from exporter.metrics import Metric
from exporter.scheduling.task import Snapshot, Task

UNREADABLE = Metric(
    "devin_unreadable_values",
    "Rows of the last response that cannot be read and are left out, by the path of the endpoint; "
    "a count or a sum that needs them is absent.",
    ("path",),
)
METRICS = (UNREADABLE,)


def task(client: Client, poll_interval: float, *, polled: Sequence[str]) -> Task:
    """The task that counts them after every poll.

    Args:
        polled: the tasks that poll.
    """

    def snapshot(now: float, max_age: float) -> Snapshot:
        fresh = client.unreadable.fresh(now, max_age)
        samples = (
            UNREADABLE(sum(each.value for each in responses), path=path)
            for path, responses in sorted(fresh.items())
        )
        requested = (each.requested_at for responses in fresh.values() for each in responses)
        return Snapshot(tuple(samples), expires=first_expiry(requested, max_age))

    return Task(
        name="unreadable",
        source=client.source,
        interval=poll_interval,
        metrics=METRICS,
        poll=None,
        snapshot=snapshot,
        depends_on=tuple(polled),
    )
