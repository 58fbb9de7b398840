"""The sessions of the running cycle, and the sums over them by label. No I/O.

Sums change with each session that changes, so that neither a poll nor a scrape goes through all.
"""

import math
import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace

from exporter.client.models import Listing
from exporter.client.response import CLOCK_STEP_SECONDS
from exporter.scheduling.kept import Entry
from exporter.sources.devin.billing.windows import DAY, BillingWindows, Window, seconds
from exporter.sources.devin.operations.breakdowns import stored
from exporter.sources.devin.operations.breakdowns.coverage import OVERLAP_SECONDS, Coverage
from exporter.sources.devin.operations.breakdowns.labels import labels_of
from exporter.sources.devin.operations.breakdowns.pool import Pool
from exporter.sources.devin.operations.breakdowns.reading import (
    NOBODY,
    UNKNOWN_START,
    Reading,
    Running,
)
from exporter.sources.devin.operations.breakdowns.sums import OwnerCounts, Rows, WindowSums
from exporter.sources.devin.operations.session_items import Changes, SessionItem

LIST_AGAIN_AFTER_SECONDS = 3_600.0
"""The cycle is listed again so long after the start of each day."""


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
        self._version = 0
        self._pool = Pool()
        self._lacks_owners = False

    def poll(self, changes: Changes, windows: BillingWindows) -> None:
        """Take over what a poll of the sessions has found, with the windows at that time."""
        with self._lock:
            self._version += 1
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
            # The cycle may have become known since the last poll of the sessions.
            self._turn("today", 0, today)
            self._turn("cycle", 1, cycle)
            coverage = self._coverage
        if cycle is None or coverage.polled_until == -math.inf:
            return None
        if self._lacks_owners:
            return Window(cycle.start, now)
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
            self._version += 1
            coverage, cycle = self._coverage, self._sums.get("cycle")
            if cycle is not None:
                self._coverage = coverage.listed(span, cycle.running.window)
            if items.unreadable:
                self._coverage = self._coverage.doubted(span)
            self._read(items, unchanged_until=coverage.polled_until)

    def listed(self, span: Window, day: int, *, unreadable: int) -> None:
        """Take note that all of a span was listed on a day (number)."""
        with self._lock:
            self._version += 1
            self._lacks_owners = False
            coverage = replace(self._coverage, listed_on=day)
            self._coverage = coverage if unreadable else coverage.trusted(span)

    @property
    def version(self) -> int:
        """Another number after each poll and listing."""
        return self._version

    def entries(self) -> Mapping[str, Entry]:
        """What is to outlive the process; nothing before the first poll."""
        with self._lock:
            coverage, readings = self._coverage, dict(self._readings)
        if coverage.polled_until == -math.inf:
            return {}
        return stored.entries(coverage, readings, written=self._written)

    def restore(self, values: Mapping[str, bytes]) -> None:
        """Take over what an earlier process has kept, whole or not at all.

        Raises:
            ValueError: if it cannot be read.
        """
        pool = Pool()
        coverage, readings = stored.decode(values, written=self._written, pool=pool)
        with self._lock:
            self._pool = pool
            self._coverage, self._readings, self._sums = coverage, readings, {}
            self._lacks_owners = any(each.owner is None for each in readings.values())

    def begin(self, windows: BillingWindows) -> None:
        """Make the sums of what was restored, if there was no poll since."""
        with self._lock:
            if not self._sums:
                self._turn("today", 0, windows.today)
                self._turn("cycle", 1, windows.cycle)

    def rows(self, name: str, window: Window, *, most: int) -> Rows | None:
        """The rows of a running window; None unless all sessions that changed in it are known.

        Args:
            most: the values with rows of their own, in each dimension.
        """
        with self._lock:
            coverage, sums = self._coverage, self._sums.get(name)
            if sums is None or not self._are_of(sums, window):
                return None
            return sums.rows(most, counts=coverage.doubtful_since == math.inf)

    def by_owner(self, name: str, window: Window) -> OwnerCounts | None:
        """The sessions created in a running window, by owner; None unless all are known."""
        with self._lock:
            coverage, sums = self._coverage, self._sums.get(name)
            if sums is None or sums.lacks_owners or not self._are_of(sums, window):
                return None
            return sums.by_owner() if coverage.doubtful_since == math.inf else None

    def _are_of(self, sums: WindowSums, window: Window) -> bool:
        """Whether sums are those of a window, and all sessions that changed in it are known."""
        is_same = sums.running.zero.window == window.days.start
        return is_same and self._coverage.covers(window)

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
            self._coverage = self._coverage.of_cycle(window)
            self._forget_before(window)
        self._sums[name] = begun = WindowSums(Running.of(place, window))
        for known_as, reading in self._readings.items():
            if begun.running.may_have_use(reading):
                self._readings[known_as] = counted = begun.running.with_start(reading)
                begun.add(counted)

    def _forget_before(self, cycle: Window) -> None:
        """Forget the sessions that have not changed in the cycle, nor in the last day."""
        first = min(cycle.start, self._coverage.polled_until - DAY)
        self._pool = Pool()
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
            item.user_id or item.service_user_id or NOBODY,
        )
        if after == before:
            return
        after = self._pool.shared(after)
        self._readings[item.known_as] = after
        for sums in self._sums.values():
            if before is not None:
                sums.take(before)
            sums.add(after)
