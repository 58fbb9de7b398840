"""Restores what an earlier process has kept, and keeps it for the next one."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from exporter.scheduling.kept import Kept
from exporter.scheduling.outcomes import outcomes
from exporter.scheduling.saver import Saver
from exporter.scheduling.state_file import StateFile
from exporter.scheduling.store import Store
from exporter.scheduling.task import Task

logger = logging.getLogger(__name__)

LAST_SAVE_SECONDS = 5.0
"""So long the end of the process waits for the last save."""


class State:
    """The kept data of all tasks.

    Args:
        file: where it is kept; None to keep nothing.
    """

    def __init__(self, file: StateFile | None, tasks: Sequence[Task], store: Store) -> None:
        self._file = self._file_to_close = file
        self._tasks = tasks
        self._outcomes = outcomes(store)
        self._saver: Saver | None = None

    @classmethod
    def at(
        cls, folder: Path | None, *, owner: bytes | None, tasks: Sequence[Task], store: Store
    ) -> "State":
        """The state in a folder; nothing is kept without a folder or an owner."""
        if folder is None:
            return cls(None, tasks, store)
        if owner is None:
            logger.warning("the key cannot be read, so nothing is kept across restarts")
            return cls(None, tasks, store)
        return cls(StateFile.open(folder, owner=owner), tasks, store)

    def restore(self) -> None:
        """Take over what was kept, then keep what changes.

        A part that cannot be read is left out, which is logged.
        """
        if self._file is None:
            return
        values = self._file.take_values()
        lost: set[str] = set()
        for task in self._tasks:
            read = [_restore(part, values.get(part.name)) for part in task.kept]
            if not all(read) or any(part.name in self._file.damaged for part in task.kept):
                lost.add(task.name)
        # A task that has lost data has not succeeded yet.
        ended = values.get(self._outcomes.name, {})
        _restore(self._outcomes, {name: at for name, at in ended.items() if name not in lost})
        # Not earlier: what is not restored yet would be taken for gone.
        self._saver = Saver(self.save)

    def changed(self) -> None:
        """Have what has changed saved soon; this does not wait for it."""
        if self._saver is not None:
            self._saver.request()

    def save(self) -> None:
        """Keep what has changed. Never raises."""
        if self._file is not None:
            # A poll that ends meanwhile must not have succeeded beside the data of before it.
            parts = [part for task in self._tasks for part in task.kept]
            self._file.save((self._outcomes, *parts))

    def close(self) -> None:
        """Keep what has changed, if everything was restored, and let another process use the file.

        This is bounded in time, and may be repeated.
        """
        saver, self._saver = self._saver, None
        file, self._file_to_close = self._file_to_close, None
        if saver is not None and not saver.close(within=LAST_SAVE_SECONDS):
            logger.warning("the last save takes too long; the state before it is kept")
        elif file is not None:
            file.close()


def _restore(part: Kept, values: Mapping[str, bytes] | None) -> bool:
    """Restore a part if it was kept; returns whether that could be read."""
    if values is None:
        return True
    try:
        part.restore(values)
    except ValueError:
        logger.warning("the kept state of %s cannot be read and is dropped", part.name)
        return False
    return True
