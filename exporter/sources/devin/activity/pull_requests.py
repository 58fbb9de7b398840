"""Pull requests: `GET /v3/enterprise/metrics/prs`, and per organization."""

from collections.abc import Iterator, Mapping

from pydantic import TypeAdapter

from exporter.client.models import Count, ResponseModel
from exporter.metrics import Metric, Sample
from exporter.sources.devin.activity.windowed import (
    DailyCount,
    Ids,
    metrics_endpoints,
    window_query,
)

CREATED = Metric(
    "devin_prs_created_cycle", "Pull requests that Devin opened in the running billing cycle."
)
MERGED = Metric("devin_prs_merged_cycle", "Those of them that are merged.")
CLOSED = Metric("devin_prs_closed_cycle", "Those of them that were closed without a merge.")
OPEN = Metric("devin_prs_open_cycle", "Those of them that are open now.")
TAKEN_OVER = Metric(
    "devin_prs_taken_over_cycle",
    "Pull requests that others opened and Devin pushed to in the running billing cycle, by what "
    "has become of them: open, merged or closed; other is what their number holds beyond these.",
    ("state",),
)
CREATED_YESTERDAY = Metric(
    "devin_prs_created_yesterday",
    "Pull requests that Devin opened in the last complete billing day.",
)
MERGED_BEFORE = Metric(
    "devin_prs_merged_previous_cycle",
    "Pull requests that Devin opened in the last complete billing cycle and that are merged now.",
)
METRICS = (CREATED_YESTERDAY, CREATED, MERGED, CLOSED, OPEN, TAKEN_OVER, MERGED_BEFORE)

ORGANIZATION_CREATED = Metric(
    "devin_organization_prs_created_cycle",
    "Pull requests of an organization that Devin opened in the running billing cycle.",
    ("org_id",),
)
ORGANIZATION_MERGED = Metric(
    "devin_organization_prs_merged_cycle",
    "Merged pull requests of an organization that Devin opened in the running billing cycle.",
    ("org_id",),
)
ORGANIZATION_CLOSED = Metric(
    "devin_organization_prs_closed_cycle",
    "Pull requests of an organization that Devin opened in the running billing cycle and that "
    "were closed without a merge.",
    ("org_id",),
)
ORGANIZATION_OPEN = Metric(
    "devin_organization_prs_open_cycle",
    "Pull requests of an organization that Devin opened in the running billing cycle and that "
    "are open now.",
    ("org_id",),
)
ORGANIZATION_TAKEN_OVER = Metric(
    "devin_organization_prs_taken_over_cycle",
    "Pull requests of an organization that others opened and Devin pushed to in the running "
    "billing cycle, by what has become of them: open, merged or closed; other is what their number "
    "holds beyond these.",
    ("org_id", "state"),
)
ORGANIZATION_CREATED_YESTERDAY = Metric(
    "devin_organization_prs_created_yesterday",
    "Pull requests of an organization that Devin opened in the last complete billing day.",
    ("org_id",),
)
ORGANIZATION_MERGED_BEFORE = Metric(
    "devin_organization_prs_merged_previous_cycle",
    "Pull requests of an organization that Devin opened in the last complete billing cycle and "
    "that are merged now.",
    ("org_id",),
)
ORGANIZATION_METRICS = (
    ORGANIZATION_CREATED_YESTERDAY,
    ORGANIZATION_CREATED,
    ORGANIZATION_MERGED,
    ORGANIZATION_CLOSED,
    ORGANIZATION_OPEN,
    ORGANIZATION_TAKEN_OVER,
    ORGANIZATION_MERGED_BEFORE,
)


class PullRequests(ResponseModel):
    """The fields read of the endpoint; `prs_opened_count` counts those open now."""

    prs_created_count: Count
    prs_opened_count: Count
    prs_merged_count: Count
    prs_closed_count: Count
    prs_taken_over_count: Count | None = None
    prs_taken_over_opened_count: Count | None = None
    prs_taken_over_merged_count: Count | None = None
    prs_taken_over_closed_count: Count | None = None


ENDPOINTS = ENDPOINT, ORG_ENDPOINT = metrics_endpoints(
    "prs", TypeAdapter(PullRequests), feeds="pull requests"
)

DAILY = DailyCount(
    ENDPOINT,
    ORG_ENDPOINT,
    CREATED_YESTERDAY,
    ORGANIZATION_CREATED_YESTERDAY,
    lambda response: response.prs_created_count,
)


def _samples(response: PullRequests, _: Ids) -> Iterator[Sample]:
    yield CREATED(response.prs_created_count)
    yield MERGED(response.prs_merged_count)
    yield CLOSED(response.prs_closed_count)
    yield OPEN(response.prs_opened_count)
    for state, count in _taken_over(response).items():
        yield TAKEN_OVER(count, state=state)


def _organization_samples(response: PullRequests, ids: Ids) -> Iterator[Sample]:
    yield ORGANIZATION_CREATED(response.prs_created_count, **ids)
    yield ORGANIZATION_MERGED(response.prs_merged_count, **ids)
    yield ORGANIZATION_CLOSED(response.prs_closed_count, **ids)
    yield ORGANIZATION_OPEN(response.prs_opened_count, **ids)
    for state, count in _taken_over(response).items():
        yield ORGANIZATION_TAKEN_OVER(count, state=state, **ids)


def _merged_before(response: PullRequests, _: Ids) -> Iterator[Sample]:
    yield MERGED_BEFORE(response.prs_merged_count)


def _organization_merged_before(response: PullRequests, ids: Ids) -> Iterator[Sample]:
    yield ORGANIZATION_MERGED_BEFORE(response.prs_merged_count, **ids)


def _taken_over(response: PullRequests) -> Mapping[str, int]:
    counts = {
        "open": response.prs_taken_over_opened_count,
        "merged": response.prs_taken_over_merged_count,
        "closed": response.prs_taken_over_closed_count,
    }
    return by_state(counts, response.prs_taken_over_count)


def by_state(counts: Mapping[str, int | None], total: int | None) -> dict[str, int]:
    """The known counts, and as `other` what the total holds beyond them."""
    known = {state: count for state, count in counts.items() if count is not None}
    other = 0 if total is None else total - sum(known.values())
    return {**known, "other": other} if other > 0 else known


QUERIES = (
    DAILY.query(),
    window_query("cycle", ENDPOINT, _samples),
    window_query("previous_cycle", ENDPOINT, _merged_before),
)
ORG_QUERIES = (
    DAILY.org_query(),
    window_query("cycle", ORG_ENDPOINT, _organization_samples),
    window_query("previous_cycle", ORG_ENDPOINT, _organization_merged_before),
)
