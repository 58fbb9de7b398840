"""Reading files that users name, without ever waiting for what is no file."""

import os
import stat
from pathlib import Path

_KINDS = {
    stat.S_IFDIR: "directory",
    stat.S_IFIFO: "pipe",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}


class NotRegularError(ValueError):
    """A name stands for something else than a regular file."""


def check_regular(path: Path) -> None:
    """Check that a name stands for a regular file, whatever links lead there.

    Raises:
        NotRegularError: saying what it is.
        OSError: if there is nothing.
    """
    _check_mode(path.stat().st_mode)


def read_regular(path: Path, *, most_bytes: int) -> str:
    """The text of a regular file.

    Raises:
        NotRegularError: saying what it is.
        ValueError: if it is too large, or no UTF-8.
        OSError: if it cannot be read.
    """
    check_regular(path)
    # What has become a pipe since does not hold the caller up.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        _check_mode(os.fstat(descriptor).st_mode)
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise ValueError(f"has more than {most_bytes} bytes")
    return content.decode("utf-8")


def _check_mode(mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "special file")
        raise NotRegularError(f"is a {kind}; it wants to be a regular file")
