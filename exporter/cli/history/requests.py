"""Sends the requests for a history, and keeps the responses until it is written."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from tqdm import tqdm

from exporter.cli.history.destination import FileDestination, StreamDestination
from exporter.client.checkpoint import Checkpoint, CheckpointError
from exporter.client.endpoint import Request
from exporter.client.fan_out import for_each_entity
from exporter.client.http import Client
from exporter.errors import NotFoundError, PartialError, PermissionMissingError

_REFUSALS = frozenset({PermissionMissingError.reason, NotFoundError.reason})


class HistoryError(Exception):
    """A history cannot be written whole. Responses in a partial file are kept."""


class Planned(Protocol):
    """The requests of one source."""

    @property
    def client(self) -> Client:
        """Sends them."""

    @property
    def owner(self) -> str:
        """The API and key of the data."""

    @property
    def requests(self) -> Sequence[Sequence[Request[object]]]:
        """All of them, in groups."""


def open_checkpoint(
    destination: FileDestination | StreamDestination,
    parts: Sequence[Planned],
    *,
    day: str | None = None,
) -> tuple[Checkpoint, Path | None]:
    """A cache of responses beside a file, with its path, or a temporary one for a stream.

    Args:
        day: when they are requested; responses of another day are deleted. None to keep them.

    Raises:
        CheckpointError: if the file beside it cannot be used.
        HistoryError: if there is no place for a temporary one.
    """
    if isinstance(destination, FileDestination):
        partial = destination.path.with_name(f"{destination.path.name}.partial")
        owner = " and ".join(part.owner for part in parts)
        return Checkpoint.at(partial, owner=owner, day=day), partial
    try:
        return Checkpoint.temporary(), None
    except OSError:
        raise HistoryError("no temporary folder can be written to; TMPDIR names another") from None


def request_all(parts: Sequence[Planned], checkpoint: Checkpoint) -> Iterator[str]:
    """Send the requests that have no stored response; yields what is left out, a line each."""
    # Without standard error there is no place for a bar. None: no bar unless it is a terminal.
    silent = True if sys.stderr is None else None
    total = sum(len(group) for part in parts for group in part.requests)
    with tqdm(total=total, unit=" requests", desc="requesting", disable=silent) as bar:
        for part in parts:
            for group in part.requests:
                pending = {request.key: request for request in group if request not in checkpoint}
                bar.update(len(group) - len(pending))
                try:
                    _request_group(pending, part.client, checkpoint, bar.update)
                except PartialError as failure:
                    where = f"{group[0].endpoint.path}: {failure}"
                    if not failure.reasons <= _REFUSALS:
                        raise HistoryError(f"{where}; run it again to go on") from None
                    yield where


def _request_group(
    pending: Mapping[str, Request[object]],
    client: Client,
    checkpoint: Checkpoint,
    done: Callable[[int], object],
) -> None:
    def request(key: str) -> None:
        response = client.get_json(pending[key])
        try:
            checkpoint.add(pending[key], response)
        except OSError as failure:
            raise CheckpointError(f"responses cannot be stored: {failure.strerror}") from None
        done(1)

    for_each_entity(list(pending), request, threads=client.concurrency)
