"""The ends of days: figures change at them, so that no test goes on across one."""

import threading
import time

DAY = 86_400
DAYS_END_AT = (0, 8 * 3_600)
"""Seconds into a UTC day at which the days of some figures end."""
LONG, SETTLED, BRIEF, BEGUN = 25 * 60, 20 * 60, 5 * 60, 1
"""How long before a day's end no test of the boards is begun, and until when its figures are known;
and the same for tests that take less, and need none of them."""


def seconds_to_wait(now: float, *, before: float, after: float) -> float:
    """How long to wait where a day is about to end, or has hardly begun; 0 at all other times."""
    for end in DAYS_END_AT:
        since = (now - end + before) % DAY
        if since < before + after:
            return before + after - since
    return 0.0


def pass_a_days_end(*, before: float, after: float) -> None:
    """Wait where a day is about to end, as figures would change in the middle of a test."""
    threading.Event().wait(seconds_to_wait(time.time(), before=before, after=after))
