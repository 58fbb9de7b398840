"""The command line: `devin-exporter [serve|demo] [--flag=value …]`."""

import argparse
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from prometheus_client import CollectorRegistry

from exporter import __version__
from exporter.accounting import RequestMetrics
from exporter.app import SECTIONS, Exporter
from exporter.backfill import (
    BackfillError,
    Order,
    OrderError,
    add_arguments,
    backfill,
    flags_given,
    order_of,
)
from exporter.demo import DEMO_KEYS, start_demo_api
from exporter.demo.settings import DemoSettings
from exporter.logs import set_up
from exporter.settings import (
    LogSettings,
    Section,
    Setting,
    SettingsError,
    WebSettings,
    load,
    misspelt,
    parse_addresses,
    settings_of,
)
from exporter.signals import (
    hold_termination,
    run_until_terminated,
    wait_for_termination,
)
from exporter.sources import SOURCES
from exporter.sources.connection import Fields, NoSourceError, Surroundings
from exporter.timing import Timing
from exporter.web.open_files import raise_open_files
from exporter.web.server import ListenError, listen, os_error_text

logger = logging.getLogger(__name__)

ALL_SECTIONS: tuple[type[Section], ...] = (*SECTIONS, DemoSettings)
COMMANDS = {
    "serve": "poll and serve until SIGTERM or SIGINT (the default)",
    "check": "ask each endpoint once and tell what the key lacks; exit 0 if nothing",
    "backfill": "write the history of the last --days to --output, for Prometheus to take in",
    "demo": "the same against a simulated API on loopback; needs no key",
}
BAD_USAGE = 2
FAILED = 1
LACKING = 1
INTERRUPTED = 130
LAST_POLLS_SECONDS = 1.5
UNUSED_URL = "http://127.0.0.1"


class _Parser(argparse.ArgumentParser):
    """Tells what is wrong in one line, and never repeats a value, which might be a secret."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_USAGE, f"devin-exporter: {message}\n")


def parser() -> argparse.ArgumentParser:
    """The command line, with a flag for every setting that is no secret."""
    commands = "\n".join(f"  {name:<10}{does}" for name, does in COMMANDS.items())
    secrets = ", ".join(s.variable for s in settings_of(ALL_SECTIONS) if s.flag is None)
    built = _Parser(
        prog="devin-exporter",
        description="Prometheus exporter for the usage and cost of AI engineers.\n\n"
        f"commands:\n{commands}",
        epilog="Every flag is also an environment variable, which is named with it. "
        f"Secrets have a variable and no flag: {secrets}.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    built.add_argument("command", nargs="?", default="serve", help=argparse.SUPPRESS)
    add_arguments(built)
    built.add_argument("--version", action="version", version=f"devin-exporter {__version__}")
    for setting in settings_of(ALL_SECTIONS):
        if setting.flag is not None:
            built.add_argument(
                setting.flag,
                dest=setting.variable,
                metavar="…",
                help=_help(setting).replace("%", "%%"),
            )
    return built


def _help(setting: Setting) -> str:
    default = f" (default: {setting.default})" if setting.default else ""
    return f"{(setting.info.description or '').replace('`', '')}{default} [{setting.variable}]"


def read_command_line(arguments: Sequence[str]) -> tuple[str, Fields, argparse.Namespace]:
    """Split the command line into the command, the settings given as flags, and all it says.

    Raises:
        SystemExit: after --help and --version, and with status 2 for what is not understood.
    """
    built = parser()
    known, unknown = built.parse_known_args(arguments)
    if unknown:
        flags = [word.partition("=")[0] for word in unknown if word.startswith("-")]
        built.error(f"no such flag: {flags[0]}" if flags else "more than one command")
    if known.command not in COMMANDS:
        built.error(f"no such command; there are: {', '.join(COMMANDS)}")
    if known.command != "backfill" and (given := flags_given(known)):
        built.error(f"{given[0]} is a flag of backfill")
    overrides: dict[type[Section], dict[str, str | None]] = {}
    for setting in settings_of(ALL_SECTIONS):
        value = getattr(known, setting.variable, None)
        if value is not None:
            overrides.setdefault(setting.section, {})[setting.field] = value
    return known.command, overrides, known


def _for_demo(overrides: Fields, *, url: str) -> Fields:
    """The settings of `serve`, but with the simulated APIs in place of the real ones."""
    simulated = [source for source in SOURCES if source.name in DEMO_KEYS]
    pointed = {section: dict(values) for section, values in overrides.items()}
    for source in simulated:
        for section, values in source.demo(url, DEMO_KEYS[source.name]).items():
            pointed.setdefault(section, {}).update(values)
    settings = load(ALL_SECTIONS, pointed)
    for source in simulated:
        for section, values in source.demo_defaults.items():
            for name in values.keys() - settings[section].model_fields_set:
                pointed.setdefault(section, {})[name] = values[name]
    return pointed


@contextmanager
def _simulated_api(overrides: Fields) -> Iterator[Fields]:
    """Start the simulated API and point the settings to it."""
    demo = load(ALL_SECTIONS, _for_demo(overrides, url=UNUSED_URL))[DemoSettings]
    try:
        api = start_demo_api(demo.size(), clock=time.time, port=demo.api_port)
    except OSError as failure:
        raise ListenError(
            f"DEMO_API_PORT: port {demo.api_port}: {os_error_text(failure)}"
        ) from None
    sys.stdout.write(f"Simulated API: {api.url}\n")
    try:
        yield _for_demo(overrides, url=api.url)
    finally:
        api.stop()


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
    shared = Surroundings(RequestMetrics(CollectorRegistry()), threading.Event(), Timing())
    reports = [source.report(settings, shared) for source in SOURCES]
    told = [report for report in reports if report is not None]
    if not told:
        raise NoSourceError(", or ".join(source.wanted for source in SOURCES))
    for report in told:
        sys.stdout.writelines(f"{line}\n" for line in report.lines)
    return 0 if all(report.fine for report in told) else LACKING


def write_history(overrides: Fields, order: Order) -> None:
    """Write the past.

    Raises:
        BackfillError: if it cannot be written whole.
        SettingsError: if settings are bad.
        NoSourceError: if no source is turned on.
    """
    settings = load(ALL_SECTIONS, overrides)
    set_up(level="error", style=settings[LogSettings].format)
    written = backfill(settings, order, tell=lambda line: sys.stderr.write(f"{line}\n"))
    sys.stderr.write(f"{written.series} series, {written.samples} samples\n")


def run(arguments: Sequence[str]) -> int:
    """Run a command until a signal comes; returns the exit status."""
    command, overrides, said = read_command_line(arguments)
    try:
        if command == "check":
            return run_until_terminated(lambda: check(overrides))
        if command == "backfill":
            order = order_of(said, now=time.time())
            run_until_terminated(lambda: write_history(overrides, order))
        elif command == "demo":
            hold_termination()
            with _simulated_api(overrides) as pointed:
                serve(pointed)
        else:
            hold_termination()
            serve(overrides)
    except (OrderError, SettingsError) as bad:
        return _complain(*bad.lines, status=BAD_USAGE)
    except NoSourceError as none:
        return _complain(f"set {none}; `devin-exporter demo` needs none", status=BAD_USAGE)
    except (BackfillError, ListenError) as failure:
        return _complain(str(failure), status=FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _complain(*lines: str, status: int) -> int:
    for line in lines:
        sys.stderr.write(f"devin-exporter: {line}\n")
    return status


def main() -> NoReturn:
    """Run, and end the process."""
    status = run(sys.argv[1:])
    deadline = time.monotonic() + LAST_POLLS_SECONDS
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(max(0.0, deadline - time.monotonic()))
    logging.shutdown()
    sys.stdout.flush()
    # A request that still hangs in its thread would hold up an ordinary exit.
    os._exit(status)
