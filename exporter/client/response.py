"""A response with the time of its request, how long it stays fresh, and its unreadable rows."""

import logging
import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from exporter.client.endpoint import Request
from exporter.client.models import RowReport

logger = logging.getLogger(__name__)

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


class UnreadableRows:
    """The rows of the last responses that cannot be read. Safe to use from several threads.

    Each new reason is logged once, until the endpoint's rows can all be read again.

    Args:
        clock: Unix seconds.
    """

    def __init__(self, source: str, clock: Callable[[], float]) -> None:
        self._source = source
        self._clock = clock
        self._counts: dict[str, dict[str, Response[int]]] = {}
        self._reported: dict[str, frozenset[str]] = {}
        self._lock = threading.Lock()

    def note(self, request: Request[object], report: RowReport) -> None:
        """Note those of the response to a request, or of all pages of a list."""
        if not report.lists:
            return
        endpoint, rows = request.endpoint.path, report.unreadable
        with self._lock:
            counts = self._counts.setdefault(endpoint, {})
            counts[request.path] = Response(self._clock(), len(rows))
            reasons = frozenset(row.why for row in rows)
            reported = self._reported.get(endpoint, frozenset())
            any_left = any(each.value for each in counts.values())
            self._reported[endpoint] = reported | reasons if any_left else frozenset()
        if reasons - reported:
            logger.warning(
                "rows that cannot be read are left out: %d (%s)",
                len(rows),
                "; ".join(sorted(reasons)),
                extra={"source": self._source, "endpoint": endpoint},
            )

    def reasons(self, endpoint: str) -> Sequence[str]:
        """Why rows of an endpoint cannot be read; empty if they can."""
        with self._lock:
            return sorted(self._reported.get(endpoint, ()))

    def fresh(self, now: float, max_age: float) -> Mapping[str, Sequence[Response[int]]]:
        """How many there are in each fresh response, by the path template of the endpoint."""
        with self._lock:
            known = {endpoint: tuple(each.values()) for endpoint, each in self._counts.items()}
        fresh = {
            endpoint: [each for each in responses if each.is_fresh(now, max_age)]
            for endpoint, responses in known.items()
        }
        return {endpoint: responses for endpoint, responses in fresh.items() if responses}
