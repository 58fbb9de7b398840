"""Reads files that users name. Only regular files are read, so nothing blocks."""

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


Stamp = tuple[int, ...] | None
"""What changes with a file; None if there is none."""


class NotRegularError(ValueError):
    """A path does not lead to a regular file."""


def check_regular(path: Path) -> None:
    """Check that a path leads to a regular file. Links are followed.

    Raises:
        NotRegularError: naming the kind of file.
        OSError: if it does not exist.
    """
    _check_mode(path.stat().st_mode)


def read_regular(path: Path, *, most_bytes: int) -> str:
    """Read the text of a regular file.

    Raises:
        NotRegularError: naming the kind of file.
        ValueError: if it is too large, or not UTF-8.
        OSError: if it cannot be read.
    """
    check_regular(path)
    # Non-blocking, as the path may have become a pipe since.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        _check_mode(os.fstat(descriptor).st_mode)
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise ValueError(f"has more than {most_bytes} bytes")
    return content.decode("utf-8")


def stamp_of(path: Path) -> Stamp:
    """The stamp of a file as it is now. Links are followed."""
    try:
        found = path.stat()
    except (OSError, ValueError):  # the latter for a name that no file can have
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _check_mode(mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "special file")
        raise NotRegularError(f"is a {kind}; it wants to be a regular file")
