"""The contract between a source and the scheduler: a task is polled, then published."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Protocol

from exporter.metrics import Metric, Sample
from exporter.scheduling.kept import Kept


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a task publishes at one moment.

    Attributes:
        samples: all samples of the task.
        expires: Unix seconds at which the oldest published data becomes too old.
        expired_entities: entities (1 for a data set without any) whose data has expired.
        newest_day: start of the newest billing day in the data, in Unix seconds.
    """

    samples: tuple[Sample, ...] = ()
    expires: float = math.inf
    expired_entities: int = 0
    newest_day: float | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the present round over all entities has come.

    Attributes:
        done: entities requested in this round.
        total: all entities.
        remaining: seconds until the round is expected to be complete.
        first: whether it is the first round, in which data is still missing.
    """

    done: int
    total: int
    remaining: float
    first: bool

    @property
    def ratio(self) -> float:
        """The share of entities that were requested; 1 if there are none."""
        return self.done / self.total if self.total else 1.0


class TakeSnapshot(Protocol):
    """Makes a snapshot from what was polled so far. Pure: no I/O, no clock of its own."""

    def __call__(self, now: float, max_age: float) -> Snapshot:
        """The snapshot at `now` (Unix seconds), without data older than `max_age` seconds."""


def never_ends(_: float) -> float:
    """The next window end of a task without windows: never."""
    return math.inf


def always_everything() -> bool:
    """Each poll requests everything."""
    return True


def never_required() -> bool:
    """Readiness of the exporter does not depend on the task."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One data set of one source.

    Attributes:
        name: the label value in `devin_exporter_task_*`.
        source: the name of its source.
        interval: seconds from one poll's start to the next.
        metrics: the families that this task alone publishes.
        poll: requests the data and stores it; raises `errors.PollError`. None for a task that
            derives its samples from other tasks.
        snapshot: makes the samples from the stored data.
        next_window_end: at a moment, when the first of the running windows ends (both Unix
            seconds). A poll is due five seconds after that.
        depends_on: tasks that must be attempted before this one's first poll. This one is
            published again after each of their polls.
        republish_after: further tasks after whose polls this one is published again. Its first
            poll does not wait for them.
        notify_on_change: whether a change of its samples makes its dependents due.
        required_for_ready: whether the exporter is ready only once this task has succeeded.
        kept: the data that outlives the process.
        requested_everything: whether the last poll has requested everything. Its length then says
            how long data lives.
        progress: how far the round over its entities has come; None if it has none or does not
            know them.
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
    kept: tuple[Kept, ...] = ()
    requested_everything: Callable[[], bool] = always_everything
    progress: Callable[[], Progress | None] = lambda: None


def in_order_of_polls(tasks: Mapping[str, Task], name: str) -> list[Task]:
    """A task and all whose data it uses, directly or not, each after those it depends on."""
    used: dict[str, tuple[str, ...]] = {}
    waiting = [name]
    while waiting:
        task = tasks[waiting.pop()]
        if task.name not in used:
            used[task.name] = task.depends_on
            waiting += (*task.depends_on, *task.republish_after)
    return [tasks[each] for each in TopologicalSorter(used).static_order()]
