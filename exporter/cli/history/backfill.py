"""`devin-exporter backfill`: the history of finished days, as OpenMetrics with timestamps."""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from itertools import chain

from prometheus_client import CollectorRegistry

from exporter.cli.history.backfill_options import BackfillOptions
from exporter.cli.history.destination import STANDARD_OUTPUT, destination_of
from exporter.cli.history.requests import HistoryError, open_checkpoint, request_all
from exporter.client.checkpoint import CheckpointError
from exporter.client.request_metrics import RequestMetrics
from exporter.config.settings import Settings
from exporter.errors import PollError
from exporter.exposition.openmetrics import SampleTimes, WriteSummary, write
from exporter.process import Timing
from exporter.sources import SOURCES
from exporter.sources.source import Shared, open_sources


def backfill(
    settings: Settings,
    options: BackfillOptions,
    *,
    echo: Callable[[str], object],
    timing: Timing,
) -> WriteSummary:
    """Request finished days, continue where an earlier run stopped, and write all of them.

    Args:
        echo: receives lines for people.

    Raises:
        HistoryError: if a request fails for another reason than a permission, if the partial
            file cannot be used, or if the output cannot be written.
        NoSourceError: if no source with a history is enabled.
    """
    try:
        return _backfill(settings, options, echo, timing)
    except (CheckpointError, PollError) as failure:
        raise HistoryError(str(failure)) from None
    except OSError as failure:
        is_file = options.output != STANDARD_OUTPUT
        where = options.output if is_file else "standard output"
        raise HistoryError(f"{where}: {failure.strerror}") from None


def _backfill(
    settings: Settings, options: BackfillOptions, echo: Callable[[str], object], timing: Timing
) -> WriteSummary:
    destination = destination_of(options.output)
    shared = Shared(RequestMetrics(CollectorRegistry()), threading.Event(), timing)
    sources = [source for source in SOURCES if source.backfill is not None]
    with ExitStack() as stack:
        opened = stack.enter_context(open_sources(sources, settings, shared))
        parts = [
            each.source.backfill(each, options.span) for each in opened if each.source.backfill
        ]
        checkpoint, partial = open_checkpoint(destination, parts)
        stack.callback(checkpoint.close)
        if partial is None:
            echo("written straight: a run that is interrupted begins anew the next time")
        for line in chain.from_iterable(part.left_out for part in parts):
            echo(f"left out: {line}")
        for line in request_all(parts, checkpoint):
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
