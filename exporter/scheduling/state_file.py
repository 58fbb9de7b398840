"""One SQLite file that keeps the last good data across restarts.

Each save is one transaction: whenever the process is killed, the file has the old or the new state.
Whatever is wrong with the file is logged, and never keeps the exporter from running.
"""

import logging
import os
import sqlite3
import stat
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from exporter.scheduling.kept import Entry, Kept
from exporter.scheduling.state_tables import (
    DamagedError,
    Found,
    Place,
    UnusableError,
    Values,
    checked,
    is_damage,
    prepare,
    transaction,
)

logger = logging.getLogger(__name__)

FILE_NAME = "devin-exporter.sqlite"
DAMAGED_SUFFIX = ".damaged"
LOCK_SECONDS = 1.0

_NOT_WRITTEN = object()
"""The version of what this process has not written."""


class StateFile:
    """The open file. It is locked as long as the process lives. Safe to use from several threads.

    Args:
        found: what an earlier process has kept for this owner.

    Attributes:
        damaged: the parts that were kept and are lost.
    """

    def __init__(self, connection: sqlite3.Connection, found: Found) -> None:
        self.damaged = found.damaged
        self._values = found.values
        self._connection = connection
        self._written: dict[str, dict[str, object]] = {
            part: dict.fromkeys(keys, _NOT_WRITTEN) for part, keys in found.keys.items()
        }
        self._versions: dict[str, object] = {}
        self._failure = ""
        self._lock = threading.Lock()

    @classmethod
    def open(cls, folder: Path, *, owner: bytes) -> "StateFile | None":
        """Open or create the file in a folder; None if it cannot be used, which is logged.

        Args:
            owner: what the data belongs to, such as an address and a key. Data of another owner is
                dropped. The file holds only a salted hash of it.
        """
        path = folder / FILE_NAME
        try:
            try:
                return cls(*_open(path, owner))
            except DamagedError as damage:
                aside = path.with_name(FILE_NAME + DAMAGED_SUFFIX)
                path.replace(aside)
                path.with_name(f"{FILE_NAME}-journal").unlink(missing_ok=True)
                logger.warning("%s is damaged (%s); it is now %s", path, damage, aside)
                return cls(*_open(path, owner))
        except (OSError, sqlite3.Error, UnusableError, DamagedError) as failure:
            logger.error("%s: %s; nothing is kept across restarts", path, _text(failure))  # noqa: TRY400 - no traceback for people
            return None

    def take_values(self) -> Values:
        """What an earlier process has kept; it is held in memory only until this call."""
        values, self._values = self._values, {}
        return values

    def save(self, parts: Sequence[Kept]) -> None:
        """Write what has changed, in one transaction. Never raises.

        A failure is logged once, and tried again at the next save.

        Args:
            parts: the later ones must not become wrong by what happens while they are copied.
        """
        with self._lock:
            try:
                self._save(parts)
            except Exception as failure:  # noqa: BLE001 - an internal error must not end the saving
                self._note_failure(failure)
                return
            if self._failure:
                logger.info("the state is kept again")
                self._failure = ""

    def close(self) -> None:
        """Close the file, so that another process can open it."""
        with self._lock:
            self._connection.close()

    def _save(self, parts: Sequence[Kept]) -> None:
        # Before the entries, so that what changes meanwhile is copied again by the next save.
        versions = {part.name: part.version() for part in parts}
        entries = {
            part.name: part.entries()
            for part in parts
            if versions[part.name] is None or versions[part.name] != self._versions.get(part.name)
        }
        changed = {
            (name, key): entry
            for name, of_part in entries.items()
            for key, entry in _changed(of_part, self._written.get(name, {}))
        }
        gone = [
            (name, key)
            for name, written in self._written.items()
            if name in entries or name not in versions
            for key in written.keys() - entries.get(name, {}).keys()
        ]
        if changed or gone:
            self._write(changed, gone)
        self._versions = versions
        self._written = {
            name: {key: entry.version for key, entry in entries[name].items()}
            if name in entries
            else self._written[name]
            for name in versions
        }

    def _write(self, changed: Mapping[Place, Entry], gone: Iterable[Place]) -> None:
        rows = [(*place, checked(*place, entry.encode())) for place, entry in changed.items()]
        with transaction(self._connection):
            self._connection.executemany("DELETE FROM kept WHERE part = ? AND key = ?", gone)
            self._connection.executemany("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", rows)

    def _note_failure(self, failure: Exception) -> None:
        text = repr(failure)
        if text != self._failure:
            # A traceback only where people can do nothing about it.
            internal = None if isinstance(failure, sqlite3.Error | OSError) else failure
            logger.warning("the state cannot be kept: %s", failure, exc_info=internal)
        self._failure = text


def _changed(
    entries: Mapping[str, Entry], written: Mapping[str, object]
) -> Iterator[tuple[str, Entry]]:
    for key, entry in entries.items():
        version = written.get(key, _NOT_WRITTEN)
        if version is not entry.version and version != entry.version:
            yield key, entry


def _open(path: Path, owner: bytes) -> tuple[sqlite3.Connection, Found]:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _create_for_owner_alone(path)
    connection = sqlite3.connect(
        path, timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        return connection, prepare(connection, owner)
    except sqlite3.DatabaseError as failure:
        connection.close()
        if not is_damage(failure):
            raise
        raise DamagedError(str(failure)) from None
    except BaseException:
        connection.close()
        raise


def _create_for_owner_alone(path: Path) -> None:
    """Create the file, or check and close off an existing one, as it holds ids of users."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(path, flags, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UnusableError("is no regular file")
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


def _text(failure: Exception) -> str:
    return (
        os.strerror(failure.errno)
        if isinstance(failure, OSError) and failure.errno
        else str(failure)
    )
