"""`python -m exporter.demo` runs the simulated API alone, for benchmarks and tests."""

import sys
import time

from exporter.demo import start_demo_api
from exporter.demo.settings import DemoSettings
from exporter.process import hold_termination, wait_for_termination


def main() -> None:
    """Print the address, and serve until a termination signal."""
    hold_termination()
    api = start_demo_api(DemoSettings().size(), clock=time.time)
    sys.stdout.write(f"{api.url}\n")
    sys.stdout.flush()
    wait_for_termination()
    api.stop()


main()
