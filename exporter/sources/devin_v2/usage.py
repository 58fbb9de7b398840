"""Sessions, searches and pull requests of the cycle: `GET /v2/enterprise/metrics/usage`.

Without dates the server reports the running billing cycle, but not when the cycle began. So a
response is valid until the next 07:00 or 08:00 UTC, when the cycle may end.
"""

from collections.abc import Callable, Iterator

from pydantic import TypeAdapter

from exporter.client.endpoint import Endpoint, Request
from exporter.client.http import Client
from exporter.client.models import Count, ResponseModel
from exporter.client.response import Response
from exporter.errors import NotFoundError
from exporter.metrics import Metric, Sample
from exporter.scheduling.task import Task
from exporter.sources.last_response import LastResponse
from exporter.sources.optional import OptionalEndpoint

TASK = "devin_v2_usage"
DAY = 86_400
BILLING_DAY_STARTS = (7 * 3_600, 8 * 3_600)
"""Documented is 08:00 UTC; midnight in Los Angeles is 07:00 UTC in summer."""

SESSIONS = Metric(
    "devin_v2_sessions_cycle",
    "Sessions in the running billing cycle, as the deprecated v2 API counts them.",
)
SEARCHES = Metric(
    "devin_v2_searches_cycle",
    "Searches in the running billing cycle, as the deprecated v2 API counts them.",
)
PULL_REQUESTS = Metric(
    "devin_v2_prs_cycle",
    "Pull requests opened, closed and merged in the running billing cycle, as the deprecated v2 "
    "API counts them; opened holds those opened in it, whatever has become of them.",
    ("state",),
)
METRICS = (SESSIONS, SEARCHES, PULL_REQUESTS)


class UsageResponse(ResponseModel):
    """The fields read of the usage endpoint."""

    sessions_count: Count
    searches_count: Count
    prs_opened: Count
    prs_closed: Count
    prs_merged: Count


ENDPOINT = Endpoint(
    path="/v2/enterprise/metrics/usage",
    response=TypeAdapter(UsageResponse),
    feeds="the older figures of the cycle",
    permission="of an Enterprise Admin, whose personal key it must be",
)


def fetch(client: Client) -> UsageResponse:
    """Request the figures of the running cycle.

    Raises:
        NotFoundError: once the vendor has removed the API.
        PollError: for any other failure.
    """
    try:
        return client.get(Request(endpoint=ENDPOINT))
    except NotFoundError as gone:
        raise NotFoundError(f"{gone}: Devin's v2 API is gone; unset DEVIN_V2_API_KEY") from None


def task(client: Client, clock: Callable[[], float], poll_interval: float) -> Task:
    """The task that publishes a fresh response until the cycle may have ended."""
    last = LastResponse(clock, fetch=lambda: fetch(client), samples=_samples)
    return Task(
        name=TASK,
        source=client.source,
        interval=poll_interval,
        metrics=METRICS,
        poll=OptionalEndpoint(last.poll, absent=(NotFoundError,), after_success=True),
        snapshot=last.snapshot,
        next_window_end=next_possible_end,
        required_for_ready=lambda: True,
    )


def next_possible_end(now: float) -> float:
    """When the billing day of `now` ends at the earliest (both Unix seconds)."""
    return min((now - start) // DAY * DAY + DAY + start for start in BILLING_DAY_STARTS)


def _samples(response: Response[UsageResponse], now: float) -> Iterator[Sample]:
    usage = response.value
    if now < next_possible_end(response.requested_at):
        yield SESSIONS(usage.sessions_count)
        yield SEARCHES(usage.searches_count)
        yield PULL_REQUESTS(usage.prs_opened, state="opened")
        yield PULL_REQUESTS(usage.prs_closed, state="closed")
        yield PULL_REQUESTS(usage.prs_merged, state="merged")
