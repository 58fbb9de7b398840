"""`python -m exporter.demo` runs the simulated API alone, for benchmarks and tests."""

import signal
import sys
import threading
import time

from exporter.demo import start_demo_api
from exporter.demo.settings import DemoSettings


def main() -> None:
    """Print the address and serve until a signal comes."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    api = start_demo_api(DemoSettings().size(), clock=time.time)
    sys.stdout.write(f"{api.url}\n")
    sys.stdout.flush()
    stop.wait()
    api.stop()


main()
