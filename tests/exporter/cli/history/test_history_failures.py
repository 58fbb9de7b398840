"""Histories that cannot be written whole: what is said, and what the next run goes on with."""

import resource
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from exporter.cli.history.destination import StreamDestination
from exporter.cli.history.requests import HistoryError, open_checkpoint
from exporter.demo.people import Size
from tests.exporter.cli.history.test_export import DAYS, on
from tests.exporter.commands import finished
from tests.support import loopback
from tests.support.rig import KEY, Clock, simulated_api

SIZE = Size(organizations=2, users=6, days=60)
SPAN = (f"--from={on(DAYS.start)}", f"--to={on(DAYS.stop)}")
BY_ORGANIZATION = "/consumption/daily/organizations/"
COMMANDS = {"export": ("export", *SPAN), "backfill": ("backfill", "--days=10")}
each_command = pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)


@dataclass
class Gate:
    """A server before the API that answers nonsense to paths which hold a text."""

    url: str = ""
    broken: str = "nowhere"
    requested: list[str] = field(default_factory=list)


@contextmanager
def gate_before(api: str) -> Iterator[Gate]:
    gate = Gate()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            gate.requested.append(self.path)
            headers = {"Authorization": self.headers["Authorization"]}
            answer = loopback.get(api + self.path, headers=headers)
            broken = gate.broken in self.path
            body = b'{"another": "shape"}' if broken else answer.content
            self.send_response(answer.status_code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        gate.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield gate
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def api() -> Iterator[str]:
    with simulated_api(SIZE, Clock(time.time())) as (_, api):
        yield api.url


def settings(url: str) -> dict[str, str]:
    return {
        "DEVIN_API_URL": url,
        "DEVIN_SERVICE_USER_TOKEN": KEY,
        "DEVIN_REQUESTS_PER_SECOND": "10000",
        "DEVIN_ACU_PRICE": "2.25",
    }


@each_command
def test_a_response_that_cannot_be_read_ends_it_and_the_next_run_goes_on(
    api: str, tmp_path: Path, command: tuple[str, ...]
) -> None:
    output = tmp_path / "history"
    with gate_before(api) as gate:
        gate.broken = BY_ORGANIZATION
        ended = finished(*command, f"--output={output}", **settings(gate.url))
        assert ended.returncode == 1
        assert BY_ORGANIZATION in ended.stderr.splitlines()[-1]
        assert ended.stderr.endswith("; run it again to go on\n")
        assert [path.name for path in tmp_path.iterdir()] == ["history.partial"]
        gate.broken = "nowhere"
        first, gate.requested = set(gate.requested), []
        ended = finished(*command, f"--output={output}", **settings(gate.url))
        assert ended.returncode == 0, ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["history"]
    assert any(BY_ORGANIZATION in path for path in gate.requested)
    assert first - set(gate.requested)


@each_command
def test_responses_that_cannot_be_stored_end_it(
    api: str, tmp_path: Path, command: tuple[str, ...]
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, hard))
    try:
        ended = finished(*command, f"--output={tmp_path / 'history'}", **settings(api))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert ended.returncode == 1
    assert ended.stderr == "devin-exporter: responses cannot be stored: File too large\n"
    assert [path.name for path in tmp_path.iterdir()] == ["history.partial"]


@each_command
def test_a_place_that_is_not_there_is_one_line_before_the_history_is_requested(
    api: str, tmp_path: Path, command: tuple[str, ...]
) -> None:
    output = tmp_path / "nowhere" / "history"
    with gate_before(api) as gate:
        ended = finished(*command, f"--output={output}", **settings(gate.url))
    assert ended.returncode == 1
    assert ended.stderr == f"devin-exporter: {output}: No such file or directory\n"
    assert [path for path in gate.requested if BY_ORGANIZATION in path] == []


@each_command
def test_what_another_key_has_begun_is_refused_and_kept(
    api: str, tmp_path: Path, command: tuple[str, ...]
) -> None:
    partial = tmp_path / "history.partial"
    partial.write_text("of another key\n")
    ended = finished(*command, f"--output={tmp_path / 'history'}", **settings(api))
    assert ended.returncode == 1
    assert ended.stderr.endswith("another address or key; remove it to start anew\n")
    assert partial.read_text() == "of another key\n"


def test_parquet_without_its_library_is_refused_before_any_request(
    api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with gate_before(api) as gate:
        output = f"--output={tmp_path / 'charges.parquet'}"
        ended = finished("export", *SPAN, output, **settings(gate.url))
    assert ended.returncode == 1
    assert "pip install 'devin-exporter[parquet]'" in ended.stderr
    assert gate.requested == []
    assert list(tmp_path.iterdir()) == []


def test_without_a_temporary_folder_a_stream_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere/at/all")
    with pytest.raises(HistoryError, match="TMPDIR names another"):
        open_checkpoint(StreamDestination(1), [])
