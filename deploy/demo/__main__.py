"""`make demo`: the exporter beside its simulated API, then Prometheus with history, and Grafana.

Prometheus is brought where it is not installed; Grafana is started where it is. Everything is on
loopback and in a temporary folder, and ends with the first signal.
"""

import argparse
import os
import sys
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from deploy.demo import grafana, prometheus
from deploy.demo.processes import EndedError, FailedError, Process, Processes, Signals, say
from deploy.demo.prometheus import Demonstrated
from deploy.demo.queries import OWN_PAGE, Link, graph_page, links
from deploy.demo.servers import start_server
from deploy.demo.web import ANY, HOST

EXPORTER = str(Path(sys.executable).with_name("devin-exporter"))
PORT = 9877
INVENTED = {
    "DEVIN_ACU_PRICE": "2.25",
    "DEVIN_ACU_POOL": "25000",
    "DEVIN_TEAMS_FILE": str(prometheus.ROOT / "deploy" / "compose" / "demo-teams.yml"),
}
"""What the simulated API does not know; used where it is not set."""
METRICS = "Metrics: "
"""The last that it prints."""


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
            _invent()
            exporter = _start_exporter(processes)
        except EndedError:
            return 0
        except FailedError as failure:
            sys.stderr.write(f"Exporter: {failure}\n")
            return 1
        processes.end_with(exporter)
        with suppress(EndedError):
            _show(processes, exporter, folder=Path(folder), tools=tools)
        processes.end(exporter)
        return exporter.popen.returncode


def _invent() -> None:
    """Set price, pool and teams, unless they are set, for all that is started."""
    for name, value in INVENTED.items():
        if name not in os.environ:
            os.environ[name] = value
            say(f"Invented for the demo: {name}={value}")


def _start_exporter(processes: Processes) -> Process:
    settings = {k: v for k, v in os.environ.items() if k != "WEB_TELEMETRY_PATH"}
    chosen = settings.get("WEB_LISTEN_ADDRESS")

    def start(port: int) -> Process:
        address = {"WEB_LISTEN_ADDRESS": chosen or f"{HOST}:{port}"}
        return processes.start([EXPORTER, "demo"], settings | address, errors_to_terminal=True)

    def is_up(exporter: Process, _: int) -> bool:
        return METRICS in exporter.output.read_text(encoding="utf-8")

    wanted = ANY if chosen else PORT
    return start_server(processes, start, is_up, wanted=wanted, name="Exporter")[0]


def _show(processes: Processes, exporter: Process, *, folder: Path, tools: Path) -> None:
    """Start what belongs to an exporter and print where it is.

    Raises:
        EndedError: when it is time to end, and only then does this end.
    """
    demonstrated = _addresses(exporter)
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


def _addresses(exporter: Process) -> Demonstrated:
    """What the exporter printed: the simulated API's address and its own."""
    printed = exporter.output.read_text(encoding="utf-8").splitlines()
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
