"""When billing days start, as the timestamps of the days in the API's responses show it.

It is documented as 08:00 UTC all year; some deployments may start days at midnight in Los Angeles,
which is 07:00 UTC in summer. The two part in that hour alone. Unless the timestamps show the
documented hour, a window is not certain while the two calendars disagree about its days.
"""

import logging
import math
import threading
from collections.abc import Iterable, Mapping

from pydantic import BaseModel

from exporter.client.response import is_fresh
from exporter.metrics import Metric
from exporter.scheduling.kept import Entry, Kept
from exporter.scheduling.task import Snapshot, Task
from exporter.sources.devin.billing.windows import (
    BILLING_OFFSET,
    DAY,
    DOCUMENTED,
    LOS_ANGELES,
    Calendar,
    Window,
    day_number,
    seconds,
)

logger = logging.getLogger(__name__)

TASK = "day_start"

HOUR = Metric(
    "devin_billing_day_start_hour",
    "Hour of the day, in UTC, that the API's newest billing day carries as its start; 8 is "
    "documented. Absent before the first day with use, and where days carry no time.",
)
METRICS = (HOUR,)


class _Seen(BaseModel):
    """The starts of the newest days that were seen, and when (Unix seconds)."""

    requested_at: float
    starts: list[float]


class DayStart:
    """The starts of the newest billing days that were seen. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest = _Starts()
        self._newest_in_summer = _Starts()
        self._reported: set[float] = set()
        self._requested_at = -math.inf

    def observe(self, starts: Iterable[float], *, requested_at: float) -> None:
        """Take note of the timestamps of the billing days in a response, of past days alone.

        Args:
            starts: Unix seconds or milliseconds.
            requested_at: when the request was sent (Unix seconds).
        """
        with self._lock:
            self._requested_at = requested_at
            for start in map(seconds, starts):
                if start > requested_at:
                    continue
                number = day_number(start)
                self._newest.add(number, start)
                if LOS_ANGELES.start_of(number) != DOCUMENTED.start_of(number):
                    self._newest_in_summer.add(number, start)
            hours = self._newest.hours - self._reported - {BILLING_OFFSET / 3_600}
            self._reported |= hours
        for hour in sorted(hours):
            logger.warning(
                "billing days start at %02d:%02d UTC by the API's timestamps, not at 08:00 as "
                "documented: in summer, figures of the running and the last day are absent from "
                "07:00 to 08:00 UTC",
                *divmod(round(hour * 60), 60),
                extra={"task": TASK},
            )

    def calendars(self) -> tuple[Calendar, ...]:
        """The calendars that may apply, the one to use first."""
        with self._lock:
            starts = self._newest_in_summer
            number = starts.number
            if number is not None and starts.moments == {DOCUMENTED.start_of(number)}:
                return (DOCUMENTED,)
            if number is not None and starts.moments == {LOS_ANGELES.start_of(number)}:
                return (LOS_ANGELES, DOCUMENTED)
        return (DOCUMENTED, LOS_ANGELES)

    def certain_span(self, days: range) -> Window:
        """The part of the time of these days in which every calendar that may apply has them."""
        spans = [calendar.span(days) for calendar in self.calendars()]
        return Window(max(span.start for span in spans), min(span.end for span in spans))

    def task(self, source: str, poll_interval: float, *, learned_from: tuple[str, ...]) -> Task:
        """The task that publishes the hour after each poll of the tasks named."""
        return Task(
            name=TASK,
            source=source,
            interval=poll_interval,
            metrics=METRICS,
            poll=None,
            snapshot=self.snapshot,
            depends_on=learned_from,
            kept=(Kept(name=TASK, entries=self._entries, restore=self._restore),),
        )

    def _entries(self) -> Mapping[str, Entry]:
        with self._lock:
            starts = self._newest.moments | self._newest_in_summer.moments
            requested_at = self._requested_at
        if requested_at == -math.inf:
            return {}
        seen = _Seen(requested_at=requested_at, starts=sorted(starts)).model_dump_json()
        return {TASK: Entry(seen, seen.encode)}

    def _restore(self, values: Mapping[str, bytes]) -> None:
        for value in values.values():
            seen = _Seen.model_validate_json(value)
            self.observe(seen.starts, requested_at=seen.requested_at)

    def snapshot(self, now: float, max_age: float) -> Snapshot:
        """The hour, if it is one, while the last response is fresh."""
        with self._lock:
            hours, requested_at = self._newest.hours, self._requested_at
        if len(hours) != 1 or not is_fresh(requested_at, now, max_age):
            return Snapshot()
        return Snapshot((HOUR(*hours),), expires=requested_at + max_age)


class _Starts:
    """The different starts of the newest day that was seen."""

    def __init__(self) -> None:
        self.number: int | None = None
        self.moments: frozenset[float] = frozenset()

    def add(self, number: int, start: float) -> None:
        """Take note of a day; an older one than the newest is ignored."""
        if self.number is None or number > self.number:
            self.number, self.moments = number, frozenset()
        if number == self.number:
            self.moments |= {start}

    @property
    def hours(self) -> frozenset[float]:
        """The hours of the day (UTC) at which it starts."""
        return frozenset((start % DAY) / 3_600 for start in self.moments)
