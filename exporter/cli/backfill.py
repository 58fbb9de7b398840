"""`devin-exporter backfill`: the history of finished days, as OpenMetrics with timestamps."""

import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path

from prometheus_client import CollectorRegistry
from tqdm import tqdm

from exporter.cli.backfill_options import BackfillOptions
from exporter.cli.destination import (
    STANDARD_OUTPUT,
    FileDestination,
    StreamDestination,
    destination_of,
)
from exporter.client.checkpoint import Checkpoint, CheckpointError
from exporter.client.endpoint import Request
from exporter.client.fan_out import for_each_entity
from exporter.client.http import Client
from exporter.client.request_metrics import RequestMetrics
from exporter.config.settings import Settings
from exporter.errors import NotFoundError, PartialError, PermissionMissingError, PollError
from exporter.exposition.openmetrics import SampleTimes, WriteSummary, write
from exporter.process import Timing
from exporter.sources import SOURCES
from exporter.sources.source import Backfill, Shared, open_sources

_REFUSALS = frozenset({PermissionMissingError.reason, NotFoundError.reason})


class BackfillError(Exception):
    """The history cannot be written whole. Responses in a partial file are kept."""


def backfill(
    settings: Settings, options: BackfillOptions, *, echo: Callable[[str], object]
) -> WriteSummary:
    """Request finished days, continue where an earlier run stopped, and write all of them.

    Args:
        echo: receives lines for people.

    Raises:
        BackfillError: if a request fails for another reason than a permission, if the partial
            file cannot be used, or if the output cannot be written.
        NoSourceError: if no source with a history is enabled.
    """
    try:
        return _backfill(settings, options, echo)
    except (CheckpointError, PollError) as failure:
        raise BackfillError(str(failure)) from None
    except OSError as failure:
        is_file = options.output != STANDARD_OUTPUT
        where = options.output if is_file else "standard output"
        raise BackfillError(f"{where}: {failure.strerror}") from None


def _backfill(
    settings: Settings, options: BackfillOptions, echo: Callable[[str], object]
) -> WriteSummary:
    destination = destination_of(options.output)
    shared = Shared(RequestMetrics(CollectorRegistry()), threading.Event(), Timing())
    sources = [source for source in SOURCES if source.backfill is not None]
    with ExitStack() as stack:
        opened = stack.enter_context(open_sources(sources, settings, shared))
        parts = [
            each.source.backfill(each, options.span) for each in opened if each.source.backfill
        ]
        checkpoint, partial = _checkpoint(destination, parts)
        stack.callback(checkpoint.close)
        if partial is None:
            echo("written straight: a run that is interrupted begins anew the next time")
        for line in chain.from_iterable(part.left_out for part in parts):
            echo(f"left out: {line}")
        for line in _request_all(parts, checkpoint):
            echo(f"left out: {line}")
        with destination.writing() as file:
            written = write(
                chain.from_iterable(part.stretches(checkpoint) for part in parts),
                SampleTimes(every=options.every, last=options.span.until),
                constant=options.constant,
                into=file.write,
            )
    if partial is not None:
        partial.unlink()
    return written


def _checkpoint(
    destination: FileDestination | StreamDestination, parts: Sequence[Backfill]
) -> tuple[Checkpoint, Path | None]:
    if isinstance(destination, FileDestination):
        partial = destination.path.with_name(f"{destination.path.name}.partial")
        return Checkpoint.at(partial, owner=" and ".join(part.owner for part in parts)), partial
    try:
        return Checkpoint.temporary(), None
    except OSError:
        raise BackfillError("no temporary folder can be written to; TMPDIR names another") from None


def _request_all(parts: Sequence[Backfill], checkpoint: Checkpoint) -> Iterator[str]:
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
                        raise BackfillError(f"{where}; run it again to go on") from None
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
