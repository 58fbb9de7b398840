"""The status of the exporter as data: what `/` shows and `/api/v1/status` has as JSON.

It holds no secret and nobody's name: errors name paths by their templates, and an error that is not
about a request is named by its type alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from exporter.scheduling.outcomes import error_text
from exporter.scheduling.store import TaskState

State = Literal["up", "down", "waiting", "off", "derived"]
KeyState = Literal["accepted", "refused", "unknown"]


@dataclass(frozen=True, slots=True)
class SourceState:
    """A source as it is composed: its name, its rate limit, and whether its key is refused."""

    name: str
    requests_per_second: float
    key_refused: bool


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class TaskReport(_Part):
    """One data set."""

    name: str
    source: str
    state: State = Field(
        description="up: the last attempt succeeded and no data has expired; down: it has not; "
        "waiting: no attempt has ended yet; off: not for this key or deployment; "
        "derived: computed from other tasks"
    )
    running: bool = Field(description="whether a poll is running now")
    last_success: float | None = Field(description="Unix seconds; null if there was none")
    age_seconds: float | None = Field(description="seconds since then")
    duration_seconds: float | None = Field(description="of the last attempt")
    full_run_seconds: float | None = Field(
        description="of the last attempt that requested everything"
    )
    interval_seconds: float = Field(description="between the starts of two polls")
    next_run_in_seconds: float | None = Field(description="null while none is planned")
    series: int = Field(description="published now")
    entities_missing: int = Field(description="users, organizations … whose data has expired")
    newest_day: float | None = Field(
        description="start of the newest billing day in the data, in Unix seconds"
    )
    sweep_progress_ratio: float | None = Field(
        description="share of its entities that have been requested in the present round; "
        "null if it has no rounds"
    )
    sweep_remaining_seconds: float | None = Field(
        description="until the present round is expected to be complete"
    )
    error: str | None = Field(description="of the last attempt, or why the task is off")


class SourceReport(_Part):
    """One API."""

    name: str
    key: KeyState = Field(description="unknown until a request has succeeded or was refused")
    requests_per_second: float = Field(description="the rate limit that is never exceeded")
    series: int = Field(description="published now")
    longest_run_seconds: float | None = Field(
        description="the longest of its tasks' last full runs: how old data gets by polling alone"
    )


class StatusReport(_Part):
    """The status at one moment."""

    version: str
    time: float = Field(description="when this was true, in Unix seconds")
    ready: bool = Field(description="what `/-/ready` says")
    not_ready: tuple[str, ...] = Field(description="tasks that must succeed first")
    not_fresh: tuple[str, ...] = Field(description="tasks that are down or still waiting")
    series: int = Field(description="of all tasks, published now")
    sources: tuple[SourceReport, ...]
    tasks: tuple[TaskReport, ...]


def status_report(
    states: Mapping[str, TaskState],
    sources: Sequence[SourceState],
    *,
    not_ready: Sequence[str],
    due_in: Callable[[str], float | None],
    now: float,
    version: str,
) -> StatusReport:
    """The status now.

    Args:
        not_ready: tasks that must succeed before the exporter is ready.
        due_in: seconds until a task's next run; None while none is planned.
        now: Unix seconds.
    """
    tasks = tuple(_task(state, due_in(name), now) for name, state in states.items())
    return StatusReport(
        version=version,
        time=now,
        ready=not not_ready and not any(source.key_refused for source in sources),
        not_ready=tuple(not_ready),
        not_fresh=tuple(task.name for task in tasks if task.state in {"down", "waiting"}),
        series=sum(task.series for task in tasks),
        sources=tuple(_source(source, tasks) for source in sources),
        tasks=tasks,
    )


def _source(source: SourceState, tasks: Sequence[TaskReport]) -> SourceReport:
    own = [task for task in tasks if task.source == source.name]
    known = any(task.last_success is not None for task in own)
    runs = [task.full_run_seconds for task in own if task.full_run_seconds is not None]
    return SourceReport(
        name=source.name,
        key="refused" if source.key_refused else "accepted" if known else "unknown",
        requests_per_second=source.requests_per_second,
        series=sum(task.series for task in own),
        longest_run_seconds=max(runs, default=None),
    )


def _task(state: TaskState, due_in: float | None, now: float) -> TaskReport:
    outcome = state.outcome
    last_success = outcome.last_success if outcome else None
    progress = state.progress()
    return TaskReport(
        name=state.task.name,
        source=state.task.source,
        state=_state(state),
        running=state.running_since is not None,
        last_success=last_success,
        age_seconds=None if last_success is None else max(0.0, now - last_success),
        duration_seconds=outcome.duration if outcome else None,
        full_run_seconds=outcome.full_run if outcome else None,
        interval_seconds=state.task.interval,
        next_run_in_seconds=None if due_in is None else max(0.0, due_in),
        series=state.rendered.series,
        entities_missing=state.snapshot.expired_entities,
        newest_day=state.snapshot.newest_day,
        sweep_progress_ratio=None if progress is None else progress.ratio,
        sweep_remaining_seconds=None if progress is None else progress.remaining,
        error=state.switched_off or _error(state),
    )


def _state(state: TaskState) -> State:
    if state.switched_off:
        return "off"
    if state.task.poll is None:
        return "down" if state.unpublishable else "derived"
    return {None: "waiting", True: "up", False: "down"}[state.up]  # type: ignore[return-value]


def _error(state: TaskState) -> str | None:
    failure = state.outcome.error if state.outcome else None
    if failure is not None:
        return error_text(failure)
    return "its samples cannot be published; the log says why" if state.unpublishable else None
