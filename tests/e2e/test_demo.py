"""`make demo`, as far as it is more than `devin-exporter demo`."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from limits import HANG_SECONDS
from processes import finished
from prometheus import ROOT, Prometheus, find

SCRIPT = ROOT / "deploy" / "demo.py"
SMALL = {
    "DEMO_ORGANIZATIONS": "2",
    "DEMO_USERS": "10",
    "DEVIN_REQUESTS_PER_SECOND": "1000",
    "WEB_LISTEN_ADDRESS": "127.0.0.1:0",
}


@contextmanager
def started(path: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, SCRIPT],
        env={**os.environ, **SMALL, "PATH": path},
        stdout=subprocess.PIPE,
        text=True,
    ) as demo:
        try:
            yield demo
        finally:
            demo.terminate()


def lines_until(process: subprocess.Popen[str], beginning: str) -> list[str]:
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line.strip())
        if line.startswith(beginning):
            break
    return lines


def test_it_starts_prometheus_with_ninety_days_of_history_and_ends_with_all_of_it() -> None:
    if find("prometheus", newer=False) is None:
        pytest.skip("prometheus is missing: `make test` brings it by apt")
    with started(os.environ["PATH"]) as demo:
        *_, last = lines_until(demo, "Prometheus: http")
        server = Prometheus(last.removeprefix("Prometheus: "))
        server.until("devin_consumption_today_acus")
        days = server.one(
            "count_over_time((sum(last_over_time(devin_consumption_yesterday_acus[23h50m])))"
            "[100d:1d])"
        )
        assert days in {89, 90, 91}  # by the hour, as a day is told from 08:00 UTC after it
        server.until('last_over_time({__name__="user:devin_consumption_yesterday_acus:sum"}[80d])')
        demo.terminate()
        assert demo.wait(HANG_SECONDS) == 0
    with pytest.raises(httpx.ConnectError):
        server.ask("query", query="up")


def test_without_prometheus_it_says_so_and_shows_the_exporter_alone() -> None:
    assert shutil.which("prometheus", path="/nowhere") is None
    with started("/nowhere") as demo:
        *_, last = lines_until(demo, "Prometheus: ")
        assert last == "Prometheus: not started, as prometheus and promtool is missing"
        demo.terminate()
        assert demo.wait(HANG_SECONDS) == 0


UNHEARD_BY_THE_CALL_IT_CAME_UPON = """
import signal, subprocess, sys, threading
from deploy.demo import until_ended

def to_itself():
    the_other_waits.acquire()
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

sys.setswitchinterval(1000)  # a thread runs when another one blocks, not before
signal.signal(signal.SIGTERM, signal.default_int_handler)
the_other_waits = threading.Semaphore(0)
with subprocess.Popen(["sleep", "3600"], text=True) as process:
    try:
        threading.Thread(target=to_itself).start()
        the_other_waits.release()
        until_ended(process)
    except KeyboardInterrupt:
        process.terminate()
        sys.exit(7)
"""


def test_a_signal_that_interrupts_no_call_is_heard() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", UNHEARD_BY_THE_CALL_IT_CAME_UPON],
        cwd=ROOT,
        check=False,
        timeout=HANG_SECONDS,
    )
    assert ended.returncode == 7


def test_a_taken_port_of_the_simulated_api_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = finished("demo", DEMO_API_PORT=port)
    assert ended.returncode == 1
    assert ended.stderr == f"devin-exporter: DEMO_API_PORT: port {port}: Address already in use\n"
