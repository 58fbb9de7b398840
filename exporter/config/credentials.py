"""The bearer key of a source, from a fixed value or from a file that may change."""

import re
import threading
from collections.abc import Callable
from pathlib import Path

from pydantic import SecretStr

from exporter.config.files import Stamp, read_regular, stamp_of
from exporter.errors import CredentialError

Key = Callable[[], str]

LARGEST_FILE_BYTES = 65_536
_ASSIGNED = re.compile(r"(export\s+)?[A-Za-z_]\w*=[^=]")
_QUOTES = "\"'`"


def check_key(text: str) -> str:
    """Strip a key and check that a header can carry it.

    Raises:
        ValueError: naming the fault, without any part of the key.
    """
    key = text.strip()
    if not key:
        raise ValueError("is empty")
    if len(key) > 1 and key[0] == key[-1] and key[0] in _QUOTES:
        raise ValueError("has quotes around the key; it wants the key alone")
    if _ASSIGNED.match(key):
        raise ValueError("has a name and `=` before the key; it wants the key alone")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ValueError("wants one line of printable ASCII without spaces")
    return key


class FileKey:
    """A key in a regular file, which is read again whenever the file has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._stamp: Stamp = None
        self._key = ""

    def __call__(self) -> str:
        """Return the key.

        Raises:
            CredentialError: if the file is unreadable, not regular, empty or without a key.
        """
        with self._lock:
            try:
                stamp = stamp_of(self._path)
                if stamp is None or stamp != self._stamp:
                    text = read_regular(self._path, most_bytes=LARGEST_FILE_BYTES)
                    self._key = check_key(text)
                    self._stamp = stamp
            except OSError as failure:
                raise CredentialError(
                    f"the key's file cannot be read: {failure.strerror}"
                ) from None
            except ValueError as failure:
                self._stamp = None
                fault = "is no text" if isinstance(failure, UnicodeDecodeError) else failure
                raise CredentialError(f"the key's file {fault}") from None
            return self._key


def key_from(value: SecretStr | None, file: Path | None) -> Key | None:
    """The key of a source; None if neither value nor file is set."""
    if value is not None:
        key = check_key(value.get_secret_value())
        return lambda: key
    return FileKey(file) if file is not None else None
