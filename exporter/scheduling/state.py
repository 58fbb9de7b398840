"""Restores what an earlier process has kept, and keeps it for the next one."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from exporter.scheduling.kept import Kept
from exporter.scheduling.outcomes import outcomes
from exporter.scheduling.state_file import StateFile
from exporter.scheduling.store import Store
from exporter.scheduling.task import Task

logger = logging.getLogger(__name__)


class State:
    """The kept data of all tasks.

    Args:
        file: where it is kept; None to keep nothing.
    """

    def __init__(self, file: StateFile | None, tasks: Sequence[Task], store: Store) -> None:
        self._file = file
        self._tasks = tasks
        self._outcomes = outcomes(store)

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
        """Take over what was kept. A part that cannot be read is left out, which is logged."""
        if self._file is None:
            return
        values = self._file.take_values()
        lost: set[str] = set()
        for task in self._tasks:
            read = [_restore(part, values.get(part.name)) for part in task.kept]
            if not all(read):
                lost.add(task.name)
        # A task that has lost data has not succeeded yet.
        ended = values.get(self._outcomes.name, {})
        _restore(self._outcomes, {name: at for name, at in ended.items() if name not in lost})

    def save(self) -> None:
        """Keep what has changed."""
        if self._file is not None:
            parts = [part for task in self._tasks for part in task.kept]
            self._file.save((*parts, self._outcomes))

    def close(self) -> None:
        """Let another process use the file."""
        if self._file is not None:
            self._file.close()


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
