"""Prometheus with the simulated enterprise's history."""

import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from deploy.demo.processes import FailedError, Process, Processes, say
from deploy.demo.queries import QUEUE_SIZE
from deploy.demo.servers import start_server
from deploy.demo.web import ANY, HOST, get, has_data
from exporter.sources import SOURCES, devin
from exporter.sources.source import sections_of

ROOT = Path(__file__).parent.parent.parent
CONFIGURATION = ROOT / "deploy" / "prometheus" / "prometheus.yml"
RULES = CONFIGURATION.with_name("rules.yml")
PAGE = Path(__file__).with_name("page")
BRING = ROOT / "tests" / "machines" / "bring-prometheus.sh"
PROGRAMS = ("prometheus", "promtool")
PORT = 9090
DAYS = 90
SECONDS_OF_A_DAY = 86_400
DEMO_KEY = "cog_demo"
REQUESTS_PER_SECOND = "2000"
OF_OTHER_SOURCES = {
    str(section.model_config["env_prefix"]).upper()
    for section in sections_of(SOURCES)
    if section not in devin.SOURCE.sections
}
OF_REAL_ACCOUNTS = ("DEVIN_CA_FILE", "DEVIN_SERVICE_USER_TOKEN_FILE", *OF_OTHER_SOURCES)
FIRST_SCRAPE_SECONDS = 60
BLOCKS = ("promtool", "tsdb", "create-blocks-from", "--max-block-duration=744h")


@dataclass(frozen=True, slots=True)
class Demonstrated:
    """The exporter that runs: its command, its API's address and that of its metrics."""

    command: str
    api: str
    metrics: str


def bring(processes: Processes, tools: Path) -> None:
    """Have Prometheus on the PATH, and bring it where it is not.

    Raises:
        FailedError: if it cannot be had.
    """
    os.environ["PATH"] = f"{tools.resolve()}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    if not _missing():
        return
    say(f"Prometheus: {' and '.join(_missing())} not found; bringing it by apt into {tools}")
    try:
        tools.mkdir(parents=True, exist_ok=True)
        # Within the same file system, so that what is there at last is there whole.
        with tempfile.TemporaryDirectory(prefix=".bringing-", dir=tools) as scratch:
            said = processes.run(
                ["/bin/sh", str(BRING), str(tools.resolve()), "prometheus"],
                {**os.environ, "TMPDIR": str(Path(scratch).resolve())},
            )
    except OSError as error:
        raise FailedError(f"{tools}: {error.strerror}") from None
    if missing := _missing():
        raise FailedError(f"{' and '.join(missing)} not found\n{said}")


def _missing() -> list[str]:
    return [name for name in PROGRAMS if shutil.which(name) is None]


def serve(processes: Processes, folder: Path, demonstrated: Demonstrated) -> str:
    """Start a Prometheus that has the history and goes on from there; gives its address.

    Raises:
        FailedError: if that fails.
    """
    say(f"Prometheus: writing {DAYS} days of history, which takes about a minute")
    _write_history(processes, folder, demonstrated)
    say("Prometheus: recording the rules for these days")
    _record_rules(processes, folder)
    target = demonstrated.metrics.removeprefix("http://").partition("/")[0]
    # There is no Alertmanager here.
    shipped = CONFIGURATION.read_text(encoding="utf-8").partition("alerting:")[0]
    configuration = shipped.replace("exporter:9877", target)
    server, port = _start(processes, folder, configuration, wanted=PORT)
    server.watched = True
    url = f"http://localhost:{port}"
    say(f"Prometheus: {url}")
    processes.until(lambda: has_data(url, QUEUE_SIZE), seconds=FIRST_SCRAPE_SECONDS)
    return url


def _write_history(processes: Processes, folder: Path, demonstrated: Demonstrated) -> None:
    history = folder / "history.om"
    kept = {k: v for k, v in os.environ.items() if not k.startswith(OF_REAL_ACCOUNTS)}
    kept |= {"DEVIN_API_URL": demonstrated.api, "DEVIN_SERVICE_USER_TOKEN": DEMO_KEY}
    kept.setdefault("DEVIN_REQUESTS_PER_SECOND", REQUESTS_PER_SECOND)
    command = [demonstrated.command, "backfill", f"--days={DAYS}", "--until=now"]
    processes.run([*command, f"--output={history}"], kept)
    processes.run([*BLOCKS, "openmetrics", str(history), str(folder / "data")], os.environ)
    history.unlink()


def _record_rules(processes: Processes, folder: Path) -> None:
    """Record the rules' past, with a server on the data that scrapes nothing.

    Blocks that are written beside a running server are seen a minute later only.
    """
    server, port = _start(processes, folder, "global: {}", wanted=ANY)
    now = int(time.time())
    rules = folder / "days.yml"
    alerts = "  - name: devin-alerts"
    rules.write_text(RULES.read_text(encoding="utf-8").partition(alerts)[0], encoding="utf-8")
    span = [f"--start={now - (DAYS + 1) * SECONDS_OF_A_DAY}", f"--end={now - 60}"]
    where = [f"--url=http://{HOST}:{port}", f"--output-dir={folder / 'data'}"]
    try:
        processes.run([*BLOCKS, "rules", *span, *where, str(rules)], os.environ)
    finally:
        processes.end(server)


def _start(
    processes: Processes, folder: Path, configuration: str, *, wanted: int
) -> tuple[Process, int]:
    (folder / "prometheus.yml").write_text(configuration, encoding="utf-8")
    shutil.copy(RULES, folder)
    data = folder / "data"

    def start(port: int) -> Process:
        command = [
            "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={data}",
            "--storage.tsdb.retention.time=400d",
            f"--web.listen-address={HOST}:{port}",
            f"--web.user-assets={PAGE}",
        ]
        return processes.start(command, os.environ, name="Prometheus")

    def is_up(_: Process, port: int) -> bool:
        """Whether it is ready, and no other Prometheus."""
        page = get(f"http://{HOST}:{port}/api/v1/status/flags")
        return page is not None and str(data) in page.body

    return start_server(processes, start, is_up, wanted=wanted, name="Prometheus")
