"""A session's ACUs as last listed, and how many of them are of the running day and cycle. Pure.

The list has what a session has consumed over its life. What it has consumed in a window is the
difference to its figure at the window's start: 0 for a session that was created in the window, and
else the first figure that is known to hold then or later. What cannot be said to be of the window
is therefore left out; no more is counted than was consumed in it.
"""

from dataclasses import dataclass, replace

from exporter.sources.devin.billing.windows import Window, seconds
from exporter.sources.devin.operations.breakdowns.labels import SessionLabels
from exporter.sources.devin.operations.session_items import SessionItem


@dataclass(frozen=True, slots=True)
class Start:
    """A session's figure at the start of a window.

    Attributes:
        window: the number of the window's first day.
    """

    window: int
    acus: float


UNKNOWN_START = Start(-1, 0.0)

NOBODY = ""
"""The owner of sessions without one."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What is remembered of a session.

    Attributes:
        acus: over its life.
        created_at: Unix seconds.
        updated_at: Unix seconds.
        starts: its figures at the start of the last day and of the last cycle for which they are
            known, in this order.
        owner: the id of the user or service user; None if it was kept by a version that did not
            read it.
    """

    acus: float
    created_at: float
    updated_at: float
    labels: SessionLabels
    starts: tuple[Start, Start]
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class Running:
    """A running window.

    Attributes:
        place: the place of its starts in `Reading.starts`.
        zero: the start of sessions that were created in it.
    """

    place: int
    window: Window
    zero: Start

    @classmethod
    def of(cls, place: int, window: Window) -> "Running":
        """A running day (place 0) or cycle (place 1)."""
        return cls(place, window, Start(window.days.start, 0.0))

    def created_in(self, created_at: float) -> bool:
        """Whether a session was created in this window."""
        return created_at >= self.window.start

    def start(self, item: SessionItem, before: Reading | None, *, unchanged_until: float) -> Start:
        """A session's figure at the start of the window, as far as it is known.

        Args:
            before: what was known of it.
            unchanged_until: until when that is known to have held (Unix seconds).
        """
        if self.created_in(seconds(item.created_at)):
            return self.zero
        known, acus = self.zero.window, item.acus_consumed
        if before is None or seconds(item.updated_at) < self.window.start:
            return Start(known, acus)
        start = before.starts[self.place]
        if start.window == known:
            return start if start.acus <= acus else Start(known, acus)
        held = unchanged_until >= self.window.start
        return Start(known, min(before.acus, acus) if held else acus)

    def may_have_use(self, reading: Reading) -> bool:
        """Whether a session was created in this window, or its start is known."""
        return self.created_in(reading.created_at) or self._has_start(reading)

    def with_start(self, reading: Reading) -> Reading:
        """The same reading, with the start of a session that was created in this window."""
        if not self.created_in(reading.created_at):
            return reading
        day, cycle = reading.starts
        starts = (day, self.zero) if self.place else (self.zero, cycle)
        return replace(reading, starts=starts)

    def _has_start(self, reading: Reading) -> bool:
        return reading.starts[self.place].window == self.zero.window

    def acus(self, reading: Reading) -> float:
        """ACUs of a session that are known to be of this window."""
        if not self._has_start(reading):
            return 0.0
        return reading.acus - reading.starts[self.place].acus
