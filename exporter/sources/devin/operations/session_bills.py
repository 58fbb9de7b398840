"""What sessions were billed, for those of which the list of sessions says 0 ACUs.

Some deployments say so of sessions that worked.

`GET /v3/enterprise/consumption/daily/sessions/{session_id}`, on older deployments the same of
`v3beta1`, and for an organization's key
`GET /v3/organizations/{org_id}/consumption/daily/sessions/{session_id}`. Each responds 404 as long
as it has no bill of the session.
"""

import math
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from pydantic import BaseModel, TypeAdapter

from exporter.client.endpoint import Request
from exporter.client.fan_out import Attempts, for_each_entity
from exporter.client.http import Client
from exporter.client.response import first_expiry, is_fresh
from exporter.errors import NotFoundError
from exporter.scheduling.kept import Entry, Kept
from exporter.scheduling.task import Snapshot, Task
from exporter.sources.devin import keys
from exporter.sources.devin.billing.windows import DAY, Window, billing_day, seconds
from exporter.sources.devin.consumption.scopes import ENTERPRISE_SCOPE
from exporter.sources.devin.identity import Identity
from exporter.sources.devin.operations.session_items import SessionItem, newest

TASK = "session_consumption"
STARTING_SECONDS = 300.0
"""A session younger than this is not requested."""

MOST_SESSIONS = 50
"""The sessions that one poll requests at most; those requested longest ago are first."""

SETTLED_SECONDS = 3_600.0
"""A session that has not changed for this long is requested no more often than this."""

ENDPOINT = replace(
    ENTERPRISE_SCOPE.endpoint,
    path="/v3/enterprise/consumption/daily/sessions/{session_id}",
    feeds=f"ACUs ({TASK})",
    optional="no bill of this session",
)
OLDER_ENDPOINT = replace(
    ENDPOINT, path="/v3beta1/enterprise/consumption/daily/sessions/{session_id}"
)
ORG_ENDPOINT = replace(
    ENDPOINT,
    path="/v3/organizations/{org_id}/consumption/daily/sessions/{session_id}",
    permission=keys.VIEW_ORG_CONSUMPTION,
    keys=keys.ORGANIZATION_ONLY,
)
CURRENT_ENDPOINTS = (ENDPOINT, ORG_ENDPOINT)
ENDPOINTS = (*CURRENT_ENDPOINTS, OLDER_ENDPOINT)


@dataclass(frozen=True, slots=True)
class Bill:
    """The last response about a session.

    Attributes:
        requested_at: Unix seconds.
        held_at: Unix seconds at which it was requested, or needed no request.
        acus: None if nothing is billed yet.
    """

    requested_at: float
    held_at: float
    acus: float | None


_BILL = TypeAdapter(Bill)
_RUN = ""
"""The key of what is kept of the last poll; no session's id is empty."""


class _Run(BaseModel):
    """How long it takes to request all bills, which decides how long they are fresh."""

    polls_for_all: int
    seconds: float


class SessionBills:
    """The bills of sessions as last reported.

    Args:
        interval: seconds between polls.
    """

    def __init__(
        self,
        client: Client,
        clock: Callable[[], float],
        identity: Identity,
        *,
        interval: float,
    ) -> None:
        self._client = client
        self._clock = clock
        self._identity = identity
        self._interval = interval
        self._polls_for_all = 1
        self._run_seconds = 0.0
        self._bills: dict[str, Bill] = {}
        self._attempts = Attempts()
        self._has_current_endpoint = False
        self._lock = threading.Lock()

    def task(
        self,
        *,
        without_acus: Callable[[], Sequence[SessionItem]],
        metered: Callable[[float], bool | None],
        after: tuple[str, ...],
    ) -> Task:
        """The task that requests the bills, on metered plans alone: elsewhere 0 says nothing.

        It has no samples of its own: the table of sessions publishes the bills.

        Args:
            without_acus: the sessions to request; raises `PollError`.
            metered: whether the plan is metered; None while unknown.
            after: the tasks whose polls decide both.
        """

        def snapshot(now: float, max_age: float) -> Snapshot:  # noqa: ARG001 - bills have their own
            missing = self._attempts.entities() - self._fresh(now).keys()
            return Snapshot(expires=self.expires(now), expired_entities=len(missing))

        return Task(
            name=TASK,
            source=self._client.source,
            interval=self._interval,
            metrics=(),
            poll=lambda: self._poll(without_acus, metered),
            snapshot=snapshot,
            depends_on=after,
            kept=(Kept(name=TASK, entries=self._entries, restore=self._restore),),
        )

    def _entries(self) -> Mapping[str, Entry]:
        with self._lock:
            bills = dict(self._bills)
        run = _Run(polls_for_all=self._polls_for_all, seconds=self._run_seconds).model_dump_json()
        return {
            _RUN: Entry(run, run.encode),
            **{key: Entry(bill, partial(_BILL.dump_json, bill)) for key, bill in bills.items()},
        }

    def _restore(self, values: Mapping[str, bytes]) -> None:
        run = _Run.model_validate_json(values.get(_RUN, b""))
        bills = {key: _BILL.validate_json(value) for key, value in values.items() if key != _RUN}
        self._polls_for_all, self._run_seconds = run.polls_for_all, run.seconds
        for key, bill in bills.items():
            self._attempts.note(key, bill.requested_at)
        with self._lock:
            self._bills = bills

    def acus(self, now: float) -> dict[str, float]:
        """ACUs by the id of the session without its prefix, where a bill is known and fresh."""
        return {
            known_as: bill.acus
            for known_as, bill in self._fresh(now).items()
            if bill.acus is not None
        }

    def expires(self, now: float) -> float:
        """When the first of the fresh bills becomes too old (Unix seconds)."""
        return first_expiry((bill.held_at for bill in self._fresh(now).values()), self._max_age)

    @property
    def _max_age(self) -> float:
        """Seconds: twice what all sessions take, which may be several polls, and one interval."""
        return (2 * self._polls_for_all + 1) * self._interval + 2 * self._run_seconds

    def _fresh(self, now: float) -> dict[str, Bill]:
        with self._lock:
            bills = dict(self._bills)
        return {key: bill for key, bill in bills.items() if self._is_fresh(bill, now)}

    def _is_fresh(self, bill: Bill, now: float) -> bool:
        return is_fresh(bill.held_at, now, self._max_age)

    def _poll(
        self,
        without_acus: Callable[[], Sequence[SessionItem]],
        metered: Callable[[float], bool | None],
    ) -> None:
        began = self._clock()
        listed = without_acus()
        sessions = {
            each.known_as: each for each in listed if metered(began) and _has_started(each, began)
        }
        due = self._hold_until_due(sessions, began)
        self._polls_for_all = max(1, math.ceil(len(due) / MOST_SESSIONS))
        for_each_entity(
            self._attempts.least_recent_first(due)[:MOST_SESSIONS],
            lambda known_as: self._request(sessions[known_as]),
            threads=self._client.concurrency,
        )
        self._run_seconds = self._clock() - began

    def _hold_until_due(self, sessions: dict[str, SessionItem], now: float) -> list[str]:
        """Forget all other sessions, and return those whose bill may have changed."""
        due: list[str] = []
        self._attempts.retain(sessions)
        with self._lock:
            self._bills = {key: bill for key, bill in self._bills.items() if key in sessions}
            for key, session in sessions.items():
                bill = self._bills.get(key)
                if bill is None or _may_have_changed(bill, session, now):
                    due.append(key)
                else:
                    self._bills[key] = replace(bill, held_at=now)
        return due

    def _request(self, session: SessionItem) -> None:
        requested_at = self._clock()
        try:
            acus = self._fetch(session, requested_at)
            with self._lock:
                self._bills[session.known_as] = Bill(requested_at, requested_at, acus)
        finally:
            self._attempts.note(session.known_as, requested_at)

    def _fetch(self, session: SessionItem, now: float) -> float | None:
        """ACUs over the session's life; None if nothing is billed yet. Raises `PollError`."""
        ids = {"org_id": self._identity.org_id or "", "session_id": session.session_id}
        life = Window(
            billing_day(seconds(session.created_at)).start - DAY, billing_day(now).end + DAY
        )
        current = ENDPOINT if self._identity.org_id is None else ORG_ENDPOINT
        try:
            response = self._client.get(Request(endpoint=current, ids=ids, params=life.params))
            self._has_current_endpoint = True
        except NotFoundError:
            if self._has_current_endpoint or current is ORG_ENDPOINT:
                return None
            older = Request(endpoint=OLDER_ENDPOINT, ids=ids, params=life.params)
            try:
                response = self._client.get(older)
            except NotFoundError:
                return None
        days = [day.acus for day in response.consumption_by_date]
        return math.fsum(days) if days else None


def without_acus(items: Collection[SessionItem], *, rows: int) -> list[SessionItem]:
    """The sessions that need a bill: those of the table, and those that still run.

    Args:
        rows: the rows of the table; without any, no session needs a bill.
    """
    in_table = {item.known_as for item in newest(items, rows)}
    return [
        item
        for item in items
        if rows and not item.acus_consumed and (item.known_as in in_table or item.still_runs)
    ]


def requested_by_each_poll(
    items: Collection[SessionItem], *, rows: int, now: float
) -> list[SessionItem]:
    """The sessions that each poll requests while they change."""
    changing = (item for item in without_acus(items, rows=rows) if _is_unsettled(item, now))
    return [item for item in changing if _has_started(item, now)][:MOST_SESSIONS]


def _has_started(session: SessionItem, now: float) -> bool:
    return now - seconds(session.created_at) >= STARTING_SECONDS


def _is_unsettled(session: SessionItem, at: float) -> bool:
    return at < seconds(session.updated_at) + SETTLED_SECONDS


def _may_have_changed(bill: Bill, session: SessionItem, now: float) -> bool:
    stale = not is_fresh(bill.requested_at, now, SETTLED_SECONDS)
    return stale or _is_unsettled(session, bill.requested_at)
