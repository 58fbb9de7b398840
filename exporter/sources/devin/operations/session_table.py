"""What is published of the sessions: their number by state, and a table of single ones."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from exporter.metrics import Metric, Sample
from exporter.sources.devin.billing.windows import seconds
from exporter.sources.devin.members.user_policy import UserPolicy
from exporter.sources.devin.operations.session_items import SessionItem

SESSIONS = Metric(
    "devin_sessions",
    "Sessions updated in the last 24 hours, by where they stand.",
    ("org_id", "status", "status_detail"),
)
RECENT_INFO = Metric(
    "devin_recent_session_info",
    "One of the newest sessions, or a large one that still runs; 1.",
    (
        "session_id",
        "org_id",
        "user_id",
        "status",
        "status_detail",
        "origin",
        "category",
        "title",
        "session_url",
    ),
)
RECENT_ACUS = Metric(
    "devin_recent_session_acus",
    "ACUs that one of the newest sessions consumed: by the list of sessions, or where that says 0, "
    "by its bill. Absent while there is none, as 0 is not known to be true.",
    ("session_id",),
)
RECENT_CREATED = Metric(
    "devin_recent_session_created_timestamp_seconds",
    "When one of the newest sessions was created, in Unix seconds.",
    ("session_id",),
)
RECENT_UPDATED = Metric(
    "devin_recent_session_updated_timestamp_seconds",
    "When one of the newest sessions last changed, in Unix seconds.",
    ("session_id",),
)
METRICS = (SESSIONS, RECENT_INFO, RECENT_ACUS, RECENT_CREATED, RECENT_UPDATED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What is published of single sessions.

    Attributes:
        rows: how many of the newest sessions, and as many again of large ones that still run.
        titles: whether with their titles.
        large_acus: the ACUs above which a session is large.
    """

    rows: int
    titles: bool
    large_acus: float


def counts(items: Iterable[SessionItem]) -> Iterator[Sample]:
    """Sessions by where they stand."""
    states = Counter((item.org_id, item.status, item.status_detail or "") for item in items)
    for (org_id, status, detail), sessions in sorted(states.items()):
        yield SESSIONS(sessions, org_id=org_id, status=status, status_detail=detail)


def samples(
    rows: Iterable[tuple[SessionItem, float]], policy: UserPolicy, *, titles: bool
) -> Iterator[Sample]:
    """The rows of the table.

    Args:
        rows: sessions with their ACUs; 0 if these are not known.
        titles: whether with titles.
    """
    for item, acus in rows:
        session_id = item.known_as
        yield RECENT_INFO(
            1,
            session_id=session_id,
            org_id=item.org_id,
            user_id=policy.label(item.user_id) if item.user_id else "",
            status=item.status,
            status_detail=item.status_detail or "",
            origin=item.origin or "",
            category=item.category or "",
            title=(item.title or "") if titles else "",
            session_url=item.url,
        )
        if acus:
            yield RECENT_ACUS(acus, session_id=session_id)
        yield RECENT_CREATED(seconds(item.created_at), session_id=session_id)
        yield RECENT_UPDATED(seconds(item.updated_at), session_id=session_id)
