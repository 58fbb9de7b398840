"""The gateway's dashboard, as one task: `GET /api/v1/obs/dashboard?range_days=N`."""

import logging
from collections.abc import Callable, Iterator
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter

from exporter.errors import NotFoundError, ShapeError
from exporter.http import Client
from exporter.metrics import Sample
from exporter.shapes import ApiModel
from exporter.sources.aione import metrics
from exporter.sources.aione.answer import DashboardAnswer
from exporter.sources.aione.samples import Figures, day_of, next_midnight
from exporter.tasks import Answer, Snapshot, Task, while_fresh

logger = logging.getLogger(__name__)

TASK = "aione_dashboard"
ENDPOINT = "/api/v1/obs/dashboard"
DAY = 86_400

SHAPE = TypeAdapter(DashboardAnswer)


def ask(client: Client, range_days: int) -> DashboardAnswer:
    """Ask for the totals of so many days.

    Raises:
        ShapeError: if it tells none of the figures that are known here.
        NotFoundError: if there is no such endpoint.
        PollError: whatever else goes wrong.
    """
    try:
        answer = client.get(ENDPOINT, SHAPE, params={"range_days": range_days})
    except NotFoundError as absent:
        raise NotFoundError(f"{absent}; is AIONE_API_URL the gateway's?") from None
    sections = (answer.tech, answer.business)
    told = (value for each in sections if isinstance(each, ApiModel) for _, value in each)
    if all(value is None for value in told):
        raise ShapeError(f"{ENDPOINT}: no figure in a section tech or a section business")
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
        self._answer: Answer[Figures] | None = None
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
        told = Figures(ask(self._client, self._range_days), self._zone)
        self._answer = Answer(sent, told)
        unreadable = sorted(set(told.unreadable()))
        if unreadable and unreadable != self._complained_of:
            fields = ", ".join(unreadable)
            logger.warning("values that make no sense are absent: %s", fields, extra={"task": TASK})
        self._complained_of = unreadable

    def snapshot(self, now: float, max_age: float) -> Snapshot:
        """All of it while it is young enough; the days' figures until the zone's midnight."""
        today = day_of(now, self._zone)

        def samples(told: Answer[Figures]) -> Iterator[Sample]:
            yield metrics.RANGE(self._range_days * DAY)
            yield from told.value.samples()
            if day_of(told.sent, self._zone) == today:
                yield from told.value.samples_of_day(today)

        return while_fresh(self._answer, now, max_age, samples)
