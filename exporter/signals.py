"""Being told to end."""

import signal

TERMINATION = frozenset({signal.SIGTERM, signal.SIGINT})


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
