"""Sessions: `GET /v3/enterprise/sessions`, those updated in the last 24 hours.

A poll requests only what has changed since the last one; the rest is stored.
"""

import math
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

from pydantic import TypeAdapter

from exporter.client.endpoint import Endpoint, Request
from exporter.client.http import PAGE_SIZE, Client
from exporter.client.models import Acus, Id, ListPage, ResponseModel, Timestamp
from exporter.client.response import is_fresh
from exporter.exposition.text import Name, Word
from exporter.metrics import Metric, Sample
from exporter.scheduling.kept import Entry, Kept
from exporter.scheduling.task import Snapshot, Task
from exporter.sources.devin import keys
from exporter.sources.devin.billing.windows import DAY, seconds
from exporter.sources.devin.identity import Identity
from exporter.sources.devin.members.user_policy import UserPolicy

TASK = "sessions"
LONGEST_INTERVAL = 60.0
OVERLAP_SECONDS = 600.0
"""Polls overlap by this, as the API's clock and its bounds may differ from ours."""

FURTHER_BACK_DAYS = (7, 30)
"""How far back the first poll goes if there are too few sessions for the table."""

SESSIONS = Metric(
    "devin_sessions",
    "Sessions updated in the last 24 hours, by where they stand.",
    ("org_id", "status", "status_detail"),
)
RECENT_INFO = Metric(
    "devin_recent_session_info",
    "One of the newest sessions; 1.",
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
    "devin_recent_session_acus", "ACUs that one of the newest sessions consumed.", ("session_id",)
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


class SessionItem(ResponseModel):
    """The fields read of a session."""

    session_id: Id
    org_id: str
    url: str
    status: Word
    acus_consumed: Acus
    created_at: Timestamp
    updated_at: Timestamp
    title: Name | None = None
    user_id: str | None = None
    service_user_id: str | None = None
    status_detail: Word | None = None
    origin: Word | None = None
    category: Word | None = None

    @property
    def known_as(self) -> str:
        """The id without its prefix, which the API does not always send."""
        return self.session_id.removeprefix("devin-")


ENDPOINT = Endpoint(
    path="/v3/enterprise/sessions",
    response=TypeAdapter(ListPage[SessionItem]),
    feeds="sessions",
    permission=keys.VIEW_SESSIONS,
    keys=keys.ENTERPRISE_ONLY,
    check_params=lambda now: {"first": 1, "updated_after": int(now) - 3_600},
)
ORG_ENDPOINT = replace(
    ENDPOINT,
    path="/v3/organizations/{org_id}/sessions",
    permission=keys.VIEW_ORG_SESSIONS,
    keys=keys.ORGANIZATION_ONLY,
    check_params=lambda now: {"first": PAGE_SIZE, "updated_after": int(now) - DAY},
)
ENDPOINTS = (ENDPOINT, ORG_ENDPOINT)


_POLL = ""
"""The key of what is kept of the polls; no session's id is empty."""
_KEPT_POLL = TypeAdapter(tuple[float, bool])


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """How many of the newest sessions are published, and whether with their titles."""

    rows: int
    titles: bool


class Sessions:
    """The sessions of the last 24 hours, and the newest sessions of any time."""

    def __init__(
        self,
        client: Client,
        clock: Callable[[], float],
        identity: Identity,
        *,
        policy: UserPolicy,
        table: Table,
    ) -> None:
        self._client = client
        self._clock = clock
        self._identity = identity
        self._policy = policy
        self._table = table
        self._lock = threading.Lock()
        self._known: dict[str, SessionItem] = {}
        self._complete_at = -math.inf
        self.acus_seen = False

    def task(self, poll_interval: float, *, labelled_after: tuple[str, ...] = ()) -> Task:
        """The task that polls the sessions: every minute, or more often with a shorter interval.

        Args:
            labelled_after: the tasks whose polls decide which labels users get.
        """
        return Task(
            name=TASK,
            source=self._client.source,
            interval=min(LONGEST_INTERVAL, poll_interval),
            metrics=METRICS,
            poll=self.poll,
            snapshot=self.snapshot,
            republish_after=labelled_after,
            kept=(Kept(name=TASK, entries=self._entries, restore=self._restore),),
        )

    def _entries(self) -> Mapping[str, Entry]:
        """The sessions; without titles unless these are published."""
        if self._complete_at == -math.inf:
            return {}
        poll = _KEPT_POLL.dump_json((self._complete_at, self.acus_seen))
        with self._lock:
            known = dict(self._known)
        without = None if self._shows_titles else {"title"}
        return {
            _POLL: Entry(poll, lambda: poll),
            **{
                known_as: Entry(item, partial(_session_json, item, without))
                for known_as, item in known.items()
            },
        }

    def _restore(self, values: Mapping[str, bytes]) -> None:
        complete_at, acus_seen = _KEPT_POLL.validate_json(values.get(_POLL, b""))
        known = {
            known_as: SessionItem.model_validate_json(value)
            for known_as, value in values.items()
            if known_as != _POLL
        }
        with self._lock:
            self._known, self._complete_at, self.acus_seen = known, complete_at, acus_seen

    def poll(self) -> None:
        """Request what has changed since the last good poll. Raises `PollError`."""
        requested_at = self._clock()
        # If the clock was ahead at the last poll, request everything again.
        known_until = (
            self._complete_at if is_fresh(self._complete_at, requested_at, math.inf) else -math.inf
        )
        first = known_until == -math.inf
        items = self._updated_after(max(known_until - OVERLAP_SECONDS, requested_at - DAY))
        for days in FURTHER_BACK_DAYS if first else ():
            if len(items) < self._table.rows:
                items = self._updated_after(requested_at - days * DAY)
        with self._lock:
            for item in items:
                before = self._known.get(item.known_as)
                # A session that changed during paging is on two pages; the later state counts.
                if before is None or before.updated_at <= item.updated_at:
                    self._known[item.known_as] = item
            newest = {item.known_as for item in self._newest()}
            self._known = {
                known_as: item
                for known_as, item in self._known.items()
                if known_as in newest or _updated_since(item, requested_at - DAY)
            }
            self._complete_at = requested_at
            self.acus_seen = self.acus_seen or any(item.acus_consumed for item in items)

    def _updated_after(self, moment: float) -> list[SessionItem]:
        org_id = self._identity.org_id
        return self._client.get_list(
            Request(
                endpoint=ENDPOINT if org_id is None else ORG_ENDPOINT,
                ids={"org_id": org_id or ""},
                params={"updated_after": int(moment) - 1},
            )
        )

    def seen_users(self) -> dict[str, str]:
        """The owners of these sessions by id: users (`user`) and service users (`service`)."""
        with self._lock:
            items = tuple(self._known.values())
        users = {item.user_id: "user" for item in items if item.user_id}
        return users | {item.service_user_id: "service" for item in items if item.service_user_id}

    def seen_since(self, moment: float) -> frozenset[str]:
        """Organizations and owners of the sessions that changed after a moment (Unix seconds)."""
        with self._lock:
            items = [item for item in self._known.values() if _updated_since(item, moment)]
        ids = (id_ for item in items for id_ in (item.org_id, item.user_id, item.service_user_id))
        return frozenset(id_ for id_ in ids if id_)

    def _newest(self) -> list[SessionItem]:
        by_age = sorted(self._known.values(), key=lambda item: (-item.created_at, item.known_as))
        return by_age[: self._table.rows]

    def snapshot(self, now: float, max_age: float) -> Snapshot:
        """Counts by state, and the table, while the last good poll is fresh."""
        if self._complete_at == -math.inf:
            return Snapshot()
        if not is_fresh(self._complete_at, now, max_age):
            return Snapshot(expired_entities=1)
        with self._lock:
            recent = [item for item in self._known.values() if _updated_since(item, now - DAY)]
            newest = self._newest()
        return Snapshot(
            (*_counts(recent), *self._rows(newest)), expires=self._complete_at + max_age
        )

    @property
    def _shows_titles(self) -> bool:
        # Titles may hold names.
        return self._table.titles and self._policy.shows_ids

    def _rows(self, newest: list[SessionItem]) -> Iterator[Sample]:
        titles = self._shows_titles
        for item in newest:
            session_id = item.known_as
            yield RECENT_INFO(
                1,
                session_id=session_id,
                org_id=item.org_id,
                user_id=self._policy.label(item.user_id) if item.user_id else "",
                status=item.status,
                status_detail=item.status_detail or "",
                origin=item.origin or "",
                category=item.category or "",
                title=(item.title or "") if titles else "",
                session_url=item.url,
            )
            yield RECENT_ACUS(item.acus_consumed, session_id=session_id)
            yield RECENT_CREATED(seconds(item.created_at), session_id=session_id)
            yield RECENT_UPDATED(seconds(item.updated_at), session_id=session_id)


def _session_json(item: SessionItem, without: set[str] | None) -> bytes:
    return item.model_dump_json(exclude=without).encode()


def _updated_since(item: SessionItem, moment: float) -> bool:
    return seconds(item.updated_at) > moment


def _counts(items: list[SessionItem]) -> Iterator[Sample]:
    states = Counter((item.org_id, item.status, item.status_detail or "") for item in items)
    for (org_id, status, detail), sessions in sorted(states.items()):
        yield SESSIONS(sessions, org_id=org_id, status=status, status_detail=detail)
