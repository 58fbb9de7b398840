"""`devin-exporter export`: the charges of finished billing days, for tools of finance."""

import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from itertools import chain
from typing import BinaryIO

from prometheus_client import CollectorRegistry

from exporter.cli.history.destination import STANDARD_OUTPUT, destination_of
from exporter.cli.history.export_options import ExportOptions
from exporter.cli.history.requests import HistoryError, open_checkpoint, request_all
from exporter.client.checkpoint import CheckpointError
from exporter.client.request_metrics import RequestMetrics
from exporter.config.settings import Settings
from exporter.errors import PollError
from exporter.exposition.focus import Charge, write_csv
from exporter.exposition.parquet import ParquetError, pyarrow, write_parquet
from exporter.process import Timing
from exporter.sources import SOURCES
from exporter.sources.source import ExportError, Shared, open_sources


def export(settings: Settings, options: ExportOptions, *, echo: Callable[[str], object]) -> int:
    """Request the use of finished days, and write all of it as charges; returns their number.

    Args:
        echo: receives lines for people.

    Raises:
        HistoryError: if anything is missing, or the output cannot be written.
        NoSourceError: if no source with charges is enabled.
    """
    try:
        return _export(settings, options, echo)
    except (CheckpointError, ExportError, ParquetError, PollError) as failure:
        raise HistoryError(str(failure)) from None
    except OSError as failure:
        is_file = options.output != STANDARD_OUTPUT
        where = options.output if is_file else "standard output"
        raise HistoryError(f"{where}: {failure.strerror}") from None


def _export(settings: Settings, options: ExportOptions, echo: Callable[[str], object]) -> int:
    write: Callable[[Iterable[Charge], BinaryIO], int] = write_csv
    if options.file_type == "parquet":
        pyarrow()
        write = write_parquet
    destination = destination_of(options.output)
    shared = Shared(RequestMetrics(CollectorRegistry()), threading.Event(), Timing())
    sources = [source for source in SOURCES if source.charges is not None]
    with ExitStack() as stack:
        opened = stack.enter_context(open_sources(sources, settings, shared))
        parts = [each.source.charges(each, options.query) for each in opened if each.source.charges]
        day = " and ".join(part.day for part in parts)
        checkpoint, partial = open_checkpoint(destination, parts, day=day)
        stack.callback(checkpoint.close)
        if partial is None:
            echo("written straight: a run that is interrupted begins anew the next time")
        if checkpoint.discarded:
            echo(f"{partial}: begun on another day; everything is requested again")
        for line in request_all(parts, checkpoint):
            raise HistoryError(f"nothing is exported, as a part is missing: {line}")
        # Each checks all of its responses before the first row is written.
        charges = [part.charges(checkpoint) for part in parts]
        with destination.writing() as file:
            number = write(chain.from_iterable(charges), file)
    if partial is not None:
        partial.unlink()
    return number
