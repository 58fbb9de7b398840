"""The last good samples and the outcome of each task, and the page made from them.

This is the only state that polls and web server share. Its parts are replaced whole and never
changed in place, so readers need no lock.
"""

import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from exporter.client.response import CLOCK_STEP_SECONDS
from exporter.errors import strip_traceback
from exporter.exposition.page import Page, Part
from exporter.exposition.render import Rendered, render
from exporter.metrics import Metric, Sample
from exporter.scheduling.task import Progress, Snapshot, Task

TASK_UP = Metric(
    "devin_exporter_task_up",
    "1 while the last attempt succeeded and no entity's data has expired. "
    "Absent before the first attempt.",
    ("task",),
)
ENTITIES_MISSING = Metric(
    "devin_exporter_task_entities_missing",
    "Entities (users, organizations; 1 for a data set that has none) whose data has expired.",
    ("task",),
)
LAST_SUCCESS = Metric(
    "devin_exporter_task_last_success_timestamp_seconds",
    "When the task last succeeded, in Unix seconds.",
    ("task",),
)
DURATION = Metric(
    "devin_exporter_task_duration_seconds", "How long the last attempt took.", ("task",)
)
SERIES = Metric("devin_exporter_task_series", "Series that the task publishes now.", ("task",))
DATA_TIMESTAMP = Metric(
    "devin_exporter_data_timestamp_seconds",
    "Start of the newest billing day in the data, in Unix seconds: polled is not new.",
    ("task",),
)
SWEEP_PROGRESS = Metric(
    "devin_exporter_sweep_progress_ratio",
    "Share of a task's entities that have been requested in the present round.",
    ("task",),
)
SWEEP_REMAINING = Metric(
    "devin_exporter_sweep_remaining_seconds",
    "Time after which the present round is expected to be complete.",
    ("task",),
)
METRICS = (
    TASK_UP,
    ENTITIES_MISSING,
    LAST_SUCCESS,
    DURATION,
    SERIES,
    DATA_TIMESTAMP,
    SWEEP_PROGRESS,
    SWEEP_REMAINING,
)

EXPIRY_PACE_SECONDS = 15.0
EXPIRY_PACE_INTERVALS = 0.05
EMPTY = Snapshot()
NOTHING = Rendered()
NO_PART = Part()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a task's last attempt ended.

    Attributes:
        ended: Unix seconds.
        duration: seconds.
        error: why it failed; None if it succeeded.
        last_success: Unix seconds of the last attempt that succeeded; None if there was none.
        full_run: seconds of the last attempt that requested everything; None if there was none.
    """

    ended: float
    duration: float
    error: Exception | None
    last_success: float | None
    full_run: float | None

    @property
    def full_seconds(self) -> float:
        """How long a run takes that requests everything: the last such run, or else this one."""
        return self.duration if self.full_run is None else self.full_run


@dataclass(frozen=True, slots=True)
class TaskState:
    """The state of one task.

    Attributes:
        running_since: Unix seconds; None while no poll is running.
        published_at: Unix seconds of the snapshot behind `rendered`.
        valid_until: Unix seconds from which a new snapshot is needed.
        unpublishable: why the last snapshot could not be published; None if it could.
        switched_off: why the task is off, which is no failure; None if it is on.
        earlier: whether the outcome is that of an earlier process.
    """

    task: Task
    running_since: float | None = None
    outcome: Outcome | None = None
    snapshot: Snapshot = EMPTY
    rendered: Rendered = NOTHING
    part: Part = NO_PART
    published_at: float = 0.0
    valid_until: float = math.inf
    unpublishable: str | None = None
    switched_off: str | None = None
    earlier: bool = False

    @property
    def attempted(self) -> bool:
        """Whether an attempt of this process has ended, with or without success."""
        ended = self.outcome is not None and not self.earlier
        return ended or self.switched_off is not None

    @property
    def known_before_polls(self) -> bool:
        """Whether there may be samples before the first poll: derived, or from what was kept."""
        return self.task.poll is None or bool(self.task.kept)

    @property
    def up(self) -> bool | None:
        """The value of `devin_exporter_task_up`; None before the first attempt."""
        if self.outcome is None:
            return None
        return not (self.outcome.error or self.snapshot.expired_entities or self.unpublishable)

    def max_age(self, now: float) -> float:
        """Seconds for which data is fresh: three intervals, or more for long runs.

        What the present run has received stays until its end; what is older expires meanwhile.
        """
        interval = self.task.interval
        present = 0.0 if self.running_since is None else now - self.running_since
        last = self.outcome.full_seconds if self.outcome else 0.0
        return max(3 * interval, 2 * last + interval, present + CLOCK_STEP_SECONDS)

    def progress(self) -> Progress | None:
        """How far the round over its entities has come; None without any, or while it is off."""
        progress = self.task.progress() if self.switched_off is None else None
        return progress if progress is not None and progress.total else None

    def samples(self) -> Iterator[Sample]:
        """Yield the state as `devin_exporter_task_*` and `devin_exporter_sweep_*`."""
        name = self.task.name
        progress = self.progress()
        if progress is not None:
            yield SWEEP_PROGRESS(progress.ratio, task=name)
            yield SWEEP_REMAINING(progress.remaining, task=name)
        if self.outcome is None:
            return
        yield TASK_UP(1 if self.up else 0, task=name)
        yield ENTITIES_MISSING(self.snapshot.expired_entities, task=name)
        if self.outcome.last_success is not None:
            yield LAST_SUCCESS(self.outcome.last_success, task=name)
        yield DURATION(self.outcome.duration, task=name)
        yield SERIES(self.rendered.series, task=name)
        if self.snapshot.newest_day is not None:
            yield DATA_TIMESTAMP(self.snapshot.newest_day, task=name)


class Store:
    """The state of every task, and the page that scrapes receive.

    Args:
        tasks: all tasks; only one of them may publish a family.
        constant: samples that never change (those of the build).

    Raises:
        ValueError: if two tasks share a name or a family.
    """

    def __init__(self, tasks: Sequence[Task], *, constant: Sequence[Sample] = ()) -> None:
        self._lock = threading.Lock()
        self._states = {task.name: TaskState(task) for task in tasks}
        if len(self._states) != len(tasks):
            raise ValueError("two tasks share a name")
        families = [metric.name for task in tasks for metric in task.metrics]
        if len(set(families)) != len(families):
            raise ValueError("two tasks publish one family")
        self._constant = Part.of(render(constant).text)
        self.page = Page.of((self._constant,), valid_until=math.inf)

    def states(self) -> Mapping[str, TaskState]:
        """The current state of each task, by name."""
        return MappingProxyType(self._states)

    def not_ready(self) -> tuple[str, ...]:
        """The names of tasks that are required for readiness, are on and have not succeeded yet."""
        return tuple(
            name
            for name, state in self._states.items()
            if state.task.required_for_ready()
            and state.switched_off is None
            and (state.outcome is None or state.outcome.last_success is None)
        )

    def started(self, name: str, *, now: float) -> None:
        """Record that an attempt began (Unix seconds)."""
        self._change(name, lambda state: replace(state, running_since=now))

    def ended(self, name: str, outcome: Outcome) -> None:
        """Record how an attempt ended. The traceback of its error is dropped."""
        if outcome.error is not None:
            strip_traceback(outcome.error)
        self._change(
            name,
            lambda state: replace(
                state, running_since=None, outcome=outcome, switched_off=None, earlier=False
            ),
        )

    def restore(self, name: str, outcome: Outcome) -> None:
        """Take over how the last attempt of an earlier process ended."""
        self._change(name, lambda state: replace(state, outcome=outcome, earlier=True))

    def switched_off(self, name: str, *, why: str) -> None:
        """Record that a task is off, and publish nothing for it."""
        task = self._states[name].task
        self._change(name, lambda _: TaskState(task, switched_off=why))

    def publish(self, name: str, snapshot: Snapshot, *, now: float) -> None:
        """Replace what a task publishes.

        Raises:
            ExpositionError: if the samples cannot be published; the old ones stay.
            ValueError: if the task does not declare the family of a sample.
        """
        task = self._states[name].task
        published = {id(sample.metric): sample.metric for sample in snapshot.samples}.values()
        foreign = {metric.name for metric in published if metric not in task.metrics}
        if foreign:
            raise ValueError(f"{name} does not declare {sorted(foreign)}")
        rendered = render(snapshot.samples)
        before = self._states[name]
        # What has not changed is not compressed again.
        part = before.part if before.part.is_of(rendered.text) else Part.of(rendered.text)
        # Many entities expire one by one; a new page for each would cost too much.
        pace = min(EXPIRY_PACE_SECONDS, EXPIRY_PACE_INTERVALS * task.interval)
        valid_until = min(task.next_window_end(now), max(snapshot.expires, now + pace))
        kept = replace(snapshot, samples=())
        self._change(
            name,
            lambda state: replace(
                state,
                snapshot=kept,
                rendered=rendered,
                part=part,
                published_at=now,
                valid_until=valid_until,
                unpublishable=None,
            ),
        )

    def withdraw(self, name: str, *, why: str, now: float) -> None:
        """Publish nothing for a task, as its samples cannot be published."""
        empty = Snapshot(expired_entities=1)
        self._change(
            name,
            lambda state: replace(
                state,
                snapshot=empty,
                rendered=NOTHING,
                part=NO_PART,
                published_at=now,
                valid_until=math.inf,
                unpublishable=why,
            ),
        )

    def _change(self, name: str, change: Callable[[TaskState], TaskState]) -> None:
        with self._lock:
            self._states = {**self._states, name: change(self._states[name])}

    def refresh_page(self) -> None:
        """Rebuild the page from the current states."""
        with self._lock:
            states = tuple(self._states.values())
            own = [sample for state in states for sample in state.samples()]
            parts = (
                self._constant,
                Part.of(render(sorted(own, key=lambda sample: sample.metric.name)).text),
                *(state.part for state in states),
            )
            valid_until = min((state.valid_until for state in states), default=math.inf)
            self.page = Page.of(parts, valid_until=valid_until)
