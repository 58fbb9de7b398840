"""The limits of the gateway's keys by team: `GET /api/v1/gateway/keys`.

The field `key` of a response may hold a secret. No model has it, so it is read by nobody, and a
response is not kept.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal

from pydantic import AliasChoices, Field, TypeAdapter

from exporter.client.endpoint import Endpoint, Request
from exporter.client.http import Client
from exporter.client.models import Array, ResponseModel
from exporter.client.response import Response
from exporter.errors import PagingError
from exporter.metrics import Metric, Sample
from exporter.scheduling.task import Task
from exporter.sources.aione.lenient import Count, Lenient, Text
from exporter.sources.aione.optional import OPTIONAL, optional_task
from exporter.sources.aione.unreadable import UnreadableValues
from exporter.sources.last_response import LastResponse

TASK = "aione_keys"

KEYS = Metric(
    "aione_team_keys", "Keys of a team; those of no team have an empty team_id.", ("team_id",)
)
REQUESTS = Metric(
    "aione_team_requests_per_minute_limit",
    "Requests per minute that the keys of a team may send together; absent unless every key of "
    "the team has a limit.",
    ("team_id",),
)
TOKENS = Metric(
    "aione_team_tokens_per_minute_limit",
    "Tokens per minute that the keys of a team may use together; absent unless every key of the "
    "team has a limit.",
    ("team_id",),
)
METRICS = (KEYS, REQUESTS, TOKENS)


class KeyRow(ResponseModel):
    """One key; its team may be null."""

    team_id: Text | None = None
    rpm_limit: Lenient[Count] = None
    tpm_limit: Lenient[Count] = None


class KeyList(ResponseModel):
    """The list of keys; how many there are, and whether there are more, if the gateway has that."""

    items: Array[KeyRow]
    total: Lenient[Count] = Field(
        default=None, validation_alias=AliasChoices("total", "total_count")
    )
    has_more: Lenient[bool] = Field(
        default=None, validation_alias=AliasChoices("has_more", "has_next_page")
    )


ENDPOINT = Endpoint(
    path="/api/v1/gateway/keys",
    response=TypeAdapter(KeyList),
    feeds="limits by team",
    optional=OPTIONAL,
)


def fetch(client: Client) -> KeyList:
    """Request all keys.

    Raises:
        PagingError: if the gateway has more keys than it lists.
        PollError: for any other failure.
    """
    response = client.get(Request(endpoint=ENDPOINT))
    if response.total not in (None, len(response.items)) or response.has_more not in (None, False):
        raise PagingError(f"{ENDPOINT.path} lists fewer keys than it says there are")
    return response


def task(
    client: Client, clock: Callable[[], float], interval: float, unreadable: UnreadableValues
) -> Task:
    """The task that publishes the limits."""
    last = LastResponse(
        clock, fetch=lambda: unreadable.noted(TASK, "keys", fetch(client)), samples=_samples
    )
    return optional_task(client, TASK, last, interval=interval, metrics=METRICS)


def _samples(response: Response[KeyList], now: float) -> Iterator[Sample]:
    del now
    by_team: defaultdict[str, list[KeyRow]] = defaultdict(list)
    for row in response.value.items:
        by_team[row.team_id or ""].append(row)
    for team_id, keys in sorted(by_team.items()):
        yield KEYS(len(keys), team_id=team_id)
        yield from _limit(REQUESTS, (key.rpm_limit for key in keys), team_id)
        yield from _limit(TOKENS, (key.tpm_limit for key in keys), team_id)


def _limit(metric: Metric, limits: Iterable[object], team_id: str) -> Iterator[Sample]:
    every = list(limits)
    known = [limit for limit in every if isinstance(limit, Decimal)]
    if len(known) == len(every):
        yield metric(float(sum(known)), team_id=team_id)
