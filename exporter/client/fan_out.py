"""Sends one request per entity, as the API has no bulk endpoints."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from exporter.errors import (
    ConnectionFailedError,
    DeadlineError,
    KeyRefusedError,
    PartialError,
    PollError,
    RateLimitedError,
    ServerFailedError,
    StoppedError,
    strip_traceback,
)

MOST_FAILURES = 16
LONG_WAIT_SECONDS = 5.0
_API_AT_FAULT = frozenset(
    error.reason
    for error in (ConnectionFailedError, DeadlineError, RateLimitedError, ServerFailedError)
)


@dataclass(slots=True)
class Attempts:
    """When each entity was last requested. Safe to use from several threads."""

    _ended: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, entity: str, at: float) -> None:
        """Record when the requests for an entity ended (Unix seconds), with or without success."""
        with self._lock:
            self._ended[entity] = at

    def retain(self, entities: Iterable[str]) -> None:
        """Forget all other entities."""
        kept = frozenset(entities)
        with self._lock:
            self._ended = {entity: at for entity, at in self._ended.items() if entity in kept}

    def entities(self) -> frozenset[str]:
        """The entities that have been requested at least once."""
        with self._lock:
            return frozenset(self._ended)

    def least_recent_first(self, entities: Iterable[str]) -> list[str]:
        """Order entities by when they were last requested, those never requested first."""
        with self._lock:
            return sorted(entities, key=lambda entity: (self._ended.get(entity, -1.0), entity))


def for_each_entity(
    entities: Sequence[str], request: Callable[[str], None], *, threads: int
) -> None:
    """Request every entity, several at a time, and continue where one fails.

    The run stops early in three cases: the key is refused; the API requests a long wait; or the
    API rather than an entity is at fault. The last is assumed after `MOST_FAILURES` failures
    without a success, or as many in a row that are a connection error, a timeout, 429 or 5xx.

    Args:
        request: requests one entity; raises `PollError`.
        threads: how many are requested at a time.

    Raises:
        PartialError: if any failed, with the error of each.
        StoppedError: if the exporter is shutting down.
    """
    failures: dict[str, PollError] = {}
    lock = threading.Lock()
    requested = unavailable_in_a_row = 0
    over = threading.Event()

    def request_one(entity: str) -> None:
        nonlocal requested, unavailable_in_a_row
        if over.is_set():
            return
        failure: PollError | None = None
        try:
            request(entity)
        except PollError as error:
            if isinstance(error, StoppedError):
                over.set()
                raise
            failure = strip_traceback(error)
        except BaseException:
            over.set()
            raise
        with lock:
            requested += 1
            unavailable = failure is not None and failure.reasons <= _API_AT_FAULT
            unavailable_in_a_row = unavailable_in_a_row + 1 if unavailable else 0
            if failure:
                failures[entity] = failure
                refused = KeyRefusedError.reason in failure.reasons
                nobody = len(failures) == requested >= MOST_FAILURES
                in_vain = nobody or unavailable_in_a_row >= MOST_FAILURES
                if refused or in_vain or _requests_long_wait(failure):
                    over.set()

    pool = ThreadPoolExecutor(threads, thread_name_prefix="sweep")
    try:
        for _ in pool.map(request_one, entities):
            pass
    finally:
        # Nothing further is requested, even if this thread is interrupted.
        over.set()
        pool.shutdown(cancel_futures=True)
    if failures:
        raise PartialError(failures, asked=requested, complete=requested == len(entities))


def _requests_long_wait(failure: PollError) -> bool:
    """Whether the API requests a long wait, which more requests would only prolong."""
    return isinstance(failure, RateLimitedError) and (failure.retry_after or 0) > LONG_WAIT_SECONDS


def run_all(requests: Mapping[str, Callable[[], None]]) -> None:
    """Run several requests in turn, and continue where one fails.

    Raises:
        KeyRefusedError: at once.
        StoppedError: at once.
        PollError: the first failure, or a `PartialError` if the reasons differ.
    """
    failures: dict[str, PollError] = {}
    for name, request in requests.items():
        try:
            request()
        except (StoppedError, KeyRefusedError):
            raise
        except PollError as failure:
            failures[name] = strip_traceback(failure)
    if len({failure.reasons for failure in failures.values()}) > 1:
        raise PartialError(failures, asked=len(requests), complete=True)
    if failures:
        raise next(iter(failures.values()))
