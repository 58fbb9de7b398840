"""The output of `backfill`: a file, which appears only once it is whole, or a stream."""

import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

STANDARD_OUTPUT = "-"
STANDARD_OUTPUT_DESCRIPTOR = 1
MOST_LINKS = 40
BUFFER_BYTES = 1 << 20
_DESCRIPTOR_FOLDERS = ("/proc/self/fd", "/dev/fd")
_MOUNTED = frozenset({errno.EBUSY, errno.EXDEV})


@dataclass(frozen=True, slots=True)
class FileDestination:
    """A regular file, which may exist already.

    Attributes:
        path: its path, with all links resolved.
    """

    path: Path

    @contextmanager
    def writing(self) -> Iterator[BinaryIO]:
        """Open a file beside it, which replaces it once that is whole."""
        unfinished = self.path.with_name(f"{self.path.name}.unfinished")
        with suppress(FileNotFoundError):
            unfinished.unlink()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(unfinished, flags, 0o666)
        try:
            with os.fdopen(descriptor, "wb", buffering=BUFFER_BYTES) as file:
                with suppress(FileNotFoundError):
                    os.fchmod(descriptor, stat.S_IMODE(self.path.stat().st_mode))
                yield file
                file.flush()
                os.fsync(descriptor)
            self._replace_by(unfinished)
        finally:
            with suppress(FileNotFoundError):
                unfinished.unlink()

    def _replace_by(self, finished: Path) -> None:
        try:
            finished.replace(self.path)
        except OSError as failure:
            if failure.errno not in _MOUNTED:
                raise
            # The file is a mount point, like files that are mounted into a container.
            shutil.copyfile(finished, self.path)


@dataclass(frozen=True, slots=True)
class StreamDestination:
    """Standard output, a pipe or a device, which is written directly.

    Attributes:
        target: the path to open, or a descriptor of this process.
    """

    target: Path | int

    @contextmanager
    def writing(self) -> Iterator[BinaryIO]:
        """Open the stream. A named pipe blocks until it has a reader."""
        if isinstance(self.target, int):
            descriptor = os.dup(self.target)
        else:
            descriptor = os.open(self.target, os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC)
        with os.fdopen(descriptor, "wb", buffering=BUFFER_BYTES) as stream:
            yield stream


def destination_of(output: str) -> FileDestination | StreamDestination:
    """The destination that a name on the command line stands for, with links resolved.

    Args:
        output: a path, or `-` for standard output.

    Raises:
        OSError: if it cannot be written.
    """
    if output == STANDARD_OUTPUT:
        return _of_descriptor(STANDARD_OUTPUT_DESCRIPTOR)
    path = Path(output)
    for _ in range(MOST_LINKS):
        if (descriptor := _descriptor_named(path)) is not None:
            return _of_descriptor(descriptor)
        if not path.is_symlink():
            break
        path = path.parent / path.readlink()
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return FileDestination(Path(os.path.realpath(path)))
    if stat.S_ISREG(mode):
        return FileDestination(Path(os.path.realpath(path)))
    if stat.S_ISDIR(mode):
        raise _error(errno.EISDIR)
    if stat.S_ISSOCK(mode) or not os.access(path, os.W_OK):
        raise _error(errno.EACCES)
    return StreamDestination(path)


def _descriptor_named(path: Path) -> int | None:
    """The descriptor of this process that a path like `/proc/self/fd/1` stands for."""
    folder = os.path.realpath(path.parent)
    own = {os.path.realpath(folder) for folder in _DESCRIPTOR_FOLDERS}
    return int(path.name) if path.name.isdecimal() and folder in own else None


def _of_descriptor(descriptor: int) -> StreamDestination:
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    # A descriptor that this process has opened itself cannot be meant by its caller.
    if flags & os.O_ACCMODE == os.O_RDONLY or not os.get_inheritable(descriptor):
        raise _error(errno.EBADF)
    return StreamDestination(descriptor)


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
