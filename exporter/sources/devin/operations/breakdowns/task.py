"""ACUs of sessions by what they were for: the sessions of the cycle are listed, then published.

The polls of the sessions bring what changes. What had changed before in the cycle is listed once,
day by day, and again once a day, as pull requests merge after their sessions have ended.
"""

import math
from collections.abc import Callable, Iterator, Mapping

from exporter.client.endpoint import Request
from exporter.client.http import Client
from exporter.client.models import Listing
from exporter.client.response import is_fresh
from exporter.errors import EntitiesUnknownError, SwitchedOffError
from exporter.metrics import Sample
from exporter.scheduling.kept import Kept
from exporter.scheduling.task import Snapshot, Task
from exporter.sources.devin.billing import cycles
from exporter.sources.devin.billing.windows import DAY, BillingWindows, Window
from exporter.sources.devin.consumption.ledger import Ledger
from exporter.sources.devin.identity import Identity
from exporter.sources.devin.operations import session_items
from exporter.sources.devin.operations.breakdowns.book import Book
from exporter.sources.devin.operations.breakdowns.labels import UNEXPLAINED, WRITTEN
from exporter.sources.devin.operations.breakdowns.metrics import (
    ACUS,
    LABELS,
    METRICS,
    PULL_REQUESTS,
    SESSIONS,
)
from exporter.sources.devin.operations.breakdowns.sums import OwnerCounts, Rows
from exporter.sources.devin.operations.session_items import Changes, SessionItem

TASK = "session_breakdowns"
OFF = "DEVIN_SESSION_BREAKDOWN_LIMIT is 0"
ROUNDING = 1e-9
"""Share of the total up to which a difference is taken as rounding."""


class Breakdowns:
    """The sessions of the running cycle, broken down.

    Args:
        limit: the values of a dimension with rows of their own; 0 turns all of it off.
        written: whether tags and repositories are read and published.
    """

    def __init__(
        self,
        client: Client,
        clock: Callable[[], float],
        identity: Identity,
        windows: Callable[[float], BillingWindows],
        *,
        limit: int,
        written: bool,
    ) -> None:
        self._client = client
        self._clock = clock
        self._identity = identity
        self._windows = windows
        self._limit = limit
        self._written = written
        self._book = Book(written=written)

    def changed(self, changes: Changes) -> None:
        """Take over what a poll of the sessions has found."""
        if self._limit:
            self._book.poll(changes, self._windows(changes.requested_at))

    def task(
        self,
        poll_interval: float,
        *,
        total: Callable[[], Ledger],
        require_sessions: Callable[[], None],
        sessions: str,
        totals: tuple[str, ...],
    ) -> Task:
        """The task that lists the cycle and publishes the sums.

        Args:
            total: has the ACUs of everything that the key sees.
            require_sessions: raises the `PollError` of the last poll of the sessions, if it failed.
            sessions: the task that polls the sessions.
            totals: the tasks that poll `total`.
        """

        def snapshot(now: float, max_age: float) -> Snapshot:
            return self._snapshot(total(), now, max_age)

        return Task(
            name=TASK,
            source=self._client.source,
            interval=poll_interval,
            metrics=METRICS,
            poll=lambda: self.poll(require_sessions),
            snapshot=snapshot,
            next_window_end=lambda now: self._windows(now).next_window_end,
            depends_on=(sessions, cycles.TASK),
            republish_after=totals,
            kept=(self._kept(),) if self._limit else (),
        )

    def _kept(self) -> Kept:
        book = self._book
        return Kept(
            name=TASK,
            entries=book.entries,
            restore=book.restore,
            version=lambda: book.version,
        )

    def poll(self, require_sessions: Callable[[], None]) -> None:
        """List what is not known yet of the cycle, or all of it once a day. Raises `PollError`."""
        if not self._limit:
            raise SwitchedOffError(OFF)
        require_sessions()
        now = self._clock()
        windows = self._windows(now)
        if windows.cycle is None or self._book.polled_until == -math.inf:
            raise EntitiesUnknownError("the sessions or the cycle are not known yet")
        span = self._book.to_list(windows, now)
        if span is None:
            return
        unreadable = 0
        for part in _days(span):
            items = self._changed_in(part)
            self._book.list(part, items)
            unreadable += items.unreadable
        self._book.listed(span, windows.today.days.start, unreadable=unreadable)

    def _changed_in(self, span: Window) -> Listing[SessionItem]:
        """The sessions that last changed in a span of time."""
        org_id = self._identity.org_id
        bounds = {"updated_after": int(span.start) - 1, "updated_before": math.ceil(span.end) + 1}
        return self._client.get_list(
            Request(
                endpoint=session_items.ENDPOINT if org_id is None else session_items.ORG_ENDPOINT,
                ids={"org_id": org_id or ""},
                params=bounds,
            )
        )

    @property
    def polled_until(self) -> float:
        """When the sessions were last polled (Unix seconds); -inf if never."""
        return self._book.polled_until

    def by_owner(self, now: float, max_age: float) -> Mapping[str, OwnerCounts]:
        """Sessions by owner, created in each of the running windows of which all are known.

        Raises:
            EntitiesUnknownError: while the last poll of the sessions is too old, or there is none.
        """
        if not is_fresh(self._book.polled_until, now, max_age):
            raise EntitiesUnknownError("the sessions are not known")
        running = self._windows(now)
        self._book.begin(running)
        windows = running.certain()
        found = (
            (name, self._book.by_owner(name, windows[name])) for name in ACUS if name in windows
        )
        return {name: counts for name, counts in found if counts is not None}

    def _snapshot(self, ledger: Ledger, now: float, max_age: float) -> Snapshot:
        polled_until = self._book.polled_until
        if not self._limit or polled_until == -math.inf:
            return Snapshot()
        if not is_fresh(polled_until, now, max_age):
            return Snapshot(expired_entities=1)
        running = self._windows(now)
        self._book.begin(running)
        windows = running.certain()
        samples: list[Sample] = []
        for name in [each for each in ACUS if each in windows]:
            rows = self._book.rows(name, windows[name], most=self._limit)
            if rows is not None:
                total = _total(ledger, windows[name], now, max_age)
                samples += self._samples(name, rows, total)
        expires = min(polled_until + max_age, ledger.expires(now, max_age))
        return Snapshot(tuple(samples), expires=expires)

    def _samples(self, window: str, rows: Rows, total: float | None) -> Iterator[Sample]:
        for dimension, metric in ACUS[window].items():
            if dimension in WRITTEN and not self._written:
                continue
            amounts = rows.acus[dimension]
            for value, acus in sorted(amounts.items()):
                yield metric(acus, **{LABELS[dimension]: value})
            if total is not None:
                left = _difference(total, math.fsum(amounts.values()))
                yield metric(left, **{LABELS[dimension]: UNEXPLAINED})
        if window == "cycle" and self._written and rows.sessions is not None:
            for repository, sessions in sorted(rows.sessions.items()):
                yield SESSIONS(sessions, repository=repository)
            for (repository, state), count in sorted(rows.pull_requests.items()):
                yield PULL_REQUESTS(count, repository=repository, state=state)


def _days(span: Window) -> Iterator[Window]:
    """The span in parts of a day, so that no response holds a whole cycle."""
    start = span.start
    while start < span.end:
        end = min(start + DAY, span.end)
        yield Window(start, end)
        start = end


def _total(ledger: Ledger, window: Window, now: float, max_age: float) -> float | None:
    """ACUs of all products in a window; None while they are not known."""
    accounts = ledger.fresh(now, max_age).values()
    if not accounts or not all(account.is_final_at(window, now) for account in accounts):
        return None
    return math.fsum(acus for account in accounts for acus in account.total(window).values())


def _difference(total: float, explained: float) -> float:
    left = total - explained
    return 0.0 if abs(left) <= ROUNDING * abs(total) else left
