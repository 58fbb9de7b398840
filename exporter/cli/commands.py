"""The commands of `devin-exporter`."""

import logging
import math
import os
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from socket import AF_UNIX

from prometheus_client import CollectorRegistry

from exporter.app import Exporter
from exporter.cli.catalogue import ALL_SECTIONS, SECTIONS
from exporter.cli.demo import simulated_api
from exporter.cli.exit_codes import FAILED, LACKING
from exporter.cli.history.backfill import backfill
from exporter.cli.history.backfill_options import BackfillOptions, OptionsError
from exporter.cli.history.export import export
from exporter.cli.history.export_options import ExportOptions
from exporter.cli.printing import FirstRound, announce, echo, print_result
from exporter.client.request_metrics import RequestMetrics
from exporter.config.logs import set_up
from exporter.config.proxies import unreadable_exceptions
from exporter.config.settings import LogSettings, WebSettings, load, misspelt, parse_addresses
from exporter.errors import PollError
from exporter.exposition.render import render
from exporter.process import (
    Timing,
    hold_hangup,
    keep_responsive,
    run_until_terminated,
    wait_for_termination,
)
from exporter.scheduling.task import in_order_of_polls
from exporter.sources import SOURCES
from exporter.sources.source import Fields, Shared, open_sources
from exporter.web.activation import activated_sockets
from exporter.web.config.document import WebConfigError, read_document
from exporter.web.config.loaded import loaded
from exporter.web.open_files import raise_open_files
from exporter.web.server import listen

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Running:
    """A command that runs until a termination signal.

    Attributes:
        urls: the URLs of the metrics.
        stop: stops it.
        reload: what SIGHUP does; None for the same as SIGTERM.
    """

    urls: tuple[str, ...]
    stop: Callable[[], None]
    reload: Callable[[], None] | None


def serve(start: Callable[[], Running]) -> None:
    """Start, and run until a termination signal, which may also come during the start."""
    hold_hangup()
    try:
        running = run_until_terminated(start)
    except KeyboardInterrupt:
        return
    # Printed only now: a reader of the line may send a signal and expect an orderly stop.
    for url in running.urls:
        announce(f"Metrics: {url}")
    wait_for_termination(running.reload)
    running.stop()


def start_exporter(overrides: Fields) -> Running:
    """Start to poll and serve.

    Raises:
        SettingsError: if settings are invalid.
        NoSourceError: if no source is enabled.
        ListenError: if the exporter cannot listen on an address.
        WebConfigError: if the web configuration cannot be used.
    """
    settings = load(SECTIONS, overrides)
    log = settings[LogSettings]
    set_up(level=log.level, style=log.format)
    _warn_of_the_environment()
    web = settings[WebSettings]
    raise_open_files()
    keep_responsive()
    sockets = (
        activated_sockets(os.environ)
        if web.systemd_socket
        else listen(parse_addresses(web.listen_address))
    )
    with ExitStack() as starting:
        for opened in sockets:
            starting.callback(opened.close)
        exporter = Exporter(settings, sockets, Timing())
        starting.pop_all()
    exporter.start()
    progress = FirstRound(exporter.first_round)
    progress.start()

    def stop() -> None:
        progress.stop()
        exporter.stop()

    scheme = "https" if exporter.web_config().context else "http"
    ports = [opened.getsockname()[1] for opened in sockets if opened.family != AF_UNIX]
    return Running(
        tuple(f"{scheme}://localhost:{port}{web.telemetry_path}" for port in ports),
        stop,
        exporter.reload,
    )


def _warn_of_the_environment() -> None:
    for given, meant in misspelt(ALL_SECTIONS, os.environ):
        logger.warning("%s is no setting and is ignored; is %s meant?", given, meant)
    for number in unreadable_exceptions():
        logger.warning("NO_PROXY: entry %d is no host, address or network and is ignored", number)


def start_demo(overrides: Fields) -> Running:
    """Start a simulated API, and an exporter that polls it.

    Raises:
        SettingsError: if settings are invalid.
        ListenError: if the exporter or the API cannot listen on an address.
    """
    with ExitStack() as stack:
        pointed = stack.enter_context(simulated_api(overrides))
        running = start_exporter(pointed)
        stack.callback(running.stop)
        return Running(running.urls, stack.pop_all().close, running.reload)


def check(overrides: Fields) -> int:
    """Request each endpoint once and print the results.

    Returns:
        The exit status: 0 if all enabled data sets can be read.

    Raises:
        SettingsError: if settings are invalid.
        NoSourceError: if no source is enabled.
        PrintError: if the results cannot be printed.
    """
    settings = load(SECTIONS, overrides)
    set_up(level="error", style=settings[LogSettings].format)
    shared = Shared(RequestMetrics(CollectorRegistry()), threading.Event(), Timing())
    with open_sources(SOURCES, settings, shared) as opened:
        reports = [each.source.check(each) for each in opened]
    print_result(line for report in reports for line in report.lines)
    return 0 if all(report.passed for report in reports) else LACKING


def poll_once(overrides: Fields, name: str) -> int:
    """Poll a task once, after those whose data it uses, and print its samples; 1 if that failed."""
    settings = load(SECTIONS, overrides)
    set_up(level="error", style=settings[LogSettings].format)
    shared = Shared(RequestMetrics(CollectorRegistry()), threading.Event(), Timing())
    status = 0
    with open_sources(SOURCES, settings, shared) as opened:
        tasks = {task.name: task for each in opened for task in each.source.tasks(each)}
        if name not in tasks:
            raise OptionsError([f"no task {name!r}; there are: {', '.join(sorted(tasks))}"])
        for task in in_order_of_polls(tasks, name):
            try:
                if task.poll is not None:
                    task.poll()
            except PollError as failure:
                echo(f"{task.name}: {failure}")
                status = FAILED if task.name == name else status
        samples = tasks[name].snapshot(shared.timing.clock(), math.inf).samples
    print_result(render(samples).text.decode().split("\n")[:-1])
    return status


def write_history(overrides: Fields, options: BackfillOptions) -> None:
    """Write the history of finished days.

    Raises:
        HistoryError: if it cannot be written whole.
        SettingsError: if settings are invalid.
        NoSourceError: if no source with a history is enabled.
    """
    settings = load(SECTIONS, overrides)
    set_up(level="error", style=settings[LogSettings].format)
    written = backfill(settings, options, echo=echo, timing=Timing())
    echo(f"{written.series} series, {written.samples} samples")


def write_charges(overrides: Fields, options: ExportOptions) -> None:
    """Write the charges of finished days.

    Raises:
        HistoryError: if they cannot be written whole.
        SettingsError: if settings are invalid.
        NoSourceError: if no source with charges is enabled.
    """
    settings = load(SECTIONS, overrides)
    set_up(level="error", style=settings[LogSettings].format)
    number = export(settings, options, echo=echo)
    echo(f"{number} charge{'' if number == 1 else 's'}")


def check_web_config(path: Path) -> None:
    """Read a web configuration and all files that it names, and print the result.

    Raises:
        WebConfigError: naming what is wrong.
        PrintError: if the result cannot be printed.
    """
    try:
        config = loaded(read_document(path), path.absolute().parent)
    except WebConfigError as broken:
        raise broken.in_file(path) from None
    tls = "TLS" if config.context else "plain HTTP"
    users = f"{len(config.users)} user{'' if len(config.users) == 1 else 's'}"
    print_result([f"{path}: can be used: {tls}, {users}", *config.notes])
