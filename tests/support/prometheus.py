"""Real Prometheus servers for the tests: starting one, filling it, asking it."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import httpx

from tests.support import loopback
from tests.support.limits import HANG_SECONDS

ROOT = Path(__file__).parents[2]
CONFIGURATION = ROOT / "deploy" / "prometheus" / "prometheus.yml"
RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
RULE_TESTS = tuple(sorted((RULES.parent / "tests").glob("*.yml")))
SHIPPED = CONFIGURATION.read_text(encoding="utf-8").partition("alerting:")[0]
"""The shipped configuration for where there is no Alertmanager."""
NEWER = Path(sys.executable).parent.parent / "tools" / "newer"
BETWEEN_LOOKS = threading.Event()
"""Never set."""
SPARING = {**os.environ, "GOMAXPROCS": "2", "GOGC": "400"}
"""What has Go's programs take more memory and less processor time."""

Labels = frozenset[tuple[str, str]]


def find(name: str, *, newer: bool) -> str | None:
    """Where a program is: on the PATH, or what was brought of a newer version."""
    return shutil.which(name, path=str(NEWER)) if newer else shutil.which(name)


def free_address() -> str:
    """An address on loopback that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return f"127.0.0.1:{probe.getsockname()[1]}"


@dataclass(frozen=True)
class Prometheus:
    """A server that runs, asked over its HTTP API."""

    url: str
    client: httpx.Client = field(default_factory=loopback.client, repr=False)

    def ask(self, path: str, **params: str | float) -> object:
        """The `data` of an answer."""
        answer = self.client.get(f"{self.url}/api/v1/{path}", params=params)
        body = json.loads(answer.text)
        assert body["status"] == "success", body
        return body["data"]

    def instant(self, query: str, *, at: float | None = None) -> dict[Labels, float]:
        """The value of each series of a query at a moment (Unix seconds), by default now."""
        data = self.ask("query", query=query, time=time.time() if at is None else at)
        return {labels: points[-1][1] for labels, points in _series(data, "value")}

    def one(self, query: str, *, at: float | None = None) -> float | None:
        """The value of a query that has one series or none."""
        values = list(self.instant(query, at=at).values())
        assert len(values) <= 1, f"{query} has {len(values)} series"
        return values[0] if values else None

    def course(
        self, query: str, *, start: float, end: float, step: float
    ) -> dict[Labels, dict[float, float]]:
        """Each series' values by moment."""
        data = self.ask("query_range", query=query, start=start, end=end, step=step)
        return {labels: dict(points) for labels, points in _series(data, "values")}

    def samples(
        self, selector: str, *, at: float | None = None
    ) -> dict[Labels, dict[float, float]]:
        """The raw samples of a range selector, by moment."""
        data = self.ask("query", query=selector, time=time.time() if at is None else at)
        return {labels: dict(points) for labels, points in _series(data, "values")}

    def until(self, query: str) -> None:
        """Wait until a query answers with anything."""
        deadline = time.monotonic() + HANG_SECONDS
        while time.monotonic() < deadline:
            if self.instant(query):
                return
            BETWEEN_LOOKS.wait(0.2)
        raise AssertionError(f"{query} never had a value")

    def until_rules_are_evaluated(self) -> None:
        """Wait until every group of rules has been evaluated once more."""
        began = time.time()
        deadline = time.monotonic() + HANG_SECONDS
        while time.monotonic() < deadline:
            found = self.ask("rules")
            assert isinstance(found, Mapping)
            moments = [datetime.fromisoformat(each["lastEvaluation"]) for each in found["groups"]]
            if moments and min(moments).timestamp() > began:
                return
            BETWEEN_LOOKS.wait(0.2)
        raise AssertionError("the rules are not evaluated any more")


def _series(data: object, key: str) -> Iterator[tuple[Labels, list[tuple[float, float]]]]:
    assert isinstance(data, Mapping)
    for series in data["result"]:
        points = [series[key]] if key == "value" else series[key]
        labels = frozenset((str(k), str(v)) for k, v in series["metric"].items())
        yield labels, [(float(moment), float(value)) for moment, value in points]


def make_blocks(history: Path, folder: Path, *, promtool: str) -> None:
    """Turn OpenMetrics text into blocks, as the documents say."""
    made = subprocess.run(
        [
            promtool, "tsdb", "create-blocks-from", "--max-block-duration=744h", "openmetrics",
            str(history), str(folder),
        ],
        env=SPARING,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr


def record_history(
    binary: str, folder: Path, *, promtool: str, since: float, until: float | None = None
) -> None:
    """Record the shipped rules for the past of a data directory, as the documents say."""
    end = time.time() - 60 if until is None else until
    days = folder / "days.yml"
    days.write_text(RULES.read_text().partition("  - name: devin-alerts")[0])
    with prometheus(binary, folder, "global: {}") as server:
        made = subprocess.run(
            [
                promtool, "tsdb", "create-blocks-from", "rules", "--max-block-duration=744h",
                f"--url={server.url}",
                f"--start={since:.0f}", f"--end={end:.0f}",
                f"--output-dir={folder / 'data'}", str(days),
            ],
            env=SPARING,
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr


@contextmanager
def prometheus(
    binary: str, folder: Path, configuration: str, *, flags: Sequence[str] = ()
) -> Iterator[Prometheus]:
    """Run a server on a data directory (`folder/data`) with this configuration."""
    address = free_address()
    (folder / "prometheus.yml").write_text(configuration)
    command = [
        binary,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=400d",
        f"--web.listen-address={address}",
        *flags,
    ]
    with served(command, f"http://{address}/-/ready", folder / "prometheus.log"):
        server = Prometheus(f"http://{address}")
        with server.client:
            yield server


@contextmanager
def served(command: Sequence[str], ready: str, log: Path) -> Iterator[None]:
    """Run a server from when an address of it answers."""
    with (
        log.open("wb") as output,
        subprocess.Popen(command, stdout=output, stderr=output, env=SPARING) as process,
    ):
        try:
            until_ready(ready, process, log)
            yield
        finally:
            process.terminate()


def until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until an address answers with 200, and show the log if it never does."""
    deadline = time.monotonic() + HANG_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if loopback.get(url).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        BETWEEN_LOOKS.wait(0.1)
    raise AssertionError(log.read_text())
