"""`make demo`: the exporter beside its simulated API, then Prometheus with history, and Grafana.

Prometheus is brought where it is not installed; Grafana is started where it is. Everything is on
loopback and in a temporary folder, and ends with the first signal.
"""

import argparse
import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from deploy.demo import grafana, prometheus
from deploy.demo.processes import EndedError, FailedError, Process, Processes, Signals, say
from deploy.demo.prometheus import Demonstrated
from deploy.demo.queries import OWN_PAGE, Link, graph_page, links
from deploy.demo.web import HOST, choose_port

EXPORTER = str(Path(sys.executable).with_name("devin-exporter"))
PORT = 9877


def main() -> int:
    """Run all of it until a signal comes; gives the exporter's exit status."""
    signals = Signals()
    parser = argparse.ArgumentParser(prog="python -m deploy.demo", description=__doc__)
    parser.add_argument("tools", type=Path, help="where Prometheus is, or is brought to")
    tools = parser.parse_args().tools
    with (
        tempfile.TemporaryDirectory(prefix="devin-exporter-demo-") as folder,
        Processes(signals, Path(folder)) as processes,
    ):
        try:
            exporter = _start_exporter(processes)
        except EndedError:
            return 0
        try:
            _show(processes, exporter, folder=Path(folder), tools=tools)
        except EndedError:
            processes.end(exporter)
        return exporter.popen.returncode


def _start_exporter(processes: Processes) -> Process:
    address = os.environ.get("WEB_LISTEN_ADDRESS") or f"{HOST}:{choose_port('Exporter', PORT)}"
    kept = {k: v for k, v in os.environ.items() if k != "WEB_TELEMETRY_PATH"}
    return processes.start(
        [EXPORTER, "demo"],
        kept | {"WEB_LISTEN_ADDRESS": address},
        errors_to_terminal=True,
        is_main=True,
    )


def _show(processes: Processes, exporter: Process, *, folder: Path, tools: Path) -> None:
    """Start what belongs to an exporter and print where it is.

    Raises:
        EndedError: when it is time to end, and only then does this end.
    """
    demonstrated = _addresses(processes, exporter)
    metrics = demonstrated.metrics
    shown = [Link("Status page", metrics[: metrics.index("/", len("http://")) + 1])]
    shown.append(Link("Metrics", metrics))
    try:
        prometheus.bring(processes, tools)
        url = prometheus.serve(processes, folder, demonstrated)
        shown += _queries(url)
    except FailedError as failure:
        say(f"Prometheus: not started: {failure}")
    else:
        shown += _overview(processes, folder, url)
    width = max(len(link.name) for link in shown) + 2
    say("")
    for link in shown:
        say(f"  {link.name:<{width}}{link.url}")
    say("\nCtrl-C ends all of it.")
    processes.until(lambda: False)


def _addresses(processes: Processes, exporter: Process) -> Demonstrated:
    """What the exporter prints: the simulated API's address and its own."""
    printed: list[str] = []

    def is_printed() -> bool:
        printed[:] = exporter.output.read_text(encoding="utf-8").splitlines()
        return any(line.startswith("Metrics: ") for line in printed)

    processes.until(is_printed)
    for line in printed:
        say(line)
    api, metrics = (line.partition(": ")[2] for line in printed[:2])
    return Demonstrated(EXPORTER, api, metrics)


def _queries(url: str) -> list[Link]:
    page = graph_page(url)
    if page == OWN_PAGE:
        say("Prometheus: this build has no graph page; the queries are on one of the demo's own")
    return list(links(f"{url}{page}", now=datetime.now(UTC)))


def _overview(processes: Processes, folder: Path, url: str) -> list[Link]:
    command = grafana.find()
    if command is None:
        return []
    try:
        return [Link("Overview", grafana.serve(processes, folder, command, url))]
    except FailedError as failure:
        say(f"Grafana: not started: {failure}")
        return []


if __name__ == "__main__":
    sys.exit(main())
