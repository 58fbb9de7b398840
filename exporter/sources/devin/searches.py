"""Searches: `GET /v3/enterprise/metrics/searches`, and per organization."""

from collections.abc import Iterator
from dataclasses import replace

from pydantic import TypeAdapter

from exporter.metrics import Metric, Sample
from exporter.request import Endpoint
from exporter.shapes import ApiModel, Count
from exporter.sources.devin import keys
from exporter.sources.devin.window_counts import Ids, window_query
from exporter.sources.devin.windows import billing_month_params

SEARCHES = Metric("devin_searches_cycle", "Searches made in the running billing cycle.")
METRICS = (SEARCHES,)

ORGANIZATION_SEARCHES = Metric(
    "devin_organization_searches_cycle",
    "Searches made in an organization in the running billing cycle.",
    ("org_id",),
)
ORGANIZATION_METRICS = (ORGANIZATION_SEARCHES,)


class Searches(ApiModel):
    """The field read of the endpoint."""

    searches_created_count: Count


ENDPOINT = Endpoint(
    path="/v3/enterprise/metrics/searches",
    response=TypeAdapter(Searches),
    feeds="searches",
    permission=keys.VIEW_METRICS,
    keys=keys.ENTERPRISE_ONLY,
    check_params=billing_month_params,
)
ORG_ENDPOINT = replace(ENDPOINT, path="/v3/organizations/{org_id}/metrics/searches", keys=keys.ANY)
ENDPOINTS = (ENDPOINT, ORG_ENDPOINT)


def _samples(answer: Searches, _: Ids) -> Iterator[Sample]:
    yield SEARCHES(answer.searches_created_count)


def _organization_samples(answer: Searches, ids: Ids) -> Iterator[Sample]:
    yield ORGANIZATION_SEARCHES(answer.searches_created_count, **ids)


QUERIES = (window_query("cycle", ENDPOINT, _samples),)
ORG_QUERIES = (window_query("cycle", ORG_ENDPOINT, _organization_samples),)
