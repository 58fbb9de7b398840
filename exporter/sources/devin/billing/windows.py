"""The windows of time: billing days and cycles, and the UTC windows of activity.

All functions are pure; moments are Unix seconds.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

DAY = 86_400
BILLING_OFFSET = 8 * 3_600
"""A billing day starts at 08:00:00 UTC all year, as documented."""

TWO_CYCLES_DAYS = 62
"""Two billing cycles of a month each are not longer."""

LARGEST_SECONDS = 10**11
"""A timestamp above this is in milliseconds."""


@dataclass(frozen=True, slots=True)
class Window:
    """The half-open interval `start <= moment < end`."""

    start: float
    end: float

    def __contains__(self, moment: float) -> bool:
        return self.start <= moment < self.end

    def overlaps(self, other: "Window") -> bool:
        """Whether a moment is in both."""
        return self.start < other.end and other.start < self.end

    def covers(self, requested_at: float, now: float) -> bool:
        """Whether the response to a request has this window's figure at `now`.

        For a running window, any request sent within it will do. For a finished one, the request
        must be sent after its end, as usage still arrives in its last minutes.
        """
        return requested_at >= (self.start if now < self.end else self.end)

    @property
    def params(self) -> dict[str, int]:
        """The query parameters for this window."""
        return {"time_after": int(self.start), "time_before": int(self.end)}

    @property
    def days(self) -> range:
        """The billing days (or UTC days) in it, as day numbers."""
        return _days(self.start, self.end)


@lru_cache
def _days(start: float, end: float) -> range:
    return range(day_number(start), day_number(end))


def seconds(timestamp: float) -> float:
    """A timestamp in seconds or milliseconds as seconds."""
    return timestamp / 1_000 if abs(timestamp) > LARGEST_SECONDS else float(timestamp)


def day_number(timestamp: float) -> int:
    """Days since 1970 of the UTC calendar date of a timestamp (seconds or milliseconds).

    The number is the same whether a server dates a billing day 00:00, 07:00 or 08:00 UTC.
    """
    return math.floor(seconds(timestamp) / DAY)


def billing_day_start(number: int) -> float:
    """When the billing day of this number starts, as documented."""
    return float(number * DAY + BILLING_OFFSET)


def _midnight_in_los_angeles(number: int) -> float:
    date = datetime.fromtimestamp(number * DAY, UTC)
    return date.replace(tzinfo=ZoneInfo("America/Los_Angeles")).timestamp()


@dataclass(frozen=True, slots=True)
class Calendar:
    """When billing days start: `start_of` has the moment of each day number."""

    start_of: Callable[[int], float]

    def number(self, now: float) -> int:
        """The number of the running billing day. No day starts after 08:00 UTC of its date."""
        number = day_number(now - BILLING_OFFSET)
        return number + 1 if self.start_of(number + 1) <= now else number

    def span(self, days: range) -> Window:
        """From the start of the first of these days to the end of the last."""
        return Window(self.start_of(days.start), self.start_of(days.stop))

    def day(self, now: float) -> Window:
        """The running billing day."""
        number = self.number(now)
        return self.span(range(number, number + 1))

    def day_before(self, day: Window) -> Window:
        """The billing day before one."""
        number = day_number(day.start)
        return self.span(range(number - 1, number))

    def month(self, now: float) -> Window:
        """The running calendar month of billing days, from the first of the month."""
        return self.span(utc_month(self.number(now) * DAY).days)


DOCUMENTED = Calendar(billing_day_start)
LOS_ANGELES = Calendar(_midnight_in_los_angeles)
"""Midnight in Los Angeles: 08:00 UTC in winter, 07:00 UTC in summer."""


def billing_day(now: float) -> Window:
    """The running billing day, as documented."""
    return DOCUMENTED.day(now)


def utc_day(now: float) -> Window:
    """The running UTC day."""
    start = float(day_number(now) * DAY)
    return Window(start, start + DAY)


def utc_week(now: float) -> Window:
    """The running UTC week, Monday to Sunday."""
    day = utc_day(now)
    start = day.start - datetime.fromtimestamp(now, UTC).weekday() * DAY
    return Window(start, start + 7 * DAY)


def utc_month(now: float) -> Window:
    """The running UTC calendar month."""
    first = datetime.fromtimestamp(now, UTC).replace(
        day=1, hour=0, minute=0, second=0, microsecond=0
    )
    following = (first + timedelta(days=31)).replace(day=1)
    return Window(first.timestamp(), following.timestamp())


def billing_month(now: float) -> Window:
    """The running calendar month of billing days, from the first at 08:00 UTC."""
    return DOCUMENTED.month(now)


@dataclass(frozen=True, slots=True)
class BillingWindows:
    """Today, yesterday and the cycles at one moment; None for an unknown cycle.

    Attributes:
        others: the windows at that moment by the other calendars that may apply.
    """

    today: Window
    yesterday: Window
    cycle: Window | None
    previous_cycle: Window | None
    others: tuple["BillingWindows", ...] = ()

    def by_name(self) -> dict[str, Window]:
        """The known windows by the names in metrics."""
        named = {
            "today": self.today,
            "yesterday": self.yesterday,
            "cycle": self.cycle,
            "previous_cycle": self.previous_cycle,
        }
        return {name: window for name, window in named.items() if window is not None}

    def certain(self) -> dict[str, Window]:
        """The known windows that hold the same days by every calendar that may apply."""
        others = [other.by_name() for other in self.others]
        return {
            name: window
            for name, window in self.by_name().items()
            if all(name in other and other[name].days == window.days for other in others)
        }

    @property
    def next_window_end(self) -> float:
        """When the first of the running windows ends, by any calendar that may apply."""
        ends = [self.today.end, self.cycle.end if self.cycle else math.inf]
        return min([*ends, *(other.next_window_end for other in self.others)])

    @property
    def earliest(self) -> float:
        """The earliest start; if no cycle is known, early enough for two cycles."""
        starts = [window.start for window in self.by_name().values()]
        if self.cycle is None:
            starts.append(self.today.start - TWO_CYCLES_DAYS * DAY)
        return min(starts)


def billing_windows(
    now: float,
    *,
    cycle: Window | None,
    previous_cycle: Window | None,
    calendar: Calendar = DOCUMENTED,
) -> BillingWindows:
    """The windows at `now` with the given cycles."""
    today = calendar.day(now)
    return BillingWindows(today, calendar.day_before(today), cycle, previous_cycle)


def covering(windows: Iterable[Window], moment: float) -> Window | None:
    """The window that contains a moment; the latest-starting one if there are several."""
    return max((window for window in windows if moment in window), key=_start, default=None)


def ending_on(windows: Iterable[Window], moment: float) -> Window | None:
    """The window that ends on the UTC date of a moment."""
    day = day_number(moment)
    ending = (window for window in windows if day_number(window.end) == day)
    return max(ending, key=_start, default=None)


def _start(window: Window) -> float:
    return window.start
