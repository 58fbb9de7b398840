"""Searches: `GET /v3/enterprise/metrics/searches`, and per organization."""

from collections.abc import Iterator

from pydantic import TypeAdapter

from exporter.client.models import Count, ResponseModel
from exporter.metrics import Metric, Sample
from exporter.sources.devin.activity.windowed import Ids, metrics_endpoints, window_query

SEARCHES = Metric("devin_searches_cycle", "Searches made in the running billing cycle.")
METRICS = (SEARCHES,)

ORGANIZATION_SEARCHES = Metric(
    "devin_organization_searches_cycle",
    "Searches made in an organization in the running billing cycle.",
    ("org_id",),
)
ORGANIZATION_METRICS = (ORGANIZATION_SEARCHES,)


class Searches(ResponseModel):
    """The field read of the endpoint."""

    searches_created_count: Count


ENDPOINTS = ENDPOINT, ORG_ENDPOINT = metrics_endpoints(
    "searches", TypeAdapter(Searches), feeds="searches"
)


def _samples(response: Searches, _: Ids) -> Iterator[Sample]:
    yield SEARCHES(response.searches_created_count)


def _organization_samples(response: Searches, ids: Ids) -> Iterator[Sample]:
    yield ORGANIZATION_SEARCHES(response.searches_created_count, **ids)


QUERIES = (window_query("cycle", ENDPOINT, _samples),)
ORG_QUERIES = (window_query("cycle", ORG_ENDPOINT, _organization_samples),)
