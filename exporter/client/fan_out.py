"""Asking one thing of many entities, as the API has no bulk lists."""

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
    """When each entity was last asked for. Safe to use from several threads."""

    _ended: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, entity: str, at: float) -> None:
        """Note that asking for an entity ended (Unix seconds), whatever came of it."""
        with self._lock:
            self._ended[entity] = at

    def retain(self, entities: Iterable[str]) -> None:
        """Forget all other entities."""
        kept = frozenset(entities)
        with self._lock:
            self._ended = {entity: at for entity, at in self._ended.items() if entity in kept}

    def entities(self) -> frozenset[str]:
        """Those that have been asked for at least once."""
        with self._lock:
            return frozenset(self._ended)

    def least_recent_first(self, entities: Iterable[str]) -> list[str]:
        """Order entities by when they were last asked for, the never asked first."""
        with self._lock:
            return sorted(entities, key=lambda entity: (self._ended.get(entity, -1.0), entity))


def for_each_entity(entities: Sequence[str], ask: Callable[[str], None], *, threads: int) -> None:
    """Ask for every entity, several at a time, and go on where one fails.

    The sweep ends early once the key is refused, once the API asks for a long wait, and once the
    API rather than an entity is at fault: so many have failed and none succeeded, or so many in a
    row for want of an answer.

    Raises:
        PartialError: if any failed, with the error of each.
        StoppedError: if the exporter is shutting down.
    """
    failures: dict[str, PollError] = {}
    lock = threading.Lock()
    asked = unanswered_in_a_row = 0
    over = threading.Event()

    def ask_one(entity: str) -> None:
        nonlocal asked, unanswered_in_a_row
        if over.is_set():
            return
        failure: PollError | None = None
        try:
            ask(entity)
        except PollError as error:
            if isinstance(error, StoppedError):
                over.set()
                raise
            failure = strip_traceback(error)
        except BaseException:
            over.set()
            raise
        with lock:
            asked += 1
            unanswered = failure is not None and failure.reasons <= _API_AT_FAULT
            unanswered_in_a_row = unanswered_in_a_row + 1 if unanswered else 0
            if failure:
                failures[entity] = failure
                refused = KeyRefusedError.reason in failure.reasons
                nobody = len(failures) == asked >= MOST_FAILURES
                in_vain = nobody or unanswered_in_a_row >= MOST_FAILURES
                if refused or in_vain or _is_told_to_wait(failure):
                    over.set()

    pool = ThreadPoolExecutor(threads, thread_name_prefix="sweep")
    try:
        for _ in pool.map(ask_one, entities):
            pass
    finally:
        # Where this thread is interrupted, too, nobody else is asked for.
        over.set()
        pool.shutdown(cancel_futures=True)
    if failures:
        raise PartialError(failures, asked=asked, complete=asked == len(entities))


def _is_told_to_wait(failure: PollError) -> bool:
    """Whether to go on would only prolong the wait of all who ask the same API."""
    return isinstance(failure, RateLimitedError) and (failure.retry_after or 0) > LONG_WAIT_SECONDS


def run_all(requests: Mapping[str, Callable[[], None]]) -> None:
    """Make a few different requests in turn, all of them even where one fails.

    Raises:
        PollError: the first failure, or all as `PartialError` where they have several reasons.
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
