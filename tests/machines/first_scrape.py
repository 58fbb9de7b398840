"""`make demo` to the first scrape that has figures, and its end; needs python3 and make alone.

`python3 tests/machines/first_scrape.py` says how long it took and ends with 0, or with what
went wrong.
"""

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

FIGURES = "\ndevin_consumption_today_acus{"
DEADLINE_SECONDS = 900
END_SECONDS = 60
BETWEEN_LOOKS = threading.Event()
"""Never set."""


def main() -> int:
    """Start it, scrape it, end it as Ctrl-C does."""
    started = time.monotonic()
    with subprocess.Popen(
        ["make", "demo"],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as demo:
        late = threading.Timer(DEADLINE_SECONDS, os.killpg, (demo.pid, signal.SIGKILL))
        late.start()
        try:
            url = _address(demo)
            while FIGURES not in _page(url):
                if demo.poll() is not None:
                    sys.exit(f"make demo ended with {demo.returncode}")
                BETWEEN_LOOKS.wait(0.2)
            print(f"the first scrape with figures after {time.monotonic() - started:.0f} s")
            os.killpg(demo.pid, signal.SIGINT)
            demo.wait(END_SECONDS)
        finally:
            late.cancel()
            if demo.poll() is None:
                os.killpg(demo.pid, signal.SIGKILL)
    return 0


def _address(demo: "subprocess.Popen[str]") -> str:
    for line in demo.stdout or ():
        print(line, end="", flush=True)
        if line.startswith("Metrics: "):
            threading.Thread(target=_print, args=(demo,), daemon=True).start()
            return line.partition(": ")[2].strip()
    sys.exit("make demo ended before it said where its metrics are")


def _print(demo: "subprocess.Popen[str]") -> None:
    for line in demo.stdout or ():
        print(line, end="", flush=True)


def _page(url: str) -> str:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(url, timeout=END_SECONDS) as answer:
        return str(answer.read(), "utf-8")


if __name__ == "__main__":
    sys.exit(main())
