"""Start and end of the process."""

import gc
import os
import signal
import sys
import threading
import time
from typing import NoReturn

from exporter.cli.printing import prepare_standard_streams
from exporter.process import nothing_to_collect

LAST_POLLS_SECONDS = 1.5
_OF_SEVERAL_PROCESSES = ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir")


def main() -> NoReturn:
    """Run the command of the command line, and end the process with its exit status."""
    # The imports take a while. A signal that comes meanwhile stays pending.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    for variable in _OF_SEVERAL_PROCESSES:
        # There is one process only. With these, prometheus_client would keep its counters in files.
        os.environ.pop(variable, None)
    prepare_standard_streams()
    # What the imports make stays for good. To search it for garbage takes a fifth of the start.
    with nothing_to_collect():
        from exporter.cli.run import run  # noqa: PLC0415 - only after the above

        gc.freeze()
    _exit(run(sys.argv[1:]))


def _exit(status: int) -> NoReturn:
    deadline = time.monotonic() + LAST_POLLS_SECONDS
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(max(0.0, deadline - time.monotonic()))
    # A request that still hangs in its thread would delay an ordinary exit.
    os._exit(status)
