"""A response with the time of its request, and how long it stays fresh."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

T_co = TypeVar("T_co", covariant=True)


CLOCK_STEP_SECONDS = 1.0
"""A change of the clock up to this is ignored, as time servers make such changes."""


def is_fresh(requested_at: float, now: float, max_age: float) -> bool:
    """Whether a response is young enough to be published (times in Unix seconds).

    A response from the future is not fresh. Its clock was wrong, and so may be which days it took
    for finished.

    Args:
        requested_at: when the request was sent.
        max_age: seconds.
    """
    return requested_at - CLOCK_STEP_SECONDS <= now < requested_at + max_age


def first_expiry(requested_at: Iterable[float], max_age: float) -> float:
    """When the first of these responses becomes too old (Unix seconds); inf if there are none."""
    return min((at + max_age for at in requested_at), default=math.inf)


@dataclass(frozen=True, slots=True)
class Response(Generic[T_co]):
    """A parsed response, and when its request was sent (Unix seconds)."""

    requested_at: float
    value: T_co

    def is_fresh(self, now: float, max_age: float) -> bool:
        """Whether it is young enough to be published."""
        return is_fresh(self.requested_at, now, max_age)
