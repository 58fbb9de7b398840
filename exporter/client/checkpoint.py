"""Responses kept in a file, so that an interrupted backfill continues where it stopped."""

import fcntl
import json
import os
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Self, TypeVar

from exporter.client.endpoint import Request
from exporter.client.models import parse_response
from exporter.errors import NotJsonError, ShapeError

T = TypeVar("T")


class CheckpointError(Exception):
    """The file cannot be used; the message says why and what to do."""


class Checkpoint:
    """Responses by request, one line each. Safe to use from several threads.

    Attributes:
        discarded: whether the file had responses of another day, which are deleted.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._places: dict[str, tuple[int, int]] = {}
        self._end = 0
        self.discarded = False

    @classmethod
    def temporary(cls) -> Self:
        """A checkpoint in a temporary file, which is deleted when the process ends."""
        return cls(tempfile.TemporaryFile())

    @classmethod
    def at(cls, path: Path, *, owner: str, day: str | None = None) -> Self:
        """Open a file, or create one that only its owner can read, as it holds ids of users.

        Args:
            owner: the API and key of the responses; a file of another owner is refused.
            day: when the responses are requested; those of another day are deleted.

        Raises:
            CheckpointError: if the file is in use, has another owner, is damaged or is no
                regular file.
            OSError: if it cannot be opened.
        """
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise CheckpointError(f"{path} is no regular file; remove it")
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(path, flags, 0o600)
        checkpoint = cls(os.fdopen(descriptor, "r+b"))
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            checkpoint._resume(path, {"owner": owner, **({"day": day} if day else {})})
        except BlockingIOError:
            checkpoint.close()
            raise CheckpointError(f"{path} is in use by another run") from None
        except CheckpointError:
            checkpoint.close()
            raise
        return checkpoint

    def _resume(self, path: Path, identity: Mapping[str, str]) -> None:
        header = json.dumps(identity).encode() + b"\n"
        for number, line in enumerate(self._file, start=1):
            if number == 1 and not header.startswith(line):
                if _is_of_another_day(line, identity):
                    self.discarded = True
                    break
                raise CheckpointError(
                    f"{path} holds responses of another address or key; remove it to start anew"
                )
            if not line.endswith(b"\n"):
                break
            if number > 1:
                key, tab, _ = line.partition(b"\t")
                try:
                    request = json.loads(key)
                except ValueError:
                    request = None
                if not tab or not isinstance(request, str):
                    raise CheckpointError(
                        f"{path}, line {number}: damaged; remove it to start anew"
                    )
                self._places[request] = (self._end + len(key) + 1, len(line) - len(key) - 2)
            self._end += len(line)
        self._file.truncate(self._end)
        self._file.seek(self._end)
        if not self._end:
            self._append(header)

    def __contains__(self, request: Request[object]) -> bool:
        return request.key in self._places

    def add(self, request: Request[object], response: bytes) -> None:
        """Store a response, as JSON."""
        key = json.dumps(request.key).encode() + b"\t"
        with self._lock:
            place = self._end + len(key)
            self._append(key + response + b"\n")
            self._places[request.key] = (place, len(response))

    def response(self, request: Request[T]) -> T | None:
        """The stored response to a request; None if there is none.

        Raises:
            CheckpointError: if the stored response cannot be read.
        """
        place = self._places.get(request.key)
        if place is None:
            return None
        start, length = place
        response = os.pread(self._file.fileno(), length, start)
        try:
            return parse_response(request.endpoint.path, request.endpoint.response, response)
        except (NotJsonError, ShapeError) as damage:
            raise CheckpointError(f"the partial file is damaged ({damage}); remove it") from None

    def close(self) -> None:
        """Close the file; it is not deleted."""
        self._file.close()

    def _append(self, line: bytes) -> None:
        self._file.write(line)
        self._file.flush()
        self._end += len(line)


def _is_of_another_day(header: bytes, identity: Mapping[str, str]) -> bool:
    """Whether the first line of a file differs by its day alone."""
    try:
        found = json.loads(header)
    except ValueError:
        return False
    if not isinstance(found, dict) or "day" not in found.keys() & identity.keys():
        return False
    return bool(found.get("owner") == identity["owner"])
