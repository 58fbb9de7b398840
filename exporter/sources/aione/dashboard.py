"""The gateway's dashboard, as one task: `GET /api/v1/obs/dashboard?range_days=N`."""

import logging
from collections.abc import Callable
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter

from exporter.errors import ShapeError
from exporter.http import Client
from exporter.sources.aione import metrics
from exporter.sources.aione.answer import Business, DashboardAnswer, Tech
from exporter.sources.aione.samples import Told, day_of, next_midnight
from exporter.tasks import Answer, Snapshot, Task

logger = logging.getLogger(__name__)

TASK = "aione_dashboard"
ENDPOINT = "/api/v1/obs/dashboard"
DAY = 86_400

SHAPE = TypeAdapter(DashboardAnswer)


def ask(client: Client, range_days: int) -> DashboardAnswer:
    """Ask for the totals of so many days.

    Raises:
        ShapeError: if neither section can be read.
        PollError: whatever else goes wrong.
    """
    answer = client.get(ENDPOINT, SHAPE, params={"range_days": range_days})
    if not isinstance(answer.tech, Tech) and not isinstance(answer.business, Business):
        raise ShapeError(f"{ENDPOINT}: neither a section tech nor a section business")
    return answer


class Dashboard:
    """The answer as last seen."""

    def __init__(
        self, client: Client, clock: Callable[[], float], *, range_days: int, zone: ZoneInfo
    ) -> None:
        self._client = client
        self._clock = clock
        self._range_days = range_days
        self._zone = zone
        self._answer: Answer[Told] | None = None
        self._complained_of: list[str] = []

    def task(self, poll_interval: float) -> Task:
        """The task that keeps it."""
        return Task(
            name=TASK,
            source=self._client.source,
            interval=poll_interval,
            metrics=metrics.METRICS,
            poll=self.poll,
            snapshot=self.snapshot,
            next_end=lambda now: next_midnight(now, self._zone),
            main=lambda: True,
        )

    def poll(self) -> None:
        """Ask, and tell once of what cannot be read. Raises `PollError`."""
        sent = self._clock()
        told = Told(ask(self._client, self._range_days), self._zone)
        self._answer = Answer(sent, told)
        unreadable = sorted(set(told.unreadable()))
        if unreadable and unreadable != self._complained_of:
            logger.warning("values that make no sense are absent: %s", ", ".join(unreadable))
        self._complained_of = unreadable

    def snapshot(self, now: float, max_age: float) -> Snapshot:
        """All of it while it is young enough; the days' figures until the zone's midnight."""
        answer = self._answer
        if answer is None:
            return Snapshot()
        if not answer.fresh(now, max_age):
            return Snapshot(missing=1)
        today = day_of(now, self._zone)
        of_day = (
            answer.value.samples_of_day(today) if day_of(answer.sent, self._zone) == today else ()
        )
        samples = (metrics.RANGE(self._range_days * DAY), *answer.value.samples(), *of_day)
        return Snapshot(samples, expires=answer.sent + max_age)
