"""Detects unmetered plans, for which the API reports 0 ACUs whatever work was done."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from pydantic import TypeAdapter

from exporter.metrics import Metric
from exporter.scheduling.kept import Entry, Kept
from exporter.scheduling.task import Snapshot, Task
from exporter.sources.devin.activity import categories, sessions_created
from exporter.sources.devin.consumption import scopes
from exporter.sources.devin.consumption.collector import Consumption
from exporter.sources.devin.derived import unattributed
from exporter.sources.devin.derived.teams import metrics as teams
from exporter.sources.devin.operations import session_table, sessions
from exporter.sources.devin.operations.breakdowns import metrics as breakdowns

ORGANIZATION_METRICS_TASK = "organization_metrics"

METERED = Metric(
    "devin_metered",
    "1 once any ACU was seen; 0 if the complete days of this cycle have sessions and no ACU "
    "anywhere, and consumption is therefore not published.",
)
METRICS = (METERED,)
ACU_METRICS = frozenset(
    {
        *scopes.METRICS,
        *unattributed.METRICS,
        *breakdowns.ACU_METRICS,
        *teams.CONSUMPTION,
        session_table.RECENT_ACUS,
        sessions_created.AVERAGE_ACUS,
        sessions_created.ORGANIZATION_AVERAGE_ACUS,
        categories.ACUS,
    }
)
"""The families whose zeros are false on an unmetered plan, in any task."""
DECIDED_BY = (sessions_created.TASK, ORGANIZATION_METRICS_TASK, sessions.TASK)
"""The tasks, besides those of consumption, whose polls show whether the plan is metered."""

_VERDICT = TypeAdapter(tuple[bool, bool])


class Metering:
    """Decides whether zeros are true.

    Args:
        sessions_on_complete_days: sessions created in the running cycle before the running day;
            None while unknown.
    """

    def __init__(
        self,
        ledgers: Consumption,
        listed: sessions.Sessions,
        *,
        sessions_on_complete_days: Callable[[float], float | None],
    ) -> None:
        self._ledgers = ledgers
        self._listed = listed
        self._seen = False
        self._unmetered = False
        self._sessions_on_complete_days = sessions_on_complete_days

    def metered(self, now: float) -> bool | None:
        """Whether the plan is metered; None while unknown. Once False, only an ACU changes it."""
        if self._seen or self._ledgers.used or self._listed.acus_seen:
            return True
        polled = self._ledgers.enterprise.accounts() or self._ledgers.organizations.accounts()
        if polled and self._sessions_on_complete_days(now):
            self._unmetered = True
        return False if self._unmetered else None

    def _zeros_are_true(self, now: float) -> bool:
        metered = self.metered(now)
        return bool(metered) or (metered is None and self._sessions_on_complete_days(now) == 0)

    def guard(self, task: Task) -> Task:
        """The same task without zeros that are not known to be true."""
        if ACU_METRICS.isdisjoint(task.metrics):
            return task

        def snapshot(now: float, max_age: float) -> Snapshot:
            taken = task.snapshot(now, max_age)
            guarded = (sample for sample in taken.samples if sample.metric in ACU_METRICS)
            self._seen = self._seen or any(sample.value for sample in guarded)
            if self._zeros_are_true(now):
                return taken
            kept = (s for s in taken.samples if s.value != 0 or s.metric not in ACU_METRICS)
            return replace(taken, samples=tuple(kept))

        others = tuple(name for name in DECIDED_BY if name != task.name)
        return replace(task, snapshot=snapshot, republish_after=(*task.republish_after, *others))

    def task(self, source: str, poll_interval: float) -> Task:
        """The task that publishes whether the plan is metered."""

        def snapshot(now: float, max_age: float) -> Snapshot:
            metered = self.metered(now)
            samples = () if metered is None else (METERED(1 if metered else 0),)
            return Snapshot(samples, expires=now + max_age)

        return Task(
            name="metering",
            source=source,
            interval=poll_interval,
            metrics=METRICS,
            poll=None,
            snapshot=snapshot,
            depends_on=(*DECIDED_BY, *(scope.task for scope in scopes.SCOPES)),
            kept=(Kept(name="metering", entries=self._entries, restore=self._restore),),
        )

    def _entries(self) -> Mapping[str, Entry]:
        verdict = _VERDICT.dump_json((self._seen, self._unmetered))
        return {"verdict": Entry(verdict, lambda: verdict)}

    def _restore(self, values: Mapping[str, bytes]) -> None:
        for value in values.values():
            self._seen, self._unmetered = _VERDICT.validate_json(value)
