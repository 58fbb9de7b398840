"""Sessions: `GET /v3/enterprise/sessions`, those updated in the last 24 hours.

A poll requests only what has changed since the last one; the rest is stored.
"""

import math
import threading
from collections.abc import Callable, Iterator, Mapping

from exporter.client.endpoint import Request
from exporter.client.http import Client
from exporter.client.models import Listing
from exporter.client.response import is_fresh
from exporter.errors import EntitiesUnknownError, PollError, strip_traceback
from exporter.scheduling.kept import Entry, Kept
from exporter.scheduling.task import Snapshot, Task
from exporter.sources.devin.billing.windows import DAY, seconds
from exporter.sources.devin.identity import Identity
from exporter.sources.devin.members.user_policy import UserPolicy
from exporter.sources.devin.operations import (
    kept_sessions,
    session_bills,
    session_items,
    session_table,
)
from exporter.sources.devin.operations.kept_sessions import Polls
from exporter.sources.devin.operations.session_bills import SessionBills
from exporter.sources.devin.operations.session_items import Changes, SessionItem
from exporter.sources.devin.operations.session_table import Table

TASK = "sessions"
LONGEST_INTERVAL = 60.0
OVERLAP_SECONDS = 600.0
"""Polls overlap by this, as the API's clock and its bounds may differ from ours."""

FURTHER_BACK_DAYS = (7, 30)
"""How far back the first poll goes if there are too few sessions for the table."""


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
        bills: SessionBills,
        on_changes: Callable[[Changes], None],
    ) -> None:
        self._client = client
        self._clock = clock
        self._identity = identity
        self._policy = policy
        self._table = table
        self._bills = bills
        self._on_changes = on_changes
        self._lock = threading.Lock()
        self._known: dict[str, SessionItem] = {}
        self._requested_at = -math.inf
        self._known_until = -math.inf
        self._complete = False
        self._lacks_wanted = False
        self._failure: PollError | None = EntitiesUnknownError("the sessions are not known yet")
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
            metrics=session_table.METRICS,
            poll=self.poll,
            snapshot=self.snapshot,
            republish_after=(*labelled_after, session_bills.TASK),
            kept=(Kept(name=TASK, entries=self._entries, restore=self._restore),),
        )

    def _entries(self) -> Mapping[str, Entry]:
        """The sessions; without titles unless these are published."""
        with self._lock:
            if self._requested_at == -math.inf:
                return {}
            polls = Polls(
                requested_at=self._requested_at,
                known_until=self._known_until,
                complete=self._complete,
                acus_seen=self.acus_seen,
                rows=0 if self._lacks_wanted else self._table.rows,
                titles=self._shows_titles and not self._lacks_wanted,
            )
            return kept_sessions.entries(polls, self._known)

    def _restore(self, values: Mapping[str, bytes]) -> None:
        polls, known = kept_sessions.read(values)
        with self._lock:
            self._known, self.acus_seen = known, polls.acus_seen
            self._requested_at, self._known_until = polls.requested_at, polls.known_until
            self._complete = polls.complete
            lacks_titles = self._shows_titles and not polls.titles
            self._lacks_wanted = lacks_titles or polls.rows < self._table.rows

    def poll(self) -> None:
        """Request what has changed since the last good poll. Raises `PollError`."""
        try:
            self._request_changes()
        except PollError as failure:
            self._failure = failure
            raise
        self._failure = None

    def require_last_poll(self) -> None:
        """Raise the `PollError` of the last poll, if it failed, or if there was none yet."""
        failure = self._failure
        if failure is not None:
            raise strip_traceback(failure)

    def _request_changes(self) -> None:
        requested_at = self._clock()
        first = self._must_begin_anew(requested_at)
        reached = since = requested_at - DAY
        if not first:
            reached = since = max(self._known_until - OVERLAP_SECONDS, since)
        items = self._updated_after(since)
        complete = not items.unreadable
        for days in FURTHER_BACK_DAYS if first else ():
            if len(items) < self._table.rows:
                reached = requested_at - days * DAY
                items = self._updated_after(reached)
        self._on_changes(Changes(reached, requested_at, items))
        with self._lock:
            if first:
                self._known = {}
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
            # A session that cannot be read is requested again until it can be.
            self._known_until = requested_at if complete else since + OVERLAP_SECONDS
            self._requested_at, self._complete = requested_at, complete
            self._lacks_wanted = False
            self.acus_seen = self.acus_seen or any(item.acus_consumed for item in items)

    def _must_begin_anew(self, now: float) -> bool:
        """Whether what is known cannot be brought up to date by what has changed since.

        So it is at first; if the clock was ahead at the last poll; if that is longer ago than a
        poll reaches back; and if an earlier process knew less than is to be published.
        """
        is_past = is_fresh(self._known_until, now, math.inf)
        has_gap = self._requested_at - OVERLAP_SECONDS < now - DAY
        return not is_past or has_gap or self._lacks_wanted

    def _updated_after(self, moment: float) -> Listing[SessionItem]:
        org_id = self._identity.org_id
        return self._client.get_list(
            Request(
                endpoint=session_items.ENDPOINT if org_id is None else session_items.ORG_ENDPOINT,
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

    def signs(self) -> dict[str, float]:
        """When a session of each organization and owner last changed (whole Unix seconds)."""
        with self._lock:
            items = tuple(self._known.values())
        signs: dict[str, float] = {}
        for item in items:
            updated = seconds(item.updated_at)
            for id_ in (item.org_id, item.user_id, item.service_user_id):
                if id_ and signs.get(id_, -math.inf) < updated:
                    signs[id_] = updated
        return signs

    def _newest(self) -> list[SessionItem]:
        return session_items.newest(self._known.values(), self._table.rows)

    def _in_table(self, now: float) -> Iterator[tuple[SessionItem, float]]:
        """The rows of the table, each with its ACUs; 0 where neither list nor bill has them."""
        billed = self._bills.acus(now)
        with self._lock:
            newest = self._newest()
            older = self._known.keys() - {item.known_as for item in newest}
            running = [self._known[key] for key in older if self._known[key].still_runs]
        rest = [(item, _acus(item, billed)) for item in running]
        large = [(item, acus) for item, acus in rest if acus > self._table.large_acus]
        large.sort(key=lambda row: (-row[1], row[0].known_as))
        yield from ((item, _acus(item, billed)) for item in newest)
        yield from large[: self._table.rows]

    def without_acus(self) -> list[SessionItem]:
        """The sessions of which the list says 0 ACUs, and whose bills are therefore needed.

        Raises:
            PollError: why the last poll failed, if it did.
        """
        self.require_last_poll()
        with self._lock:
            items = tuple(self._known.values())
        return session_bills.without_acus(items, rows=self._table.rows)

    def snapshot(self, now: float, max_age: float) -> Snapshot:
        """Counts by state, and the table, while the last good poll is fresh.

        There are no counts while a session cannot be read.
        """
        if self._requested_at == -math.inf:
            return Snapshot()
        if not is_fresh(self._requested_at, now, max_age):
            return Snapshot(expired_entities=1)
        with self._lock:
            complete = self._complete
            recent = [item for item in self._known.values() if _updated_since(item, now - DAY)]
        rows = session_table.samples(self._in_table(now), self._policy, titles=self._shows_titles)
        return Snapshot(
            (*(session_table.counts(recent) if complete else ()), *rows),
            expires=min(self._requested_at + max_age, self._bills.expires(now)),
        )

    @property
    def _shows_titles(self) -> bool:
        # Titles may hold names.
        return self._table.titles and self._policy.shows_ids


def _acus(item: SessionItem, billed: Mapping[str, float]) -> float:
    return item.acus_consumed or billed.get(item.known_as, 0.0)


def _updated_since(item: SessionItem, moment: float) -> bool:
    return seconds(item.updated_at) > moment
