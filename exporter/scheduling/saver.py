"""Saves from a thread of its own, so that no poll waits for the disk."""

import threading
from collections.abc import Callable


class Saver:
    """Calls back after each request, once for all requests that came since the last call began.

    Args:
        save: never runs twice at a time; must not raise.
    """

    def __init__(self, save: Callable[[], None]) -> None:
        self._save = save
        self._requested = threading.Event()
        self._ending = False
        # The end of the process does not wait for a disk that hangs.
        self._thread = threading.Thread(target=self._run, name="saver", daemon=True)
        self._thread.start()

    def request(self) -> None:
        """Have everything saved soon that has changed by now."""
        self._requested.set()

    def close(self, *, within: float) -> bool:
        """Save once more, then end; returns whether that took no more than `within` seconds."""
        self._ending = True
        self._requested.set()
        self._thread.join(within)
        return not self._thread.is_alive()

    def _run(self) -> None:
        ending = False
        while not ending:
            self._requested.wait()
            self._requested.clear()
            ending = self._ending
            self._save()
