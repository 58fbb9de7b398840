"""Sends one request per entity, as the API has no bulk endpoints."""

import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

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

E = TypeVar("E")

MOST_FAILURES = 16
LONG_WAIT_SECONDS = 5.0
_API_AT_FAULT = frozenset(
    error.reason
    for error in (ConnectionFailedError, DeadlineError, RateLimitedError, ServerFailedError)
)


@dataclass(slots=True)
class Attempts:
    """When each entity was last requested. Safe to use from several threads.

    Attributes:
        version: another number after each change.
    """

    version: int = 0
    _ended: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, entity: str, at: float, *, now: float = math.inf) -> None:
        """Record when an entity was requested (Unix seconds), with or without success.

        Args:
            now: Unix seconds; what is known from later than `at` and not from later than this
                stays.
        """
        with self._lock:
            if not at < self._ended.get(entity, -math.inf) <= now:
                self.version += 1
                self._ended[entity] = at

    def ended(self) -> dict[str, float]:
        """When each entity was last requested (Unix seconds)."""
        with self._lock:
            return dict(self._ended)

    def last(self, entity: str) -> float:
        """When an entity was last requested (Unix seconds); -inf if it never was."""
        with self._lock:
            return self._ended.get(entity, -math.inf)

    def retain(self, entities: Iterable[str]) -> None:
        """Forget all other entities."""
        kept = frozenset(entities)
        with self._lock:
            self.version += 1
            self._ended = {entity: at for entity, at in self._ended.items() if entity in kept}

    def entities(self) -> frozenset[str]:
        """The entities that have been requested at least once."""
        with self._lock:
            return frozenset(self._ended)

    def least_recent_first(self, entities: Iterable[str]) -> list[str]:
        """Order entities by when they were last requested, those never requested first."""
        with self._lock:
            return sorted(entities, key=lambda entity: (self._ended.get(entity, -1.0), entity))


def never_enough() -> bool:
    """Every entity is requested."""
    return False


def for_each_entity(
    entities: Sequence[E],
    request: Callable[[E], None],
    *,
    threads: int,
    enough: Callable[[], bool] = never_enough,
) -> None:
    """Request every entity, several at a time, and continue where one fails.

    The run stops early in three cases: the key is refused; the API requests a long wait; or the
    API rather than an entity is at fault. The last is assumed after `MOST_FAILURES` failures
    without a success, or as many in a row that are a connection error, a timeout, 429 or 5xx.

    Args:
        request: requests one entity; raises `PollError`.
        threads: how many are requested at a time.
        enough: asked before each request; once true, no further entity is requested.

    Raises:
        PartialError: if any failed, with the error of each.
        StoppedError: if the exporter is shutting down.
    """
    run = _Run(request, enough)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="sweep")
    try:
        for _ in pool.map(run.request_one, entities):
            pass
    finally:
        # Nothing further is requested, even if this thread is interrupted.
        run.over.set()
        pool.shutdown(cancel_futures=True)
    if run.failures:
        complete = run.requested + run.skipped == len(entities)
        raise PartialError(run.failures, asked=run.requested, complete=complete)


class _Run(Generic[E]):
    """One run over many entities. Safe to use from several threads."""

    def __init__(self, request: Callable[[E], None], enough: Callable[[], bool]) -> None:
        self.over = threading.Event()
        self.failures: dict[str, PollError] = {}
        self.requested = 0
        self.skipped = 0
        self._request = request
        self._enough = enough
        self._unavailable_in_a_row = 0
        self._lock = threading.Lock()

    def request_one(self, entity: E) -> None:
        """Request an entity, unless the run is over."""
        if self.over.is_set():
            return
        if self._enough():
            with self._lock:
                self.skipped += 1
            return
        failure: PollError | None = None
        try:
            self._request(entity)
        except PollError as error:
            if isinstance(error, StoppedError):
                self.over.set()
                raise
            failure = strip_traceback(error)
        except BaseException:
            self.over.set()
            raise
        with self._lock:
            self._note(entity, failure)

    def _note(self, entity: E, failure: PollError | None) -> None:
        self.requested += 1
        unavailable = failure is not None and is_of_the_api(failure)
        self._unavailable_in_a_row = self._unavailable_in_a_row + 1 if unavailable else 0
        if failure:
            self.failures[str(entity)] = failure
            nobody = len(self.failures) == self.requested >= MOST_FAILURES
            in_vain = nobody or self._unavailable_in_a_row >= MOST_FAILURES
            if in_vain or is_futile(failure):
                self.over.set()


def is_of_the_api(failure: PollError) -> bool:
    """Whether the API rather than an entity is at fault."""
    return failure.reasons <= _API_AT_FAULT


def is_futile(failure: PollError) -> bool:
    """Whether further requests would fail too, or only prolong a wait that the API requests."""
    if KeyRefusedError.reason in failure.reasons:
        return True
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
