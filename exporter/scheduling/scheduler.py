"""Polls tasks when they are due, and publishes their samples whenever these change or expire."""

import logging
import math
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobExecutionEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from prometheus_client import CollectorRegistry

from exporter.errors import (
    EntitiesUnknownError,
    KeyRefusedError,
    PollError,
    StoppedError,
    SwitchedOffError,
    failure_reasons,
    reasons_of,
)
from exporter.exposition.instruments import Counter
from exporter.metrics import Metric
from exporter.process import Timing
from exporter.scheduling.store import Outcome, Store, TaskState
from exporter.scheduling.task import Task
from exporter.scheduling.ticker import NonCatchingUpInterval, Ticker

logger = logging.getLogger(__name__)

FAILURES = Metric(
    "devin_exporter_task_failures_total",
    "Attempts that failed, by every reason that occurred in them.",
    ("task", "reason"),
    "counter",
)
SKIPPED = Metric(
    "devin_exporter_task_skipped_total",
    "Runs that were due and did not start, as the one before was still running.",
    ("task",),
    "counter",
)
METRICS = (FAILURES, SKIPPED)

POLL_AFTER_WINDOW_SECONDS = 5.0
PROGRESS_SECONDS = 15.0
RESTART_SECONDS = 0.5
OFF_SECONDS = 86_400.0
JITTER_RATIO = 0.05


class Scheduler:
    """Runs every task at its interval, each at most once at a time.

    Args:
        registry: receives `devin_exporter_task_failures_total` and `…_skipped_total`.
        polled: called after each poll of a task whose data is kept.
        timing: decides what is due, fresh and within a window, and measures runs.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        *,
        store: Store,
        registry: CollectorRegistry,
        timing: Timing,
        polled: Callable[[], None] = lambda: None,
    ) -> None:
        self._polled = polled
        self._tasks = {task.name: task for task in tasks}
        self._store = store
        self._timing = timing
        self._clock = timing.clock
        self._publishing = threading.RLock()
        self._planning = threading.RLock()
        self._again: set[str] = set()
        self._failures = Counter(FAILURES.name, FAILURES.help, FAILURES.labels, registry=registry)
        self._skipped = Counter(SKIPPED.name, SKIPPED.help, SKIPPED.labels, registry=registry)
        for name, task in self._tasks.items():
            if task.poll is not None:
                self._skipped.labels(name)
                for reason in failure_reasons():
                    self._failures.labels(name, reason)
        self._jobs = BackgroundScheduler(
            executors={"default": ThreadPoolExecutor(len(self._tasks) + 1)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
            timezone=UTC,
        )
        self._ticker = Ticker(timing, tick=self.tick, jumped=self._clock_jumped)
        self._jobs.add_listener(self._count_skipped, EVENT_JOB_MAX_INSTANCES | EVENT_JOB_MISSED)

    def publish_known(self) -> None:
        """Publish what is known before the first poll."""
        self._publish([s.task for s in self._store.states().values() if s.known_before_polls])

    def start(self) -> None:
        """Publish what is known, then poll. Tasks that depend on no other are due at once."""
        self.publish_known()
        self._jobs.start()
        self._ticker.start()
        for task in self._tasks.values():
            if task.poll is not None and not task.depends_on:
                self._plan(task, datetime.now(UTC))

    def stop(self) -> None:
        """Start no further run; this does not wait for running ones."""
        self._ticker.stop()
        self._jobs.shutdown(wait=False)

    def due_in(self, name: str) -> float | None:
        """Seconds until a task's next run; None while none is planned."""
        job = self._jobs.get_job(name)
        if job is None:
            return None
        left: timedelta = job.next_run_time - datetime.now(UTC)
        return left.total_seconds() * self._timing.speed

    def poll(self, task: Task) -> None:
        """Run one task once and publish its samples. Never raises."""
        if task.poll is None:
            return
        began = self._timing.monotonic()
        before = self._store.states()[task.name]
        window_ends = task.next_window_end(self._clock())
        self._store.started(task.name, now=self._clock())
        error: Exception | None = None
        try:
            task.poll()
        except StoppedError as stopped:
            logger.debug("%s: %s", task.name, stopped)
            return
        except SwitchedOffError as off:
            self._switch_off(task, before, str(off))
            return
        except Exception as failure:  # noqa: BLE001 - an internal error must not end the polling
            error = failure
        duration = self._timing.monotonic() - began
        self._report(task, before, error)
        # No page may show the success together with the old samples.
        with self._publishing:
            self._store.ended(task.name, self._outcome_of(task, before, error, duration))
            self._publish([task, *self._dependents(task)])
        with self._planning:
            # Also if the window has ended during this run.
            self._due(task, window_ends + POLL_AFTER_WINDOW_SECONDS)
            if task.name in self._again:
                self._again.discard(task.name)
                self._due(task, self._clock())
        if self._is_news(task, before):
            self._release(task)
        if task.kept:
            self._polled()

    def _switch_off(self, task: Task, before: TaskState, why: str) -> None:
        self._store.switched_off(task.name, why=why)
        if before.switched_off is None:
            logger.info("task is off: %s", why, extra={"task": task.name})
        self._publish([task, *self._dependents(task)])
        tomorrow = datetime.now(UTC) + timedelta(seconds=self._timing.timer(OFF_SECONDS))
        with suppress(JobLookupError):
            self._jobs.modify_job(task.name, next_run_time=tomorrow)
        if not before.attempted:
            self._release(task)

    def tick(self) -> None:
        """Publish again what has expired, and what long runs have received so far."""
        now = self._clock()
        with self._publishing:
            changed: list[Task] = []
            for state in self._store.states().values():
                if now >= state.valid_until:
                    changed.append(state.task)
                elif state.running_since is not None:
                    received_since = max(state.running_since, state.published_at)
                    if now - received_since >= PROGRESS_SECONDS:
                        changed.append(state.task)
            if changed:
                self._publish(changed)

    def _clock_jumped(self, seconds: float) -> None:
        """Publish and poll everything again: plans and response times are from the old clock."""
        logger.warning("the clock was set by %+.0f s; everything is polled anew", seconds)
        self._publish(list(self._tasks.values()))
        for job in self._jobs.get_jobs():
            self._poll_soon(self._tasks[job.id])
        self._jobs.wakeup()

    def _outcome_of(
        self, task: Task, before: TaskState, error: Exception | None, duration: float
    ) -> Outcome:
        now, known = self._clock(), before.outcome
        complete = error is None or (isinstance(error, PollError) and error.complete)
        full = complete and task.requested_everything()
        return Outcome(
            ended=now,
            duration=duration,
            error=error,
            last_success=now if error is None else known.last_success if known else None,
            full_run=duration if full else known.full_run if known else None,
        )

    def _report(self, task: Task, before: TaskState, error: Exception | None) -> None:
        known = before.outcome.error if before.outcome else None
        for reason in reasons_of(error):
            self._failures.labels(task.name, reason).inc()
        if error is None:
            if before.switched_off is not None:
                logger.info("task is on again", extra={"task": task.name})
            elif not _reported_elsewhere(known):
                logger.info("task recovered", extra={"task": task.name})
        elif not isinstance(error, PollError):
            logger.error("task failed", extra={"task": task.name}, exc_info=error)
        elif not _reported_elsewhere(error) and error.log_key != getattr(known, "log_key", None):
            extra = {"task": task.name, "reason": ",".join(sorted(reasons_of(error)))}
            logger.warning("task failed: %s", error, extra=extra)

    def _dependents(self, task: Task) -> list[Task]:
        everyone = self._tasks.values()
        return [t for t in everyone if task.name in {*t.depends_on, *t.republish_after}]

    def _is_news(self, task: Task, before: TaskState) -> bool:
        """Whether the tasks that depend on this one have a reason to run now."""
        after = self._store.states()[task.name]
        if not before.attempted:
            return True
        if before.outcome is None:
            return task.notify_on_change
        recovered = before.outcome.error is not None and after.up
        return bool(recovered) or (
            task.notify_on_change and before.rendered.text != after.rendered.text
        )

    def _release(self, task: Task) -> None:
        states = self._store.states()
        for dependent in self._dependents(task):
            if dependent.poll is None or task.name not in dependent.depends_on:
                continue
            if all(states[name].attempted for name in dependent.depends_on):
                self._poll_soon(dependent)

    def _poll_soon(self, task: Task) -> None:
        with self._planning:
            if self._store.states()[task.name].running_since is not None:
                self._again.add(task.name)
            self._due(task, self._clock())

    def _due(self, task: Task, at: float) -> None:
        """Have a task run at a moment (Unix seconds), or soon after it, at the latest."""
        if at == math.inf:
            return
        # The present run must have ended before the next can start.
        delay = max(self._timing.timer(at - self._clock()), RESTART_SECONDS)
        when = datetime.now(UTC) + timedelta(seconds=delay)
        job = self._jobs.get_job(task.name)
        if job is None:
            self._plan(task, when)
        elif job.next_run_time > when:
            with suppress(JobLookupError):
                self._jobs.modify_job(task.name, next_run_time=when)

    def _plan(self, task: Task, first: datetime) -> None:
        seconds = self._timing.timer(task.interval)
        trigger = NonCatchingUpInterval(
            seconds=seconds, jitter=seconds * JITTER_RATIO, timezone=UTC
        )
        self._jobs.add_job(self.poll, trigger, [task], id=task.name, next_run_time=first)

    def _publish(self, tasks: Sequence[Task]) -> None:
        with self._publishing:
            for task in tasks:
                now = self._clock()
                try:
                    snapshot = task.snapshot(now, self._max_age(task, now))
                    self._store.publish(task.name, snapshot, now=now)
                except Exception as error:
                    logger.exception("cannot publish", extra={"task": task.name})
                    self._failures.labels(task.name, "internal").inc()
                    self._store.withdraw(task.name, why=str(error), now=now)
            self._store.refresh_page()

    def _max_age(self, task: Task, now: float) -> float:
        """Seconds for which data is fresh; for derived tasks as long as all their inputs may be."""
        if task.poll is None:
            ages = [self._max_age(self._tasks[name], now) for name in task.depends_on]
            return max(ages, default=math.inf)
        return self._store.states()[task.name].max_age(now)

    def _count_skipped(self, event: JobExecutionEvent) -> None:
        self._skipped.labels(event.job_id).inc()


def _reported_elsewhere(error: Exception | None) -> bool:
    """Whether the client or another task reports this failure; true for no failure."""
    return reasons_of(error) <= {KeyRefusedError.reason, EntitiesUnknownError.reason}
