"""One SQLite file that keeps the last good data across restarts.

Each save is one transaction: whenever the process is killed, the file has the old or the new state.
Whatever is wrong with the file is logged, and never keeps the exporter from running.
"""

import hmac
import logging
import os
import secrets
import sqlite3
import stat
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path

from exporter.scheduling.kept import Entry, Kept

logger = logging.getLogger(__name__)

FILE_NAME = "devin-exporter.sqlite"
DAMAGED_SUFFIX = ".damaged"
APPLICATION_ID = 0x0D_E4_1E_07
FORMAT = 2
"""Raised whenever the bytes of a part change. Parts of an older format are read as far as they can
be; a file of a newer one is left alone, as this version may not write into it."""
LOCK_SECONDS = 1.0
OWNER = ("", "owner")
"""The part and the key of the owner."""

_NOT_WRITTEN = object()
"""The version of what this process has not written."""

Values = Mapping[str, Mapping[str, bytes]]
"""The values of each part by key."""


class _UnusableError(Exception):
    """The file is left as it is, and nothing is kept."""


class _DamagedError(Exception):
    """The file is set aside."""


class StateFile:
    """The open file. It is locked as long as the process lives. Safe to use from several threads.

    Args:
        values: what an earlier process has kept for this owner.
    """

    def __init__(self, connection: sqlite3.Connection, values: Values) -> None:
        self._values = values
        self._connection = connection
        self._written: dict[str, dict[str, object]] = {
            part: dict.fromkeys(kept, _NOT_WRITTEN) for part, kept in values.items()
        }
        self._versions: dict[str, object] = {}
        self._failure = ""
        self._rebuilt = False
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
            except _DamagedError as damage:
                aside = path.with_name(FILE_NAME + DAMAGED_SUFFIX)
                path.replace(aside)
                path.with_name(f"{FILE_NAME}-journal").unlink(missing_ok=True)
                logger.warning("%s is damaged (%s); it is now %s", path, damage, aside)
                return cls(*_open(path, owner))
        except (OSError, sqlite3.Error, _UnusableError, _DamagedError) as failure:
            logger.error("%s: %s; nothing is kept across restarts", path, _text(failure))  # noqa: TRY400 - no traceback for people
            return None

    def take_values(self) -> Values:
        """What an earlier process has kept; it is held in memory only until this call."""
        values, self._values = self._values, {}
        return values

    def save(self, parts: Sequence[Kept]) -> None:
        """Write what has changed. A failure is logged once, and tried again at the next save."""
        with self._lock:
            versions = {part.name: part.version() for part in parts}
            entries = {
                part.name: part.entries()
                for part in parts
                if versions[part.name] is None
                or versions[part.name] != self._versions.get(part.name)
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
            if (changed or gone) and not self._try_to_write(changed, gone):
                return
            self._versions = versions
            self._written = {
                name: {key: entry.version for key, entry in entries[name].items()}
                if name in entries
                else self._written[name]
                for name in versions
            }

    def close(self) -> None:
        """Close the file, so that another process can open it."""
        with self._lock:
            self._connection.close()

    def _try_to_write(
        self, changed: Mapping[tuple[str, str], Entry], gone: Iterable[tuple[str, str]]
    ) -> bool:
        """Write all of it or nothing; returns whether that was possible."""
        rows = [(part, key, entry.encode()) for (part, key), entry in changed.items()]
        try:
            with _transaction(self._connection):
                self._connection.executemany("DELETE FROM kept WHERE part = ? AND key = ?", gone)
                self._connection.executemany("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", rows)
            self._rebuild_once()
        except sqlite3.Error as failure:
            if str(failure) != self._failure:
                logger.warning("the state cannot be kept: %s", failure)
            self._failure = str(failure)
            return False
        if self._failure:
            logger.info("the state is kept again")
            self._failure = ""
        return True

    def _rebuild_once(self) -> None:
        """Leave nothing in free pages of what these settings no longer keep."""
        if not self._rebuilt:
            self._connection.execute("VACUUM")
            self._rebuilt = True


def _changed(
    entries: Mapping[str, Entry], written: Mapping[str, object]
) -> Iterator[tuple[str, Entry]]:
    for key, entry in entries.items():
        version = written.get(key, _NOT_WRITTEN)
        if version is not entry.version and version != entry.version:
            yield key, entry


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN EXCLUSIVE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # Some errors have already ended the transaction.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _open(path: Path, owner: bytes) -> tuple[sqlite3.Connection, Values]:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _create_for_owner_alone(path)
    connection = sqlite3.connect(
        path, timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        return connection, _prepare(connection, owner)
    except sqlite3.DatabaseError as failure:
        connection.close()
        if isinstance(failure, sqlite3.OperationalError):
            raise
        raise _DamagedError(str(failure)) from None
    except BaseException:
        connection.close()
        raise


def _create_for_owner_alone(path: Path) -> None:
    """Create the file, or check and close off an existing one, as it holds ids of users."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(path, flags, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _UnusableError("is no regular file")
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


def _prepare(connection: sqlite3.Connection, owner: bytes) -> Values:
    """Lock and check the file, and read what it keeps for this owner."""
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    # A rebuilt file would otherwise pass through the folder for temporary files.
    connection.execute("PRAGMA temp_store = MEMORY")
    try:
        with _transaction(connection):
            _check_format(connection)
            salt, _, known = _owner(connection).partition(b" ")
            if not known or not hmac.compare_digest(known, _fingerprint(salt, owner)):
                if known:
                    logger.info("the kept state is of another address or key; it is dropped")
                salt = secrets.token_hex(16).encode()
                value = salt + b" " + _fingerprint(salt, owner)
                connection.execute("DELETE FROM kept")
                connection.execute("INSERT INTO kept VALUES (?, ?, ?)", (*OWNER, value))
            return _read(connection)
    except sqlite3.OperationalError as failure:
        if "locked" in str(failure):
            raise _UnusableError("is in use by another exporter") from None
        raise


def _check_format(connection: sqlite3.Connection) -> None:
    def pragma(name: str) -> int:
        return int(connection.execute(f"PRAGMA {name}").fetchone()[0])

    is_empty = pragma("schema_version") == 0
    if is_empty and pragma("application_id") == 0:
        connection.execute(
            "CREATE TABLE kept (part TEXT, key TEXT, value BLOB, PRIMARY KEY (part, key)) "
            "WITHOUT ROWID"
        )
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {FORMAT}")
    elif pragma("application_id") != APPLICATION_ID:
        raise _UnusableError("is the database of another program")
    elif pragma("user_version") > FORMAT:
        raise _UnusableError("was written by a newer version")
    elif pragma("user_version") < FORMAT:
        logger.info("the state of an older version is taken over")
        connection.execute(f"PRAGMA user_version = {FORMAT}")
    problem = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if problem != "ok":
        raise _DamagedError(problem)


def _owner(connection: sqlite3.Connection) -> bytes:
    found = connection.execute(
        "SELECT CAST(value AS BLOB) FROM kept WHERE part = ? AND key = ?", OWNER
    )
    row = found.fetchone()
    return bytes(row[0]) if row is not None else b""


def _fingerprint(salt: bytes, owner: bytes) -> bytes:
    return hmac.new(salt, owner, sha256).hexdigest()[:32].encode()


def _read(connection: sqlite3.Connection) -> Values:
    values: dict[str, dict[str, bytes]] = {}
    with closing(connection.execute("SELECT part, key, CAST(value AS BLOB) FROM kept")) as rows:
        for part, key, value in rows:
            if part:
                values.setdefault(str(part), {})[str(key)] = bytes(value)
    return values


def _text(failure: Exception) -> str:
    return (
        os.strerror(failure.errno)
        if isinstance(failure, OSError) and failure.errno
        else str(failure)
    )
