"""The only contract between a source and the rest: a task that is polled and then published."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from exporter.metrics import Metric, Sample


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a task knows at one moment.

    Attributes:
        samples: what to publish now.
        expires: Unix seconds at which the oldest published data becomes too old.
        expired_entities: entities (1 for a data set without any) whose data has expired.
        newest_day: start of the newest billing day in the data, in Unix seconds.
    """

    samples: tuple[Sample, ...] = ()
    expires: float = math.inf
    expired_entities: int = 0
    newest_day: float | None = None


class TakeSnapshot(Protocol):
    """Pure: from what was polled so far to what holds at `now`, without any I/O."""

    def __call__(self, now: float, max_age: float) -> Snapshot:
        """Leave out what is older than `max_age` seconds at `now` (Unix seconds)."""


def never_ends(_: float) -> float:
    """When a window ends where there is none."""
    return math.inf


def never_required() -> bool:
    """Never."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One data set of one source.

    Attributes:
        name: the label value in `devin_exporter_task_*`.
        source: the source whose key and client it uses.
        interval: seconds from one poll's start to the next.
        metrics: the families that this task alone publishes.
        poll: requests the data and stores it; raises `errors.PollError`. None for a task that
            derives its samples from what others have polled.
        snapshot: what to publish of what is stored.
        next_window_end: when the first of its windows that are running at a moment ends (both Unix
            seconds). A poll is due five seconds later.
        depends_on: tasks to be attempted before this one's first poll. This one is published again
            after each of theirs.
        republish_after: further tasks after whose polls this one is published again, without
            waiting for their first.
        notify_on_change: whether its dependents are due again when its published samples change.
        required_for_ready: whether the exporter is ready only once this task has succeeded.
    """

    name: str
    source: str
    interval: float
    metrics: tuple[Metric, ...]
    poll: Callable[[], None] | None
    snapshot: TakeSnapshot
    next_window_end: Callable[[float], float] = never_ends
    depends_on: tuple[str, ...] = ()
    republish_after: tuple[str, ...] = ()
    notify_on_change: bool = False
    required_for_ready: Callable[[], bool] = never_required
