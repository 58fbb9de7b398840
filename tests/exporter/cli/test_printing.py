"""Standard output and standard error that take nothing, or not every letter."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from exporter.cli.parser import parser
from exporter.demo.people import Size
from tests.failures.rows import Row
from tests.support import loopback
from tests.support.limits import HANG_SECONDS
from tests.support.processes import BETWEEN_LOOKS, EXPORTER, environment, finished
from tests.support.rig import KEY, Clock, Scrape, simulated_api
from tests.support.special_files import FULL, memory_device


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


@contextmanager
def serving(
    redirections: str, *arguments: str, **settings: str
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The product with its streams redirected by a shell, once it answers."""
    port = free_port()
    given = {
        "DEVIN_API_URL": "http://127.0.0.1:1",
        "DEVIN_SERVICE_USER_TOKEN": KEY,
        **settings,
        "WEB_LISTEN_ADDRESS": f"127.0.0.1:{port}",
    }
    with subprocess.Popen(
        ["sh", "-c", f'exec "$@" {redirections}', "sh", EXPORTER, *arguments],
        env=environment(given),
        stderr=subprocess.PIPE,
    ) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + HANG_SECONDS
            while not answers(f"{url}/-/healthy"):
                assert process.poll() is None
                assert time.monotonic() < deadline
                BETWEEN_LOOKS.wait(0.05)
            yield process, url
        finally:
            process.kill()


def answers(url: str) -> bool:
    try:
        return loopback.get(url).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize(
    "redirections", [">&-", "<&- >&-", ">{full}", ">&- 2>&-", ">{full} 2>{full}"]
)
def test_it_serves_whatever_becomes_of_its_lines(tmp_path: Path, redirections: str) -> None:
    full = memory_device(tmp_path / "full", FULL)
    with serving(redirections.format(full=full)) as (process, url):
        assert "devin_exporter_build_info" in loopback.get(f"{url}/metrics").text
        process.terminate()
        _, told = process.communicate(timeout=HANG_SECONDS)
        assert process.returncode == 0
    assert b"Traceback" not in told


def test_standard_output_and_standard_error_are_full(tmp_path: Path, row: Row) -> None:
    full = memory_device(tmp_path / "full", FULL)
    size = {"DEMO_USERS": "5", "DEMO_DAYS": "10"}
    with serving(f">{full} 2>{full}", "demo", **size) as (process, url):
        deadline = time.monotonic() + HANG_SECONDS
        while loopback.get(f"{url}/-/ready").status_code != row.ready:
            assert time.monotonic() < deadline
            BETWEEN_LOOKS.wait(0.05)
        ups = Scrape.of(loopback.get(f"{url}/metrics").text).family("devin_exporter_task_up")
        assert set(ups.values()) == {row.up}
        process.terminate()
        assert process.wait(HANG_SECONDS) == 0


def test_no_connection_gets_the_number_of_a_closed_stream() -> None:
    with serving("<&- >&- 2>&-") as (process, _):
        opened = Path(f"/proc/{process.pid}/fd")
        streams = [str((opened / number).readlink()) for number in ("0", "1", "2")]
    assert streams == [os.devnull] * 3


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_what_was_asked_for_and_cannot_be_printed_is_a_failure(
    tmp_path: Path, flag: str, unbuffered: str
) -> None:
    full = memory_device(tmp_path / "full", FULL)
    with full.open("wb", buffering=0) as nowhere:
        ended = subprocess.run(
            [EXPORTER, flag],
            env=environment({"PYTHONUNBUFFERED": unbuffered}),
            stdout=nowhere,
            stderr=subprocess.PIPE,
            timeout=HANG_SECONDS,
            check=False,
        )
    assert ended.returncode == 1
    assert ended.stderr == b"devin-exporter: standard output: No space left on device\n"


def test_a_check_whose_table_cannot_be_printed_has_failed(tmp_path: Path) -> None:
    full = memory_device(tmp_path / "full", FULL)
    now = Clock(time.time())
    with simulated_api(Size(organizations=1, users=2, days=5), now) as (_, api):
        given = {"DEVIN_API_URL": api.url, "DEVIN_SERVICE_USER_TOKEN": KEY}
        for redirection, complaint in (
            (f">{full}", "No space left on device"),
            (">&-", "is closed"),
        ):
            ended = subprocess.run(
                ["sh", "-c", f'exec "$@" {redirection}', "sh", EXPORTER, "check"],
                env=environment(given),
                stderr=subprocess.PIPE,
                text=True,
                timeout=HANG_SECONDS,
                check=False,
            )
            assert ended.returncode == 1
            assert ended.stderr == f"devin-exporter: standard output: {complaint}\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_help_is_printed_on_any_terminal(encoding: str) -> None:
    ended = finished("--help", PYTHONIOENCODING=encoding)
    assert ended.returncode == 0, ended.stderr
    assert "--devin.poll-interval" in ended.stdout


def test_help_is_ascii() -> None:
    assert parser().format_help().isascii()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("command", "status"), [("serve", 0), ("demo", 0), ("check", 130)])
def test_a_signal_in_the_middle_of_the_imports_ends_it_quietly(
    number: signal.Signals, command: str, status: int
) -> None:
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "exporter", command],
        env=environment({"DEVIN_SERVICE_USER_TOKEN": KEY, "DEVIN_API_URL": "http://127.0.0.1:1"}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as starting:
        assert starting.stderr is not None
        imported = next(line for line in starting.stderr if "pydantic_core" in line)
        starting.send_signal(number)
        printed, rest = starting.communicate(timeout=HANG_SECONDS)
    assert imported
    assert [line for line in rest.splitlines() if not line.startswith("import time:")] == []
    assert printed == ""
    assert starting.returncode == status
