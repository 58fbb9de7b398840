"""Runs the command that the command line names."""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from exporter.cli import healthcheck
from exporter.cli.commands import (
    check,
    check_web_config,
    poll_once,
    serve,
    start_demo,
    start_exporter,
    write_charges,
    write_history,
)
from exporter.cli.exit_codes import BAD_USAGE, FAILED, INTERRUPTED
from exporter.cli.history import export_options
from exporter.cli.history.backfill_options import OptionsError, parse_options
from exporter.cli.history.requests import HistoryError
from exporter.cli.parser import read_command_line
from exporter.cli.printing import PrintError, echo
from exporter.config.settings import SettingsError
from exporter.process import run_until_terminated
from exporter.sources.source import Fields, NoSourceError
from exporter.web.config.document import WebConfigError
from exporter.web.server import ListenError


def run(arguments: Sequence[str]) -> int:
    """Run a command until it ends or a termination signal comes; returns the exit status."""
    try:
        return _run(*read_command_line(arguments))
    except SystemExit as end:
        return BAD_USAGE if end.code else 0
    except (OptionsError, SettingsError, WebConfigError) as bad:
        return _complain(*bad.lines, status=BAD_USAGE)
    except NoSourceError as none:
        return _complain(f"set {none}; `devin-exporter demo` needs none", status=BAD_USAGE)
    except (HistoryError, ListenError, PrintError) as failure:
        return _complain(str(failure), status=FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(command: str, overrides: Fields, args: argparse.Namespace) -> int:
    if command == "check":
        return run_until_terminated(lambda: check(overrides))
    if command == "poll":
        return run_until_terminated(lambda: poll_once(overrides, args.operand))
    if command == "healthcheck":
        return healthcheck.main([args.operand] if args.operand else [])
    if command == "backfill":
        options = parse_options(args, now=time.time())
        run_until_terminated(lambda: write_history(overrides, options))
    elif command == "export":
        export = export_options.parse_options(args)
        run_until_terminated(lambda: write_charges(overrides, export))
    elif command == "check-web-config":
        check_web_config(Path(args.operand))
    elif command == "demo":
        serve(lambda: start_demo(overrides))
    else:
        serve(lambda: start_exporter(overrides))
    return 0


def _complain(*lines: str, status: int) -> int:
    for line in lines:
        echo(f"devin-exporter: {line}")
    return status
