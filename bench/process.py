"""The exporter as a process: time to the first answer, memory, CPU of a full run of polls.

`python bench/process.py [users …]`: the simulated API runs in a process of its own.
"""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ADDRESS = "127.0.0.1:19877"
EXPORTER = str(Path(sys.executable).with_name("devin-exporter"))
SWEPT = 'devin_exporter_unattributed_cycle_acus{scope="users"}'
PATIENCE_SECONDS = 240


def page() -> str:
    """One scrape; empty while nothing answers."""
    try:
        with urllib.request.urlopen(f"http://{ADDRESS}/metrics") as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def until(text: str, *, pause: float) -> float:
    """Wait for a text on the page; seconds on the monotonic clock when it came."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if text in page():
            return time.monotonic()
        time.sleep(pause)
    sys.exit(f"{text} never came")


def measure(users: int) -> None:
    """Start both processes, wait for the first full run, print a row, and end both."""
    sizes = {"DEMO_USERS": str(users), "DEMO_ORGANIZATIONS": "20", "DEMO_DAYS": "90"}
    with subprocess.Popen(
        [sys.executable, "-m", "exporter.demo"],
        env={**os.environ, **sizes},
        stdout=subprocess.PIPE,
        text=True,
    ) as api:
        url = api.stdout.readline().strip() if api.stdout else ""
        settings = {
            "DEVIN_API_URL": url,
            "DEVIN_SERVICE_USER_TOKEN": "cog_demo",
            "DEVIN_REQUESTS_PER_SECOND": "10000",
            "WEB_LISTEN_ADDRESS": ADDRESS,
        }
        began = time.monotonic()
        with subprocess.Popen(
            [EXPORTER], env={**os.environ, **settings}, stdout=subprocess.DEVNULL
        ) as exporter:
            answered = until("devin_exporter_build_info", pause=0.005)
            swept = until(SWEPT, pause=0.25)
            status = Path(f"/proc/{exporter.pid}/status").read_text(encoding="ascii")
            stat = Path(f"/proc/{exporter.pid}/stat").read_text(encoding="ascii").split()
            cpu = sum(int(ticks) for ticks in stat[13:15]) / os.sysconf("SC_CLK_TCK")
            peak = re.search(r"VmHWM:\s+(\d+) kB", status)
            files = len(list(Path(f"/proc/{exporter.pid}/fd").iterdir()))
            series = sum(1 for line in page().splitlines() if not line.startswith("#"))
            exporter.send_signal(signal.SIGTERM)
        api.send_signal(signal.SIGTERM)
    print(
        f"{users} | {series} | {answered - began:.2f} s | {swept - began:.1f} s | {cpu:.1f} s | "
        f"{int(peak.group(1)) / 1024 if peak else 0:.0f} MiB | {files}"
    )


def main() -> None:
    """Print a row for each size."""
    print("users | series | first answer | first full run | its CPU | peak memory | open files")
    for users in [int(word) for word in sys.argv[1:]] or [200, 2_000]:
        measure(users)


main()
