"""The commands."""

import logging
import os
import sys
import threading

from prometheus_client import CollectorRegistry

from exporter.app import Exporter
from exporter.catalogue import ALL_SECTIONS
from exporter.cli.backfill import backfill
from exporter.cli.backfill_options import BackfillOptions
from exporter.cli.exit_codes import LACKING
from exporter.client.request_metrics import RequestMetrics
from exporter.clock import Timing
from exporter.config.logs import set_up
from exporter.config.settings import LogSettings, WebSettings, load, misspelt, parse_addresses
from exporter.signals import wait_for_termination
from exporter.sources import SOURCES
from exporter.sources.source import Fields, NoSourceError, Shared, open_sources
from exporter.web.open_files import raise_open_files
from exporter.web.server import listen

logger = logging.getLogger(__name__)


def serve(overrides: Fields) -> None:
    """Run the exporter until a signal comes; they are held already.

    Raises:
        SettingsError: if settings are bad.
        NoSourceError: if no source is turned on.
        ListenError: if an address cannot be listened on.
    """
    settings = load(ALL_SECTIONS, overrides)
    log = settings[LogSettings]
    set_up(level=log.level, style=log.format)
    for given, meant in misspelt(ALL_SECTIONS, list(os.environ)):
        logger.warning("%s is no setting and is ignored; is %s meant?", given, meant)
    web = settings[WebSettings]
    raise_open_files()
    sockets = listen(parse_addresses(web.listen_address))
    try:
        exporter = Exporter(settings, sockets, Timing())
    except NoSourceError:
        for opened in sockets:
            opened.close()
        raise
    exporter.start()
    for opened in sockets:
        port = opened.getsockname()[1]
        sys.stdout.write(f"Metrics: http://localhost:{port}{web.telemetry_path}\n")
    sys.stdout.flush()
    wait_for_termination()
    exporter.stop()


def check(overrides: Fields) -> int:
    """Print what each endpoint answers; the exit status tells whether all can be fed.

    Raises:
        SettingsError: if settings are bad.
        NoSourceError: if no source is turned on.
    """
    settings = load(ALL_SECTIONS, overrides)
    set_up(level="error", style=settings[LogSettings].format)
    shared = Shared(RequestMetrics(CollectorRegistry()), threading.Event(), Timing())
    with open_sources(SOURCES, settings, shared) as opened:
        reports = [each.source.check(each) for each in opened]
    for report in reports:
        sys.stdout.writelines(f"{line}\n" for line in report.lines)
    return 0 if all(report.passed for report in reports) else LACKING


def write_history(overrides: Fields, options: BackfillOptions) -> None:
    """Write the past.

    Raises:
        BackfillError: if it cannot be written whole.
        SettingsError: if settings are bad.
        NoSourceError: if no source is turned on.
    """
    settings = load(ALL_SECTIONS, overrides)
    set_up(level="error", style=settings[LogSettings].format)
    written = backfill(settings, options, echo=lambda line: sys.stderr.write(f"{line}\n"))
    sys.stderr.write(f"{written.series} series, {written.samples} samples\n")
