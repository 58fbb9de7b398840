"""A line on a terminal that shows how far the first round of requests has come."""

import sys
import threading
from collections.abc import Callable

from tqdm import tqdm

LOOK_SECONDS = 1.0


class FirstRound:
    """Shows the line until everybody has been requested once, or until it is stopped.

    Args:
        look: the entities that were requested, and all that are known.
    """

    def __init__(self, look: Callable[[], tuple[int, int]]) -> None:
        self._look = look
        self._stopped = threading.Event()

    def start(self) -> None:
        """Show it if standard error is a terminal."""
        if sys.stderr is not None and sys.stderr.isatty():
            threading.Thread(target=self._show, name="progress", daemon=True).start()

    def stop(self) -> None:
        """Show it no longer."""
        self._stopped.set()

    def _show(self) -> None:
        with tqdm(unit=" entities", desc="first round", leave=False) as bar:
            while not self._stopped.wait(LOOK_SECONDS):
                bar.n, bar.total = self._look()
                bar.refresh()
                if bar.total and bar.n >= bar.total:
                    return
