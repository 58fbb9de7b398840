"""`devin-exporter backfill`: what finished days fix, as OpenMetrics text with timestamps."""

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path

from prometheus_client import CollectorRegistry
from tqdm import tqdm

from exporter.accounting import RequestMetrics
from exporter.cli.backfill_options import BackfillOptions
from exporter.cli.destination import (
    STANDARD_OUTPUT,
    FileDestination,
    StreamDestination,
    destination_of,
)
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
        is_file = options.output != STANDARD_OUTPUT
        where = options.output if is_file else "standard output"
        raise BackfillError(f"{where}: {failure.strerror}") from None


def _backfill(
    settings: Settings, options: BackfillOptions, echo: Callable[[str], object]
) -> Written:
    destination = destination_of(options.output)
    shared = Surroundings(RequestMetrics(CollectorRegistry()), threading.Event(), Timing())
    opened = (source.history(settings, shared, options.span) for source in SOURCES)
    pasts = [past for past in opened if past is not None]
    if not pasts:
        raise NoSourceError(", or ".join(s.wanted for s in SOURCES if s.past is not None))
    with ExitStack() as stack:
        for past in pasts:
            stack.callback(past.client.close)
        journal, partial = _journal(destination, pasts)
        stack.callback(journal.close)
        if partial is None:
            echo("written straight: a run that is interrupted begins anew the next time")
        for line in chain.from_iterable(past.left_out for past in pasts):
            echo(f"left out: {line}")
        for line in _ask(pasts, journal):
            echo(f"left out: {line}")
        with destination.writing() as file:
            written = write(
                chain.from_iterable(past.stretches(journal) for past in pasts),
                Grid(every=options.every, last=options.span.until),
                constant=options.constant,
                into=file.write,
            )
    if partial is not None:
        partial.unlink()
    return written


def _journal(
    destination: FileDestination | StreamDestination, pasts: Sequence[Past]
) -> tuple[Journal, Path | None]:
    if isinstance(destination, FileDestination):
        partial = destination.path.with_name(f"{destination.path.name}.partial")
        return Journal.at(partial, owner=" and ".join(past.owner for past in pasts)), partial
    try:
        return Journal.temporary(), None
    except OSError:
        raise BackfillError("no temporary folder can be written to; TMPDIR names another") from None


def _ask(pasts: Sequence[Past], journal: Journal) -> Iterator[str]:
    """Ask for what is not in the journal yet; gives what is left out, a line each."""
    # Without standard error there is no place for a bar; None means: where it is no terminal.
    silent = True if sys.stderr is None else None
    asked = sum(len(group) for past in pasts for group in past.requests)
    with tqdm(total=asked, unit=" requests", desc="asking", disable=silent) as bar:
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
        answer = pending[key].fetch(client)
        try:
            journal.add(pending[key], answer)
        except OSError as failure:
            raise JournalError(f"answers cannot be kept: {failure.strerror}") from None
        done(1)

    sweep(list(pending), ask, threads=client.concurrency)
