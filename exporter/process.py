"""The process: its clocks, its end by SIGTERM or SIGINT, and SIGHUP."""

import gc
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

TERMINATION = frozenset({signal.SIGTERM, signal.SIGINT})
RECHECK_SECONDS = 0.05
SWITCH_SECONDS = 0.000_02
"""A response takes many turns. With 5 ms each, it would wait long for a render."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The clocks that the whole process uses.

    Attributes:
        clock: Unix seconds. It decides what is due, what is fresh and which window is running.
        monotonic: seconds of a clock that is never set, for durations.
        speed: seconds of both clocks per real second. Timers take real seconds.
    """

    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    speed: float = 1.0

    def timer(self, seconds: float) -> float:
        """Convert seconds of these clocks to the real seconds of a timer."""
        return seconds / self.speed


def keep_responsive() -> None:
    """Have threads that compute give way sooner than Python's 5 ms to those that serve."""
    sys.setswitchinterval(SWITCH_SECONDS)


@contextmanager
def nothing_to_collect() -> Iterator[None]:
    """Do not search for garbage meanwhile: what is made within stays, and there is much of it."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def hold_hangup() -> bool:
    """Block SIGHUP from now on, so that `wait_for_termination` takes it; False if it is ignored."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        return False  # as under nohup
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    return True


def hold_termination() -> None:
    """Block SIGTERM and SIGINT from now on; they stay pending until a function here takes them.

    Call this before any thread starts, as threads inherit the mask. A signal handler of Python
    would run in the main thread only once that thread wakes up. It does not wake up if the signal
    came just before it started to wait.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, TERMINATION)


def wait_for_termination(on_hangup: Callable[[], None] | None = None) -> signal.Signals:
    """Wait for a termination signal and return it, also if it came before this call.

    Args:
        on_hangup: called at each SIGHUP that `hold_hangup` blocks; without it, SIGHUP terminates.
    """
    hangup = {signal.SIGHUP} & signal.pthread_sigmask(signal.SIG_BLOCK, ())
    while True:
        came = signal.Signals(signal.sigwait(TERMINATION | hangup))
        if came is not signal.SIGHUP or on_hangup is None:
            return came
        on_hangup()


def run_until_terminated(work: Callable[[], T]) -> T:
    """Run some work in another thread and return its result, unless a signal comes first.

    Python itself would raise an exception in the main thread. That exception is late if the thread
    is about to wait, and is lost in code that lets no exception out.

    Raises:
        KeyboardInterrupt: as soon as a signal comes. The work then ends with the process.
    """
    hold_termination()
    if signal.sigpending() & TERMINATION:
        raise KeyboardInterrupt
    result: Future[T] = Future()

    def do() -> None:
        try:
            result.set_result(work())
        except BaseException as failure:  # noqa: BLE001 - raised again in the caller's thread
            result.set_exception(failure)

    threading.Thread(target=do, daemon=True).start()
    while not result.done():
        if signal.sigtimedwait(TERMINATION, RECHECK_SECONDS) is not None:
            raise KeyboardInterrupt
    return result.result()
