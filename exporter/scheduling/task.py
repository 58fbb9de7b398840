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
        missing: entities (1 for a data set without any) whose data has expired.
        newest_day: start of the newest billing day in the data, in Unix seconds.
    """

    samples: tuple[Sample, ...] = ()
    expires: float = math.inf
    missing: int = 0
    newest_day: float | None = None


class TakeSnapshot(Protocol):
    """Pure: from what was polled so far to what holds at `now`, without any I/O."""

    def __call__(self, now: float, max_age: float) -> Snapshot:
        """Leave out what is older than `max_age` seconds at `now` (Unix seconds)."""


def never(_: float) -> float:
    """When a window ends where there is none."""
    return math.inf


def no() -> bool:
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
        poll: asks the API and remembers; raises `errors.PollError`. None for a task that only
            derives from what others have polled.
        snapshot: what to publish of what is remembered.
        next_end: when the first of its windows that run at a moment ends (both Unix seconds);
            a poll is due five seconds later.
        after: tasks to be attempted before this one's first poll; this one is published again
            after each of theirs.
        reads: further tasks after each of whose polls this one is published again, without
            waiting for their first.
        announces: whether those that read it are due again when what it publishes has changed.
        main: whether the exporter is, at present, ready only once this has succeeded.
    """

    name: str
    source: str
    interval: float
    metrics: tuple[Metric, ...]
    poll: Callable[[], None] | None
    snapshot: TakeSnapshot
    next_end: Callable[[float], float] = never
    after: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    announces: bool = False
    main: Callable[[], bool] = no
