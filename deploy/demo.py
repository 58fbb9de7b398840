"""`make demo`: the exporter beside its simulated API, and Prometheus with history where it is.

Where `prometheus` and `promtool` are on the PATH, 90 days of the simulated enterprise's history are
written by `devin-exporter backfill`, made into blocks, and served by a Prometheus that goes on from
there. Everything is on loopback and in a temporary folder, and ends with the first Ctrl-C.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

EXPORTER = str(Path(sys.executable).with_name("devin-exporter"))
CONFIGURATION = Path(__file__).parent / "prometheus" / "prometheus.yml"
RULES = CONFIGURATION.with_name("rules.yml")
DAYS = 90
DEMO_KEY = "cog_demo"
PROMETHEUS_PORT = 9090
LOOK_AGAIN_SECONDS = 0.1
OF_REAL_ACCOUNTS = ("DEVIN_CA_FILE", "DEVIN_SERVICE_USER_TOKEN_FILE", "DEVIN_V2_", "AIONE_")


def main() -> int:
    """Run all of it until a signal comes; gives the exporter's exit status."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with subprocess.Popen([EXPORTER, "demo"], stdout=subprocess.PIPE, text=True) as exporter:
        try:
            addresses = _addresses(exporter)
            missing = [name for name in ("prometheus", "promtool") if shutil.which(name) is None]
            if missing or len(addresses) < 2:  # noqa: PLR2004 - it has said why
                if missing:
                    _say(f"Prometheus: not started, as {' and '.join(missing)} is missing")
                return until_ended(exporter)
            with tempfile.TemporaryDirectory(prefix="devin-exporter-demo-") as folder:
                return _with_prometheus(exporter, Path(folder), *addresses)
        except KeyboardInterrupt:
            exporter.terminate()
            return exporter.wait()


def until_ended(process: subprocess.Popen[str]) -> int:
    """Wait for a process; gives its exit status. KeyboardInterrupt as soon as a signal came.

    Python hears a signal between two steps only: one that comes in the moment before a wait without
    an end would not be heard before the process has ended. A wait with one wakes up in between.
    """
    return process.wait(threading.TIMEOUT_MAX)


def _addresses(exporter: subprocess.Popen[str]) -> list[str]:
    """What the exporter prints: the simulated API's address and its own."""
    found: list[str] = []
    for line in exporter.stdout or ():
        _say(line.rstrip())
        found.append(line.partition(": ")[2].strip())
        if line.startswith("Metrics: "):
            break
    return found


def _with_prometheus(exporter: subprocess.Popen[str], folder: Path, api: str, metrics: str) -> int:
    _say(f"Prometheus: writing {DAYS} days of history")
    settings = {"DEVIN_API_URL": api, "DEVIN_SERVICE_USER_TOKEN": DEMO_KEY}
    kept = {k: v for k, v in os.environ.items() if not k.startswith(OF_REAL_ACCOUNTS)}
    kept.setdefault("DEVIN_REQUESTS_PER_SECOND", "200")
    history = folder / "history.om"
    _run(
        [EXPORTER, "backfill", f"--days={DAYS}", "--until=now", f"--output={history}"],
        kept | settings,
    )
    _run(
        [
            "promtool", "tsdb", "create-blocks-from", "--max-block-duration=744h", "openmetrics",
            str(history), str(folder / "data"),
        ],
        kept,
    )  # fmt: skip
    history.unlink()
    target = metrics.removeprefix("http://").partition("/")[0]
    # There is no Alertmanager here.
    shipped = CONFIGURATION.read_text(encoding="utf-8").partition("alerting:")[0]
    configuration = shipped.replace("exporter:9877", target)
    shutil.copy(RULES, folder)
    try:
        # Blocks that are written beside a running server are seen a minute later only.
        with _prometheus(folder, "global: {}") as url:
            _record_history(folder / "data", url, kept)
        with _prometheus(folder, configuration) as url:
            _say(f"Prometheus: {url}")
            return until_ended(exporter)
    except OSError as error:
        _say(f"Prometheus: {error}")
        return until_ended(exporter)


@contextmanager
def _prometheus(folder: Path, configuration: str) -> Iterator[str]:
    """Run a server on the folder's data, and give its address; OSError if it ends by itself."""
    (folder / "prometheus.yml").write_text(configuration, encoding="utf-8")
    address = f"127.0.0.1:{_free_port(PROMETHEUS_PORT)}"
    with (folder / "prometheus.log").open("wb") as log:
        prometheus = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                "--storage.tsdb.retention.time=400d",
                f"--web.listen-address={address}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        if not _is_ready(prometheus, f"http://{address}/-/ready"):
            raise OSError(f"ended by itself\n{(folder / 'prometheus.log').read_text()}")
        yield f"http://{address}"
    finally:
        prometheus.terminate()
        prometheus.wait()


def _record_history(data: Path, url: str, environment: dict[str, str]) -> None:
    now = int(time.time())
    days = data.with_name("days.yml")
    rules = RULES.read_text(encoding="utf-8")
    days.write_text(rules.partition("  - name: devin-alerts")[0], encoding="utf-8")
    _run(
        [
            "promtool", "tsdb", "create-blocks-from", "rules", "--max-block-duration=744h",
            f"--url={url}", f"--start={now - (DAYS + 1) * 86_400}",
            f"--end={now - 60}", f"--output-dir={data}", str(days),
        ],
        environment,
    )  # fmt: skip


def _is_ready(process: subprocess.Popen[bytes], url: str) -> bool:
    """Wait until an address answers; False if the process has ended before."""
    while process.poll() is None:
        try:
            httpx.get(url).raise_for_status()
        except httpx.HTTPError:
            with suppress(subprocess.TimeoutExpired):
                process.wait(LOOK_AGAIN_SECONDS)
        else:
            return True
    return False


def _run(command: Sequence[str], environment: dict[str, str]) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{command[0]} failed:\n{done.stderr}")


def _free_port(wanted: int) -> int:
    """The wanted port, or any other if that is taken."""
    for port in (wanted, 0):
        try:
            with socket.create_server(("127.0.0.1", port)) as probe:
                return int(probe.getsockname()[1])
        except OSError:
            continue
    raise OSError("no free port on loopback")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
