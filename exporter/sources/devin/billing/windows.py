"""The two calendars: billing days and cycles at 08:00 UTC, activity at 00:00 UTC.

All functions are pure; moments are Unix seconds.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

DAY = 86_400
BILLING_OFFSET = 8 * 3_600
"""A billing day starts at 08:00:00 UTC all year."""

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
        return range(day_number(self.start), day_number(self.end))


def seconds(timestamp: float) -> float:
    """A timestamp in seconds or milliseconds as seconds."""
    return timestamp / 1_000 if abs(timestamp) > LARGEST_SECONDS else float(timestamp)


def day_number(timestamp: float) -> int:
    """Days since 1970 of the UTC calendar date of a timestamp (seconds or milliseconds).

    The number is the same whether a server dates a billing day 00:00, 07:00 or 08:00 UTC.
    """
    return math.floor(seconds(timestamp) / DAY)


def billing_day_start(number: int) -> float:
    """When the billing day of this number starts."""
    return float(number * DAY + BILLING_OFFSET)


def billing_day(now: float) -> Window:
    """The running billing day."""
    start = billing_day_start(day_number(now - BILLING_OFFSET))
    return Window(start, start + DAY)


def day_before(day: Window) -> Window:
    """The day before."""
    return Window(day.start - DAY, day.start)


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
    month = utc_month(now - BILLING_OFFSET)
    return Window(month.start + BILLING_OFFSET, month.end + BILLING_OFFSET)


@dataclass(frozen=True, slots=True)
class BillingWindows:
    """Today, yesterday and the cycles at one moment; None for an unknown cycle."""

    today: Window
    yesterday: Window
    cycle: Window | None
    previous_cycle: Window | None

    def by_name(self) -> dict[str, Window]:
        """The known windows by the names in metrics."""
        named = {
            "today": self.today,
            "yesterday": self.yesterday,
            "cycle": self.cycle,
            "previous_cycle": self.previous_cycle,
        }
        return {name: window for name, window in named.items() if window is not None}

    @property
    def next_window_end(self) -> float:
        """When the first of the running windows ends."""
        return min(self.today.end, self.cycle.end if self.cycle else math.inf)

    @property
    def earliest(self) -> float:
        """The earliest start; if no cycle is known, early enough for two cycles."""
        starts = [window.start for window in self.by_name().values()]
        if self.cycle is None:
            starts.append(self.today.start - TWO_CYCLES_DAYS * DAY)
        return min(starts)


def billing_windows(
    now: float, *, cycle: Window | None, previous_cycle: Window | None
) -> BillingWindows:
    """The windows at `now` with the given cycles."""
    today = billing_day(now)
    return BillingWindows(today, day_before(today), cycle, previous_cycle)


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
