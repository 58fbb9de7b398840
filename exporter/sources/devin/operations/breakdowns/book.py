"""The sessions of the running cycle, and the sums over them by label. No I/O.

Sums change with each session that changes, so that neither a poll nor a scrape goes through all.
"""

import math
import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace

from exporter.client.models import Listing
from exporter.client.response import CLOCK_STEP_SECONDS
from exporter.sources.devin.billing.windows import DAY, BillingWindows, Window, seconds
from exporter.sources.devin.operations.breakdowns.labels import labels_of
from exporter.sources.devin.operations.breakdowns.reading import (
    UNKNOWN_START,
    Reading,
    Running,
)
from exporter.sources.devin.operations.breakdowns.sums import Rows, WindowSums
from exporter.sources.devin.operations.session_items import Changes, SessionItem

OVERLAP_SECONDS = 600.0
"""Spans overlap by this, as the API's clock and its bounds may differ from ours."""

LIST_AGAIN_AFTER_SECONDS = 3_600.0
"""The cycle is listed again so long after the start of each day."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of which time all changed sessions are known (Unix seconds).

    Attributes:
        polled_since: from here to `polled_until` by the polls of the sessions.
        listed_until: from the start of the cycle to here by listing it.
        listed_on: the day on which the cycle was last listed as a whole.
        doubtful_since: from here to `doubtful_until`, sessions are missing that could not be read;
            inf if none are.
    """

    polled_since: float = math.inf
    polled_until: float = -math.inf
    listed_until: float = -math.inf
    listed_on: int | None = None
    doubtful_since: float = math.inf
    doubtful_until: float = -math.inf

    @property
    def joined(self) -> bool:
        """Whether the cycle is known without a gap."""
        return self.listed_until >= self.polled_since

    def covers(self, window: Window) -> bool:
        """Whether all sessions that changed in a running window are known."""
        return self.polled_until >= window.start and (
            self.joined or self.polled_since <= window.start
        )

    def polled(self, changes: Changes) -> "Coverage":
        """The coverage after one more poll."""
        since, listed_until = min(self.polled_since, changes.since), self.listed_until
        if changes.since > self.polled_until:
            since = changes.since
            listed_until = self.polled_until - OVERLAP_SECONDS if self.joined else listed_until
        coverage = replace(
            self,
            polled_since=since,
            polled_until=changes.requested_at,
            listed_until=listed_until,
        )
        span = Window(changes.since, changes.requested_at)
        return coverage.doubted(span) if changes.items.unreadable else coverage.trusted(span)

    def doubted(self, span: Window) -> "Coverage":
        """The same, after a session that changed in a span of time could not be read."""
        return replace(
            self,
            doubtful_since=min(self.doubtful_since, span.start),
            doubtful_until=max(self.doubtful_until, span.end),
        )

    def trusted(self, span: Window) -> "Coverage":
        """The same, after all sessions that changed in a span of time could be read."""
        if span.start > self.doubtful_since or span.end < self.doubtful_until:
            return self
        return replace(self, doubtful_since=math.inf, doubtful_until=-math.inf)


class Book:
    """The sessions of the running cycle. Safe to use from several threads.

    Args:
        written: whether with tags and repositories, which people have named.
    """

    def __init__(self, *, written: bool) -> None:
        self._written = written
        self._lock = threading.Lock()
        self._readings: dict[str, Reading] = {}
        self._coverage = Coverage()
        self._sums: dict[str, WindowSums] = {}

    def poll(self, changes: Changes, windows: BillingWindows) -> None:
        """Take over what a poll of the sessions has found, with the windows at that time."""
        with self._lock:
            before = self._coverage
            if changes.requested_at < before.polled_until - CLOCK_STEP_SECONDS:
                # The clock was ahead: what was taken for today's may not be.
                before, self._readings, self._sums = Coverage(), {}, {}
            self._coverage = before.polled(changes)
            self._turn("today", 0, windows.today)
            self._turn("cycle", 1, windows.cycle)
            self._read(changes.items, unchanged_until=before.polled_until)

    def to_list(self, windows: BillingWindows, now: float) -> Window | None:
        """The time of which the sessions that changed in it are to be listed; None for now."""
        cycle, today = windows.cycle, windows.today
        with self._lock:
            coverage = self._coverage
        if cycle is None or coverage.polled_until == -math.inf:
            return None
        if not coverage.covers(cycle):
            start = max(cycle.start, coverage.listed_until)
            return Window(start, coverage.polled_since + OVERLAP_SECONDS)
        due = today.start + LIST_AGAIN_AFTER_SECONDS <= now
        if due and coverage.listed_on != today.days.start:
            return Window(cycle.start, now)
        return None

    def list(self, span: Window, items: Listing[SessionItem]) -> None:
        """Take over the sessions that changed in a span of time, as listed."""
        with self._lock:
            coverage = self._coverage
            cycle = self._sums.get("cycle")
            begun = max(coverage.listed_until, cycle.running.window.start if cycle else math.inf)
            if span.start <= begun:
                listed_until = max(coverage.listed_until, span.end)
                self._coverage = replace(coverage, listed_until=listed_until)
            if items.unreadable:
                self._coverage = self._coverage.doubted(span)
            self._read(items, unchanged_until=coverage.polled_until)

    def listed(self, span: Window, day: int, *, unreadable: int) -> None:
        """Take note that all of a span was listed on a day (number)."""
        with self._lock:
            coverage = replace(self._coverage, listed_on=day)
            self._coverage = coverage if unreadable else coverage.trusted(span)

    def rows(self, name: str, window: Window, *, most: int) -> Rows | None:
        """The rows of a running window; None unless all sessions that changed in it are known.

        Args:
            most: the values with rows of their own, in each dimension.
        """
        with self._lock:
            coverage, sums = self._coverage, self._sums.get(name)
            if sums is None or sums.running.zero.window != window.days.start:
                return None
            if not coverage.covers(window):
                return None
            return sums.rows(most, counts=coverage.doubtful_since == math.inf)

    @property
    def polled_until(self) -> float:
        """When the sessions were last polled (Unix seconds); -inf if never."""
        return self._coverage.polled_until

    def _turn(self, name: str, place: int, window: Window | None) -> None:
        """Begin the sums of a window anew when another one runs."""
        sums = self._sums.get(name)
        if window is None:
            self._sums.pop(name, None)
            return
        if sums is not None and sums.running.zero.window == window.days.start:
            return
        if name == "cycle":
            self._forget_before(window, reaches_back=sums is None or _starts_before(window, sums))
        self._sums[name] = begun = WindowSums(Running.of(place, window))
        for known_as, reading in self._readings.items():
            if begun.running.may_have_use(reading):
                self._readings[known_as] = counted = begun.running.with_start(reading)
                begun.add(counted)

    def _forget_before(self, cycle: Window, *, reaches_back: bool) -> None:
        """Forget the sessions that have not changed in the cycle, nor in the last day."""
        coverage = self._coverage
        if reaches_back:
            self._coverage = replace(coverage, listed_until=-math.inf)
        first = min(cycle.start, coverage.polled_until - DAY)
        self._readings = {
            known_as: reading
            for known_as, reading in self._readings.items()
            if reading.updated_at >= first
        }

    def _read(self, items: Iterable[SessionItem], *, unchanged_until: float) -> None:
        """Replace what is known of sessions, and change the sums by the difference.

        Args:
            unchanged_until: sessions that were polled before have not changed until then.
        """
        coverage = self._coverage
        for item in items:
            before = self._readings.get(item.known_as)
            if before is not None and before.updated_at > seconds(item.updated_at):
                continue
            polled = before is not None and (
                coverage.joined or before.updated_at >= coverage.polled_since
            )
            held = unchanged_until if polled else -math.inf
            self._replace(item, before, unchanged_until=held)

    def _replace(
        self, item: SessionItem, before: Reading | None, *, unchanged_until: float
    ) -> None:
        starts = {sums.running.place: sums.running for sums in self._sums.values()}
        day, cycle = (
            starts[place].start(item, before, unchanged_until=unchanged_until)
            if place in starts
            else UNKNOWN_START
            for place in (0, 1)
        )
        after = Reading(
            item.acus_consumed,
            seconds(item.created_at),
            seconds(item.updated_at),
            labels_of(item, written=self._written),
            (day, cycle),
        )
        if after == before:
            return
        self._readings[item.known_as] = after
        for sums in self._sums.values():
            if before is not None:
                sums.take(before)
            sums.add(after)


def _starts_before(window: Window, sums: WindowSums) -> bool:
    return window.start < sums.running.window.start
