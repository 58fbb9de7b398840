"""Running a command, and ending the process."""

import logging
import os
import sys
import threading
import time
from collections.abc import Sequence
from typing import NoReturn

from exporter.cli.backfill import BackfillError
from exporter.cli.backfill_options import OptionsError, parse_options
from exporter.cli.commands import check, serve, write_history
from exporter.cli.demo import simulated_api
from exporter.cli.exit_codes import BAD_USAGE, FAILED, INTERRUPTED
from exporter.cli.parser import read_command_line
from exporter.config.settings import SettingsError
from exporter.signals import hold_termination, run_until_terminated
from exporter.sources.source import NoSourceError
from exporter.web.server import ListenError

LAST_POLLS_SECONDS = 1.5


def run(arguments: Sequence[str]) -> int:
    """Run a command until a signal comes; returns the exit status."""
    command, overrides, args = read_command_line(arguments)
    try:
        if command == "check":
            return run_until_terminated(lambda: check(overrides))
        if command == "backfill":
            options = parse_options(args, now=time.time())
            run_until_terminated(lambda: write_history(overrides, options))
        elif command == "demo":
            hold_termination()
            with simulated_api(overrides) as pointed:
                serve(pointed)
        else:
            hold_termination()
            serve(overrides)
    except (OptionsError, SettingsError) as bad:
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
