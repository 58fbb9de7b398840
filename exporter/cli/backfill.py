"""`devin-exporter backfill`: what finished days fix, as OpenMetrics text with timestamps."""

import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from prometheus_client import CollectorRegistry
from tqdm import tqdm

from exporter.cli.backfill_options import BackfillOptions
from exporter.client.checkpoint import Checkpoint, CheckpointError
from exporter.client.endpoint import Request
from exporter.client.fan_out import for_each_entity
from exporter.client.http import Client
from exporter.client.request_metrics import RequestMetrics
from exporter.clock import Timing
from exporter.config.settings import Settings
from exporter.errors import NotFoundError, PartialError, PermissionMissingError, PollError
from exporter.exposition.openmetrics import SampleTimes, WriteSummary, write
from exporter.sources import SOURCES
from exporter.sources.source import Backfill, Shared, open_sources

STANDARD_OUTPUT = "-"
_REFUSALS = frozenset({PermissionMissingError.reason, NotFoundError.reason})


class BackfillError(Exception):
    """The history cannot be written whole; answers in a partial file are kept."""


def backfill(
    settings: Settings, options: BackfillOptions, *, echo: Callable[[str], object]
) -> WriteSummary:
    """Ask for finished days, going on where an earlier run stopped, and write them whole.

    Args:
        echo: takes lines for people.

    Raises:
        BackfillError: if something could not be had for another reason than a permission, if
            the partial file cannot be gone on with, or if the output cannot be written.
        NoSourceError: if no source with a past is turned on.
    """
    try:
        return _backfill(settings, options, echo)
    except (CheckpointError, PollError) as failure:
        raise BackfillError(str(failure)) from None
    except OSError as failure:
        raise BackfillError(f"{options.output}: {failure.strerror}") from None


def _backfill(
    settings: Settings, options: BackfillOptions, echo: Callable[[str], object]
) -> WriteSummary:
    shared = Shared(RequestMetrics(CollectorRegistry()), threading.Event(), Timing())
    sources = [source for source in SOURCES if source.backfill is not None]
    with ExitStack() as stack:
        opened = stack.enter_context(open_sources(sources, settings, shared))
        parts = [
            each.source.backfill(each, options.span) for each in opened if each.source.backfill
        ]
        journal, partial = _journal(options.output, parts)
        stack.callback(journal.close)
        for line in chain.from_iterable(part.left_out for part in parts):
            echo(f"left out: {line}")
        for line in _ask(parts, journal):
            echo(f"left out: {line}")
        with _destination(options.output) as file:
            written = write(
                chain.from_iterable(part.stretches(journal) for part in parts),
                SampleTimes(every=options.every, last=options.span.until),
                constant=options.constant,
                into=file.write,
            )
    if partial is not None:
        partial.unlink()
    return written


def _journal(output: str, parts: Sequence[Backfill]) -> tuple[Checkpoint, Path | None]:
    if output == STANDARD_OUTPUT:
        return Checkpoint.temporary(), None
    partial = Path(f"{output}.partial")
    return Checkpoint.at(partial, owner=" and ".join(part.owner for part in parts)), partial


def _ask(parts: Sequence[Backfill], journal: Checkpoint) -> Iterator[str]:
    """Ask for what is not in the journal yet; gives what is left out, a line each."""
    asked = sum(len(group) for part in parts for group in part.requests)
    with tqdm(total=asked, unit=" requests", desc="asking", disable=None) as bar:
        for part in parts:
            for group in part.requests:
                pending = {request.key: request for request in group if request not in journal}
                bar.update(len(group) - len(pending))
                try:
                    _ask_for(pending, part.client, journal, bar.update)
                except PartialError as failure:
                    where = f"{group[0].endpoint.path}: {failure}"
                    if not failure.reasons <= _REFUSALS:
                        raise BackfillError(f"{where}; run it again to go on") from None
                    yield where


def _ask_for(
    pending: Mapping[str, Request[object]],
    client: Client,
    journal: Checkpoint,
    done: Callable[[int], object],
) -> None:
    def ask(key: str) -> None:
        journal.add(pending[key], client.get_json(pending[key]))
        done(1)

    for_each_entity(list(pending), ask, threads=client.concurrency)


@contextmanager
def _destination(output: str) -> Iterator[BinaryIO]:
    """Standard output, or a file that has its name only once it is whole."""
    if output == STANDARD_OUTPUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    unfinished = Path(f"{output}.unfinished")
    try:
        with unfinished.open("wb", buffering=1 << 20) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(output)
    finally:
        with suppress(FileNotFoundError):
            unfinished.unlink()
