"""Sessions created: `GET /v3/enterprise/metrics/sessions`, and per organization."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from pydantic import TypeAdapter

from exporter.client.models import Acus, Count, ResponseModel
from exporter.exposition.text import Word
from exporter.metrics import Metric, Sample
from exporter.sources.devin.activity.windowed import (
    DailyCount,
    Ids,
    metrics_endpoints,
    window_query,
)

TASK = "session_metrics"

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
WITH_PLAYBOOK = Metric(
    "devin_sessions_with_playbook_cycle",
    "Sessions created in the running billing cycle with a playbook.",
)
WITH_SEARCH = Metric(
    "devin_sessions_with_search_cycle",
    "Sessions created in the running billing cycle with a search.",
)
AVERAGE_ACUS = Metric(
    "devin_session_average_cycle_acus",
    "Mean ACUs of the sessions created in the running billing cycle; absent while there are none, "
    "and where the API says 0 for sessions that were created.",
)
METRICS = (
    *CREATED.values(),
    BY_ORIGIN,
    BY_SIZE,
    WITH_MERGED_PRS,
    WITH_PLAYBOOK,
    WITH_SEARCH,
    AVERAGE_ACUS,
)

ORGANIZATION_CREATED = {
    "yesterday": Metric(
        "devin_organization_sessions_created_yesterday",
        "Sessions of an organization created in the last complete billing day.",
        ("org_id",),
    ),
    "cycle": Metric(
        "devin_organization_sessions_created_cycle",
        "Sessions of an organization created in the running billing cycle.",
        ("org_id",),
    ),
}
ORGANIZATION_BY_ORIGIN = Metric(
    "devin_organization_sessions_created_by_origin_cycle",
    "Sessions of an organization created in the running billing cycle by where they were started; "
    "the vendor leaves some origins out, so they need not add up to all.",
    ("org_id", "origin"),
)
ORGANIZATION_BY_SIZE = Metric(
    "devin_organization_sessions_created_by_size_cycle",
    "Sessions of an organization created in the running billing cycle by size, from xs to xl.",
    ("org_id", "size"),
)
ORGANIZATION_WITH_MERGED_PRS = Metric(
    "devin_organization_sessions_with_merged_prs_cycle",
    "Sessions of an organization created in the running billing cycle that have a merged pull "
    "request.",
    ("org_id",),
)
ORGANIZATION_WITH_PLAYBOOK = Metric(
    "devin_organization_sessions_with_playbook_cycle",
    "Sessions of an organization created in the running billing cycle with a playbook.",
    ("org_id",),
)
ORGANIZATION_WITH_SEARCH = Metric(
    "devin_organization_sessions_with_search_cycle",
    "Sessions of an organization created in the running billing cycle with a search.",
    ("org_id",),
)
ORGANIZATION_AVERAGE_ACUS = Metric(
    "devin_organization_session_average_cycle_acus",
    "Mean ACUs of the sessions of an organization created in the running billing cycle; absent "
    "while there are none, and where the API says 0 for sessions that were created.",
    ("org_id",),
)
ORGANIZATION_METRICS = (
    *ORGANIZATION_CREATED.values(),
    ORGANIZATION_BY_ORIGIN,
    ORGANIZATION_BY_SIZE,
    ORGANIZATION_WITH_MERGED_PRS,
    ORGANIZATION_WITH_PLAYBOOK,
    ORGANIZATION_WITH_SEARCH,
    ORGANIZATION_AVERAGE_ACUS,
)


class SessionMetrics(ResponseModel):
    """The fields read of the endpoint; both maps may have any keys, and null values."""

    sessions_created_count: Count
    sessions_with_merged_prs_count: Count
    sessions_created_with_playbook_count: Count | None = None
    sessions_created_with_search_count: Count | None = None
    avg_acus_per_session: Acus | None = None
    sessions_created_by_origin: dict[Word, Count | None] | None = None
    sessions_created_by_size: dict[Word, Count | None] | None = None


ENDPOINTS = ENDPOINT, ORG_ENDPOINT = metrics_endpoints(
    "sessions", TypeAdapter(SessionMetrics), feeds="sessions created"
)

DAILY = DailyCount(
    ENDPOINT,
    ORG_ENDPOINT,
    CREATED["yesterday"],
    ORGANIZATION_CREATED["yesterday"],
    lambda response: response.sessions_created_count,
)


@dataclass(frozen=True, slots=True)
class CycleMetrics:
    """The families of a cycle: the enterprise's, or those of each organization."""

    created: Metric
    by_origin: Metric
    by_size: Metric
    with_merged_prs: Metric
    with_playbook: Metric
    with_search: Metric
    average_acus: Metric


def _created(metric: Metric, response: SessionMetrics, ids: Ids) -> Iterator[Sample]:
    yield metric(response.sessions_created_count, **ids)


def _cycle(metrics: CycleMetrics, response: SessionMetrics, ids: Ids) -> Iterator[Sample]:
    yield from _created(metrics.created, response, ids)
    for origin, sessions in (response.sessions_created_by_origin or {}).items():
        if sessions is not None:
            yield metrics.by_origin(sessions, origin=origin, **ids)
    for size, sessions in (response.sessions_created_by_size or {}).items():
        if sessions is not None:
            yield metrics.by_size(sessions, size=size, **ids)
    yield metrics.with_merged_prs(response.sessions_with_merged_prs_count, **ids)
    if response.sessions_created_with_playbook_count is not None:
        yield metrics.with_playbook(response.sessions_created_with_playbook_count, **ids)
    if response.sessions_created_with_search_count is not None:
        yield metrics.with_search(response.sessions_created_with_search_count, **ids)
    # Where the API knows no ACUs of sessions, it says 0 for their mean, too.
    if response.sessions_created_count and response.avg_acus_per_session:
        yield metrics.average_acus(response.avg_acus_per_session, **ids)


def on_complete_days(
    of_enterprise: Callable[[Metric, float], float | None],
    of_organizations: Callable[[Metric, float], float | None],
    now: float,
) -> float | None:
    """Sessions created in the running cycle before the running day; None if unknown.

    For an organization's key it is yesterday's count, or 0 if the whole cycle has none.
    """
    cycle, today = (of_enterprise(CREATED[window], now) for window in ("cycle", "today"))
    if cycle is None or today is None:
        yesterday, all_days = (
            of_organizations(ORGANIZATION_CREATED[window], now) for window in ("yesterday", "cycle")
        )
        return yesterday or (0 if yesterday == all_days == 0 else None)
    return cycle - today


_OF_ENTERPRISE = CycleMetrics(
    CREATED["cycle"], BY_ORIGIN, BY_SIZE, WITH_MERGED_PRS, WITH_PLAYBOOK, WITH_SEARCH, AVERAGE_ACUS
)
_OF_ORGANIZATION = CycleMetrics(
    ORGANIZATION_CREATED["cycle"],
    ORGANIZATION_BY_ORIGIN,
    ORGANIZATION_BY_SIZE,
    ORGANIZATION_WITH_MERGED_PRS,
    ORGANIZATION_WITH_PLAYBOOK,
    ORGANIZATION_WITH_SEARCH,
    ORGANIZATION_AVERAGE_ACUS,
)

QUERIES = (
    window_query("today", ENDPOINT, partial(_created, CREATED["today"])),
    DAILY.query(),
    window_query("cycle", ENDPOINT, partial(_cycle, _OF_ENTERPRISE)),
)
ORG_QUERIES = (
    DAILY.org_query(),
    window_query("cycle", ORG_ENDPOINT, partial(_cycle, _OF_ORGANIZATION)),
)
