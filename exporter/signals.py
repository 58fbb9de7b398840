"""Being told to end."""

import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")

TERMINATION = frozenset({signal.SIGTERM, signal.SIGINT})
LOOK_AGAIN_SECONDS = 0.05


def hold_termination() -> None:
    """From now on SIGTERM and SIGINT are kept until they are waited for.

    To be called before any thread is begun, as threads inherit it. No handler of Python's own: it
    would run in the main thread only once that has woken up, which it does not if the signal came
    in the moment before it fell asleep.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, TERMINATION)


def wait_for_termination() -> signal.Signals:
    """Return once a signal has come, be it before this call."""
    return signal.Signals(signal.sigwait(TERMINATION))


def run_until_terminated(work: Callable[[], T]) -> T:
    """Do some work in another thread and give what it gives, unless a signal comes before.

    Python's own way, an exception out of nowhere in the main thread, is heard late if the thread is
    about to wait, and not at all if it is in a place from which no exception comes out.

    Raises:
        KeyboardInterrupt: at once when a signal comes; the work is left to the process' end.
    """
    hold_termination()
    given: Future[T] = Future()

    def do() -> None:
        try:
            given.set_result(work())
        except BaseException as failure:  # noqa: BLE001 - it is raised again where it belongs
            given.set_exception(failure)

    threading.Thread(target=do, daemon=True).start()
    while not given.done():
        if signal.sigtimedwait(TERMINATION, LOOK_AGAIN_SECONDS) is not None:
            raise KeyboardInterrupt
    return given.result()
