"""The beginning and the end of the process."""

import os
import signal
import sys
import threading
import time
from typing import NoReturn

from exporter.cli.printing import prepare_standard_streams

LAST_POLLS_SECONDS = 1.5
_OF_SEVERAL_PROCESSES = ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir")


def main() -> NoReturn:
    """Run the command of this process' command line, and end the process."""
    # Importing the rest takes a while; a signal that comes meanwhile is kept until it is asked for.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    for variable in _OF_SEVERAL_PROCESSES:
        # This is one process; prometheus_client would keep its counters in that folder.
        os.environ.pop(variable, None)
    prepare_standard_streams()
    from exporter.cli.run import run  # noqa: PLC0415 - only after the above

    _exit(run(sys.argv[1:]))


def _exit(status: int) -> NoReturn:
    deadline = time.monotonic() + LAST_POLLS_SECONDS
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(max(0.0, deadline - time.monotonic()))
    # A request that still hangs in its thread would hold up an ordinary exit.
    os._exit(status)
