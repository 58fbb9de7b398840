"""The tables of the state file: their format, their owner, and the check of each value."""

import hmac
import logging
import secrets
import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from hashlib import sha256

logger = logging.getLogger(__name__)

APPLICATION_ID = 0x0D_E4_1E_07
FORMAT = 4
"""Raised whenever the bytes of a part change. Parts of an older format are read as far as they can
be; a file of a newer one is left alone, as this version may not write into it."""
FIRST_CHECKED_FORMAT = 3
CHECK_BYTES = 4
PAGE_BYTES = 8_192
"""Two cycles of a user fit; in SQLite's 4 KiB they take a page of their own each."""

Place = tuple[str, str]
"""A part, and the key of a value in it."""

Values = Mapping[str, Mapping[str, bytes]]
"""The values of each part by key."""

OWNER: Place = ("", "owner")

NOT_OF_THE_FILE = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOLFS,
        sqlite3.SQLITE_AUTH,
    }
)
"""Errors of the disk, the machine or another process: another attempt may find the file whole."""


class UnusableError(Exception):
    """The file is left as it is, and nothing is kept."""


class DamagedError(Exception):
    """The file is set aside."""


@dataclass(frozen=True, slots=True)
class Found:
    """What an earlier process has kept.

    Attributes:
        values: those of the parts that are whole.
        damaged: the parts with a damaged value.
        keys: all keys that hold a value, by part.
    """

    values: Values
    damaged: frozenset[str]
    keys: Mapping[str, frozenset[str]]


def is_damage(failure: sqlite3.DatabaseError) -> bool:
    """Whether an error says that the file itself is wrong."""
    code = getattr(failure, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    return (code & 0xFF) not in NOT_OF_THE_FILE


def checked(part: str, key: str, value: bytes) -> bytes:
    """A value with a checksum in front, as it is kept at its place."""
    return _checksum(part, key, value) + value


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing of what is written within it; the file is locked meanwhile."""
    connection.execute("BEGIN EXCLUSIVE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # Some errors have already ended the transaction.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def prepare(connection: sqlite3.Connection, owner: bytes) -> Found:
    """Lock and check the file, and read what it keeps for this owner.

    Raises:
        UnusableError: if it is in use, or not a file of this version.
        DamagedError: if it is damaged as a whole.
    """
    connection.create_function("checked", 3, checked, deterministic=True)
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    # What is no longer kept, such as names, is then on no page of the file and in no journal.
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA journal_size_limit = 0")
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")  # of a new file
    try:
        with transaction(connection):
            _check_format(connection)
            if not _belongs_to(owner, connection):
                salt = secrets.token_hex(16).encode()
                value = salt + b" " + _fingerprint(salt, owner)
                connection.execute("DELETE FROM kept")
                row = (*OWNER, checked(*OWNER, value))
                connection.execute("INSERT INTO kept VALUES (?, ?, ?)", row)
            return _read(connection)
    except sqlite3.OperationalError as failure:
        if "locked" in str(failure):
            raise UnusableError("is in use by another exporter") from None
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
        raise UnusableError("is the database of another program")
    elif pragma("user_version") > FORMAT:
        raise UnusableError("was written by a newer version")
    problem = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if problem != "ok":
        raise DamagedError(problem)
    if pragma("user_version") < FORMAT:
        logger.info("the state of an older version is taken over")
        if pragma("user_version") < FIRST_CHECKED_FORMAT:
            connection.execute("UPDATE kept SET value = checked(part, key, CAST(value AS BLOB))")
        connection.execute(f"PRAGMA user_version = {FORMAT}")


def _belongs_to(owner: bytes, connection: sqlite3.Connection) -> bool:
    """Whether the values are of this owner; false for a new file."""
    query = "SELECT CAST(value AS BLOB) FROM kept WHERE part = ? AND key = ?"
    row = connection.execute(query, OWNER).fetchone()
    if row is None:
        return False
    value = _whole(*OWNER, bytes(row[0]))
    if value is None:
        raise DamagedError("its owner cannot be read")
    salt, _, known = value.partition(b" ")
    if hmac.compare_digest(known, _fingerprint(salt, owner)):
        return True
    logger.info("the kept state is of another address or key; it is dropped")
    return False


def _fingerprint(salt: bytes, owner: bytes) -> bytes:
    return hmac.new(salt, owner, sha256).hexdigest()[:32].encode()


def _read(connection: sqlite3.Connection) -> Found:
    values: dict[str, dict[str, bytes]] = {}
    damaged: set[str] = set()
    with closing(connection.execute("SELECT part, key, CAST(value AS BLOB) FROM kept")) as rows:
        for part, key, kept in rows:
            if (part, key) == OWNER:
                continue
            value = _whole(part, key, bytes(kept or b""))
            if value is None:
                damaged.add(part)
            values.setdefault(part, {})[key] = value or b""
    for part in sorted(damaged):
        logger.warning("the kept state of %s is damaged and is dropped", part)
    return Found(
        {part: kept for part, kept in values.items() if part not in damaged},
        frozenset(damaged),
        {part: frozenset(kept) for part, kept in values.items()},
    )


def _whole(part: str, key: str, kept: bytes) -> bytes | None:
    """The value of a place; None if it is damaged."""
    check, value = kept[:CHECK_BYTES], kept[CHECK_BYTES:]
    return value if check == _checksum(part, key, value) else None


def _checksum(part: str, key: str, value: bytes) -> bytes:
    place = zlib.crc32(f"{part}\0{key}\0".encode())
    return zlib.crc32(value, place).to_bytes(CHECK_BYTES, "big")
