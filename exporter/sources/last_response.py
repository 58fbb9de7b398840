"""A task that sends one request, and publishes its last response while that is fresh."""

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from exporter.client.response import Response
from exporter.metrics import Sample
from exporter.scheduling.task import Snapshot

T = TypeVar("T")


class LastResponse(Generic[T]):
    """The last response to one request.

    Args:
        fetch: sends the request; raises `PollError`.
        samples: makes the samples of a fresh response at a moment (Unix seconds).
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        fetch: Callable[[], T],
        samples: Callable[[Response[T], float], Iterable[Sample]],
    ) -> None:
        self._clock = clock
        self._fetch = fetch
        self._samples = samples
        self._last: Response[T] | None = None

    def poll(self) -> None:
        """Send the request and store its response. Raises `PollError`."""
        requested_at = self._clock()
        self._last = Response(requested_at, self._fetch())

    def snapshot(self, now: float, max_age: float) -> Snapshot:
        """The samples of a fresh response; empty before the first response."""
        last = self._last
        if last is None:
            return Snapshot()
        if not last.is_fresh(now, max_age):
            return Snapshot(expired_entities=1)
        samples = tuple(self._samples(last, now))
        return Snapshot(samples, expires=last.requested_at + max_age)
