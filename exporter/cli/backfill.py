"""`devin-exporter backfill`: what finished days fix, as OpenMetrics text with timestamps."""

import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from prometheus_client import CollectorRegistry
from tqdm import tqdm

from exporter.accounting import RequestMetrics
from exporter.cli.backfill_options import BackfillOptions
from exporter.config.settings import Settings
from exporter.errors import NotFoundError, PartialError, PermissionMissingError, PollError
from exporter.history import Grid, Written, write
from exporter.http import Client
from exporter.journal import Journal, JournalError
from exporter.request import Fetch
from exporter.sources import SOURCES
from exporter.sources.connection import NoSourceError, Past, Surroundings
from exporter.sweep import sweep
from exporter.timing import Timing

STANDARD_OUTPUT = "-"
_REFUSALS = frozenset({PermissionMissingError.reason, NotFoundError.reason})


class BackfillError(Exception):
    """The history cannot be written whole; answers in a partial file are kept."""


def backfill(
    settings: Settings, options: BackfillOptions, *, echo: Callable[[str], object]
) -> Written:
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
    except (JournalError, PollError) as failure:
        raise BackfillError(str(failure)) from None
    except OSError as failure:
        raise BackfillError(f"{options.output}: {failure.strerror}") from None


def _backfill(
    settings: Settings, options: BackfillOptions, echo: Callable[[str], object]
) -> Written:
    shared = Surroundings(RequestMetrics(CollectorRegistry()), threading.Event(), Timing())
    opened = (source.history(settings, shared, options.span) for source in SOURCES)
    pasts = [past for past in opened if past is not None]
    if not pasts:
        raise NoSourceError(", or ".join(s.wanted for s in SOURCES if s.past is not None))
    with ExitStack() as stack:
        for past in pasts:
            stack.callback(past.client.close)
        journal, partial = _journal(options.output, pasts)
        stack.callback(journal.close)
        for line in chain.from_iterable(past.left_out for past in pasts):
            echo(f"left out: {line}")
        for line in _ask(pasts, journal):
            echo(f"left out: {line}")
        with _destination(options.output) as file:
            written = write(
                chain.from_iterable(past.stretches(journal) for past in pasts),
                Grid(every=options.every, last=options.span.until),
                constant=options.constant,
                into=file.write,
            )
    if partial is not None:
        partial.unlink()
    return written


def _journal(output: str, pasts: Sequence[Past]) -> tuple[Journal, Path | None]:
    if output == STANDARD_OUTPUT:
        return Journal.temporary(), None
    partial = Path(f"{output}.partial")
    return Journal.at(partial, owner=" and ".join(past.owner for past in pasts)), partial


def _ask(pasts: Sequence[Past], journal: Journal) -> Iterator[str]:
    """Ask for what is not in the journal yet; gives what is left out, a line each."""
    asked = sum(len(group) for past in pasts for group in past.requests)
    with tqdm(total=asked, unit=" requests", desc="asking", disable=None) as bar:
        for past in pasts:
            for group in past.requests:
                pending = {request.key: request for request in group if request not in journal}
                bar.update(len(group) - len(pending))
                try:
                    _ask_for(pending, past.client, journal, bar.update)
                except PartialError as failure:
                    where = f"{group[0].endpoint}: {failure}"
                    if not failure.reasons <= _REFUSALS:
                        raise BackfillError(f"{where}; run it again to go on") from None
                    yield where


def _ask_for(
    pending: dict[str, Fetch], client: Client, journal: Journal, done: Callable[[int], object]
) -> None:
    def ask(key: str) -> None:
        journal.add(pending[key], pending[key].fetch(client))
        done(1)

    sweep(list(pending), ask, threads=client.concurrency)


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
