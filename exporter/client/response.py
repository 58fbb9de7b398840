"""A response with the time of its request, and how long it stays fresh."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

T_co = TypeVar("T_co", covariant=True)


CLOCK_STEP_SECONDS = 1.0
"""By how much the clock may be set, as time servers do, without anything being done about it."""


def is_fresh(requested_at: float, now: float, max_age: float) -> bool:
    """Whether the response to a request is young enough to be published (all in Unix seconds).

    One from the future is not: the clock that said so was wrong, and with it, which days are over.
    """
    return requested_at - CLOCK_STEP_SECONDS <= now < requested_at + max_age


def first_expiry(requested_at: Iterable[float], max_age: float) -> float:
    """When the first of the responses to these requests becomes too old; never if there is none."""
    return min((at + max_age for at in requested_at), default=math.inf)


@dataclass(frozen=True, slots=True)
class Response(Generic[T_co]):
    """What an API responded, and when the request for it was sent (Unix seconds)."""

    requested_at: float
    value: T_co

    def is_fresh(self, now: float, max_age: float) -> bool:
        """Whether it is young enough to be published."""
        return is_fresh(self.requested_at, now, max_age)
