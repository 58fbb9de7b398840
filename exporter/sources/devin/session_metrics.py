"""How many sessions were created: `GET /v3/enterprise/metrics/sessions`.

These are counts over exactly the window asked for; whether the API counts a session created in
the very second of a bound is not documented.
"""

import math
import threading
from collections.abc import Callable, Iterator
from functools import partial

from pydantic import TypeAdapter

from exporter.http import ApiModel, Client
from exporter.metrics import Metric, Sample
from exporter.sources.devin import cycles
from exporter.sources.devin.fields import Acus, Count
from exporter.sources.devin.sweep import ask_each
from exporter.sources.devin.windows import BillingWindows, Window
from exporter.tasks import Answer, Snapshot, Task

ENDPOINT = "/v3/enterprise/metrics/sessions"

CREATED = {
    "today": Metric("devin_sessions_created_today", "Sessions created in the running billing day."),
    "yesterday": Metric(
        "devin_sessions_created_yesterday", "Sessions created in the last complete billing day."
    ),
    "cycle": Metric(
        "devin_sessions_created_cycle", "Sessions created in the running billing cycle."
    ),
}
BY_ORIGIN = Metric(
    "devin_sessions_created_by_origin_cycle",
    "Sessions created in the running billing cycle by where they were started; the vendor "
    "leaves some origins out, so they need not add up to all.",
    ("origin",),
)
BY_SIZE = Metric(
    "devin_sessions_created_by_size_cycle",
    "Sessions created in the running billing cycle by size, from xs to xl.",
    ("size",),
)
WITH_MERGED_PRS = Metric(
    "devin_sessions_with_merged_prs_cycle",
    "Sessions created in the running billing cycle that have a merged pull request.",
)
AVERAGE_ACUS = Metric(
    "devin_session_average_cycle_acus",
    "Mean ACUs of the sessions created in the running billing cycle; absent while there are none.",
)

METRICS = (*CREATED.values(), BY_ORIGIN, BY_SIZE, WITH_MERGED_PRS, AVERAGE_ACUS)


class SessionMetrics(ApiModel):
    """The fields read of the endpoint; both maps are open."""

    sessions_created_count: Count
    sessions_with_merged_prs_count: Count
    avg_acus_per_session: Acus
    sessions_created_by_origin: dict[str, Count]
    sessions_created_by_size: dict[str, Count]


_SHAPE = TypeAdapter(SessionMetrics)


class SessionCounts:
    """Session counts as last seen, each with the window that was asked for."""

    def __init__(
        self,
        client: Client,
        clock: Callable[[], float],
        windows: Callable[[float], BillingWindows],
    ) -> None:
        self._client = client
        self._clock = clock
        self._windows = windows
        self._answers: dict[str, Answer[tuple[Window, SessionMetrics]]] = {}
        self._lock = threading.Lock()

    def task(self, poll_interval: float) -> Task:
        """The task that keeps them."""
        return Task(
            name="session_metrics",
            source=self._client.source,
            interval=poll_interval,
            metrics=METRICS,
            poll=self.poll,
            snapshot=self.snapshot,
            next_end=lambda now: self._windows(now).next_end,
            after=(cycles.TASK,),
        )

    def poll(self) -> None:
        """Ask for each window that is known. Raises `PollError`."""
        windows = self._windows(self._clock()).by_name()
        ask_each(
            {name: partial(self._ask, name, windows[name]) for name in CREATED if name in windows}
        )

    def _ask(self, name: str, window: Window) -> None:
        sent = self._clock()
        answer = self._client.get(
            ENDPOINT,
            _SHAPE,
            params={"time_after": int(window.start), "time_before": int(window.end)},
        )
        with self._lock:
            self._answers[name] = Answer(sent, (window, answer))

    def snapshot(self, now: float, max_age: float) -> Snapshot:
        """The counts of the windows that are still the same and whose answers tell them."""
        windows = self._windows(now)
        with self._lock:
            known = dict(self._answers)
        fresh = {name: answer for name, answer in known.items() if answer.fresh(now, max_age)}
        samples: list[Sample] = []
        for name, window in windows.by_name().items():
            answer = fresh.get(name)
            if answer is None:
                continue
            asked_for, metrics = answer.value
            if asked_for == window and window.told_by(answer.sent, now):
                samples.append(CREATED[name](metrics.sessions_created_count))
                if name == "cycle":
                    samples.extend(_cycle_samples(metrics))
        return Snapshot(
            tuple(samples),
            expires=min((answer.sent + max_age for answer in fresh.values()), default=math.inf),
            missing=1 if len(fresh) < len(known) else 0,
        )


def _cycle_samples(metrics: SessionMetrics) -> Iterator[Sample]:
    for origin, sessions in metrics.sessions_created_by_origin.items():
        yield BY_ORIGIN(sessions, origin=origin)
    for size, sessions in metrics.sessions_created_by_size.items():
        yield BY_SIZE(sessions, size=size)
    yield WITH_MERGED_PRS(metrics.sessions_with_merged_prs_count)
    if metrics.sessions_created_count:
        yield AVERAGE_ACUS(metrics.avg_acus_per_session)
