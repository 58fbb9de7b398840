"""`devin-exporter backfill`: what finished days fix, as OpenMetrics text with timestamps."""

import argparse
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from prometheus_client import CollectorRegistry
from tqdm import tqdm

from exporter.accounting import RequestMetrics
from exporter.errors import NotFoundError, PartialError, PermissionMissingError, PollError
from exporter.history import HOUR, Grid, Span, Written, write
from exporter.http import Client
from exporter.journal import Journal, JournalError
from exporter.request import Request
from exporter.settings import Settings
from exporter.sources import SOURCES
from exporter.sources.connection import Backfill, Shared, open_sources
from exporter.sweep import sweep
from exporter.timing import Timing

STANDARD_OUTPUT = "-"
SCRAPE_JOB = "devin-exporter"
"""Name of the shipped scrape job, and its constant `instance`."""
MOST_DAYS = 3_650
HEAD_SECONDS = 3 * HOUR
"""What is newer than this, a running Prometheus keeps in its head: blocks must not touch it."""
LAST_MINUTE_SECONDS = 60
_REFUSALS = frozenset({PermissionMissingError.reason, NotFoundError.reason})


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What history is wanted, and where.

    Attributes:
        output: a file's name, or `-` for standard output.
        every: seconds between samples; divides an hour.
        job: the label value of the scrape job that goes on with these series.
        instance: the same.
    """

    span: Span
    output: str
    every: int
    job: str
    instance: str

    @property
    def constant(self) -> dict[str, str]:
        """The labels that every series gets."""
        return {"job": self.job, "instance": self.instance}


class OrderError(Exception):
    """The command line asks for what cannot be written; one line each."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = tuple(lines)


FLAGS = {
    "days": "finished days (default: 90)",
    "output": "a file, or - for standard output",
    "until": "`now` for an empty data directory, or a time like 2026-01-31T12:00:00Z; by default "
    "three hours ago, as a running Prometheus holds what is newer in its head",
    "every": "seconds between samples, dividing an hour (default: 3600)",
    "job": f"that label's value in the scrape job (default: {SCRAPE_JOB})",
    "instance": f"that label's value in the scrape job (default: {SCRAPE_JOB})",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `backfill`."""
    group = parser.add_argument_group("backfill")
    for name, does in FLAGS.items():
        group.add_argument(f"--{name}", metavar="…", help=does)


def flags_given(said: argparse.Namespace) -> list[str]:
    """Those flags that the command line holds."""
    return [f"--{name}" for name in FLAGS if getattr(said, name) is not None]


def order_of(said: argparse.Namespace, *, now: float) -> Order:
    """Read those flags.

    Args:
        now: Unix seconds.

    Raises:
        OrderError: naming every bad flag and what it wants.
    """
    bad: list[str] = []
    days = _whole(said.days or "90")
    if not 1 <= days <= MOST_DAYS:
        bad.append(f"--days: wants a number from 1 to {MOST_DAYS}")
    every = _whole(said.every or str(HOUR))
    if not every or HOUR % every:
        bad.append("--every: wants seconds that divide an hour, like 300, 900 or 3600")
    if not said.output:
        bad.append("--output: wants a file, or - for standard output")
    until = _until(said.until or "", now)
    if until is None:
        bad.append("--until: wants `now` or a time in the past like 2026-01-31T12:00:00Z")
    if bad or until is None:
        raise OrderError(bad)
    return Order(
        span=Span(days, until),
        output=said.output,
        every=every,
        job=said.job or SCRAPE_JOB,
        instance=said.instance or SCRAPE_JOB,
    )


def _whole(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _until(text: str, now: float) -> float | None:
    if text in {"", "now"}:
        return now - (HEAD_SECONDS if not text else LAST_MINUTE_SECONDS)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None or moment.timestamp() > now - LAST_MINUTE_SECONDS:
        return None
    return moment.timestamp()


class BackfillError(Exception):
    """The history cannot be written whole; answers in a partial file are kept."""


def backfill(settings: Settings, order: Order, *, tell: Callable[[str], object]) -> Written:
    """Ask for finished days, going on where an earlier run stopped, and write them whole.

    Args:
        tell: takes lines for people.

    Raises:
        BackfillError: if something could not be had for another reason than a permission, if
            the partial file cannot be gone on with, or if the output cannot be written.
        NoSourceError: if no source that tells of the past is turned on.
    """
    try:
        return _backfill(settings, order, tell)
    except (JournalError, PollError) as failure:
        raise BackfillError(str(failure)) from None
    except OSError as failure:
        raise BackfillError(f"{order.output}: {failure.strerror}") from None


def _backfill(settings: Settings, order: Order, tell: Callable[[str], object]) -> Written:
    shared = Shared(RequestMetrics(CollectorRegistry()), threading.Event(), Timing())
    sources = [source for source in SOURCES if source.backfill is not None]
    with ExitStack() as stack:
        opened = stack.enter_context(open_sources(sources, settings, shared))
        parts = [each.source.backfill(each, order.span) for each in opened if each.source.backfill]
        journal, partial = _journal(order.output, parts)
        stack.callback(journal.close)
        for line in chain.from_iterable(part.left_out for part in parts):
            tell(f"left out: {line}")
        for line in _ask(parts, journal):
            tell(f"left out: {line}")
        with _destination(order.output) as file:
            written = write(
                chain.from_iterable(part.stretches(journal) for part in parts),
                Grid(every=order.every, last=order.span.until),
                constant=order.constant,
                into=file.write,
            )
    if partial is not None:
        partial.unlink()
    return written


def _journal(output: str, parts: Sequence[Backfill]) -> tuple[Journal, Path | None]:
    if output == STANDARD_OUTPUT:
        return Journal.temporary(), None
    partial = Path(f"{output}.partial")
    return Journal.at(partial, owner=" and ".join(part.owner for part in parts)), partial


def _ask(parts: Sequence[Backfill], journal: Journal) -> Iterator[str]:
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
    journal: Journal,
    done: Callable[[int], object],
) -> None:
    def ask(key: str) -> None:
        journal.add(pending[key], client.get_json(pending[key]))
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
