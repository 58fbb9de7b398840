"""The task that polls the gateway: `GET /api/v1/obs/dashboard?range_days=N`."""

from collections.abc import Callable, Iterable, Iterator

from pydantic import TypeAdapter

from exporter.client.endpoint import Endpoint, Request
from exporter.client.http import Client
from exporter.client.models import ResponseModel
from exporter.client.response import Response
from exporter.errors import NotFoundError, ShapeError
from exporter.metrics import Sample
from exporter.scheduling.task import Task
from exporter.sources.aione import metrics
from exporter.sources.aione.models import DashboardResponse
from exporter.sources.aione.samples import Dashboard, day_of, next_midnight
from exporter.sources.aione.settings import AioneSettings
from exporter.sources.aione.unreadable import UnreadableValues
from exporter.sources.last_response import LastResponse

TASK = "aione_dashboard"
DAY = 86_400

ENDPOINT = Endpoint(
    path="/api/v1/obs/dashboard",
    response=TypeAdapter(DashboardResponse),
    feeds="the AIone gateway's figures",
)


def fetch(client: Client, range_days: int) -> DashboardResponse:
    """Request the totals of the last `range_days` days.

    Raises:
        ShapeError: if the response has none of the known fields.
        NotFoundError: if the gateway has no such endpoint.
        PollError: for any other failure.
    """
    try:
        response = client.get(Request(endpoint=ENDPOINT, params={"range_days": range_days}))
    except NotFoundError as absent:
        raise NotFoundError(f"{absent}; is AIONE_API_URL the gateway's?") from None
    sections = (response.tech, response.business)
    values = (value for each in sections if isinstance(each, ResponseModel) for _, value in each)
    if all(value is None for value in values):
        raise ShapeError(f"{ENDPOINT.path}: no figure in a section tech or a section business")
    return response


def task(
    client: Client,
    clock: Callable[[], float],
    settings: AioneSettings,
    *,
    unreadable: UnreadableValues,
    noted_by: Iterable[str],
) -> Task:
    """The task that publishes a fresh response; the figures of a day only until its midnight.

    Args:
        unreadable: values of all responses.
        noted_by: the other tasks whose responses may have some.
    """
    zone = settings.zone()

    def fetch_dashboard() -> Dashboard:
        dashboard = Dashboard(fetch(client, settings.range_days), zone)
        unreadable.note(TASK, dashboard.unreadable())
        return dashboard

    def samples(response: Response[Dashboard], now: float) -> Iterator[Sample]:
        today = day_of(now, zone)
        yield metrics.RANGE(settings.range_days * DAY)
        yield from response.value.samples()
        yield from unreadable.samples()
        if day_of(response.requested_at, zone) == today:
            yield from response.value.samples_of_day(today)

    last = LastResponse(clock, fetch=fetch_dashboard, samples=samples)
    return Task(
        name=TASK,
        source=client.source,
        interval=settings.poll_interval,
        metrics=metrics.METRICS,
        poll=last.poll,
        snapshot=last.snapshot,
        next_window_end=lambda now: next_midnight(now, zone),
        republish_after=tuple(noted_by),
        required_for_ready=lambda: True,
    )
