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
        self._parts: tuple[Kept, ...] = (
            *(part for task in tasks for part in task.kept),
            outcomes(store),
        )

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
        for part in self._parts:
            self._restore(part, values)

    def _restore(self, part: Kept, values: Mapping[str, Mapping[str, bytes]]) -> None:
        if part.name not in values:
            return
        try:
            part.restore(values[part.name])
        except ValueError:
            logger.warning("the kept state of %s cannot be read and is dropped", part.name)

    def save(self) -> None:
        """Keep what has changed."""
        if self._file is not None:
            self._file.save(self._parts)

    def close(self) -> None:
        """Let another process use the file."""
        if self._file is not None:
            self._file.close()
