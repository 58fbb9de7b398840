"""Sessions created: `GET /v3/enterprise/metrics/sessions`, and per organization."""

from collections.abc import Callable, Iterator
from functools import partial

from pydantic import TypeAdapter

from exporter.client.models import Acus, Count, ResponseModel
from exporter.exposition.text import Word
from exporter.metrics import Metric, Sample
from exporter.sources.devin.activity.windowed import Ids, metrics_endpoints, window_query

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
    "Mean ACUs of the sessions created in the running billing cycle; absent while there are none.",
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
ORGANIZATION_METRICS = tuple(ORGANIZATION_CREATED.values())


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


def _created(metric: Metric, response: SessionMetrics, ids: Ids) -> Iterator[Sample]:
    yield metric(response.sessions_created_count, **ids)


def _cycle(response: SessionMetrics, ids: Ids) -> Iterator[Sample]:
    yield from _created(CREATED["cycle"], response, ids)
    for origin, sessions in (response.sessions_created_by_origin or {}).items():
        if sessions is not None:
            yield BY_ORIGIN(sessions, origin=origin)
    for size, sessions in (response.sessions_created_by_size or {}).items():
        if sessions is not None:
            yield BY_SIZE(sessions, size=size)
    yield WITH_MERGED_PRS(response.sessions_with_merged_prs_count)
    if response.sessions_created_with_playbook_count is not None:
        yield WITH_PLAYBOOK(response.sessions_created_with_playbook_count)
    if response.sessions_created_with_search_count is not None:
        yield WITH_SEARCH(response.sessions_created_with_search_count)
    if response.sessions_created_count and response.avg_acus_per_session is not None:
        yield AVERAGE_ACUS(response.avg_acus_per_session)


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


QUERIES = (
    window_query("today", ENDPOINT, partial(_created, CREATED["today"])),
    window_query("yesterday", ENDPOINT, partial(_created, CREATED["yesterday"])),
    window_query("cycle", ENDPOINT, _cycle),
)
ORG_QUERIES = tuple(
    window_query(window, ORG_ENDPOINT, partial(_created, metric))
    for window, metric in ORGANIZATION_CREATED.items()
)
