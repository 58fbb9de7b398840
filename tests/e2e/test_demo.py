"""`make demo`, as far as it is more than `devin-exporter demo`."""

import os
import shutil
import signal
import socket
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from deploy.demo.web import choose_port
from tests.e2e.demonstration import SMALL, Demonstration, executable, started
from tests.e2e.stand_in_grafana import arguments, assert_it_shows, install
from tests.support import loopback
from tests.support.limits import HANG_SECONDS
from tests.support.processes import finished
from tests.support.prometheus import Prometheus, find

EXPORTER_PORT = 9877
DAYS_OF_LINKS = 30
DAY = 86_400


def expressions(link: str) -> list[Mapping[str, str]]:
    """What a graph page makes of a link: the settings of each panel."""
    parameters = {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}
    panels: list[Mapping[str, str]] = []
    while f"g{len(panels)}.expr" in parameters:
        panel = f"g{len(panels)}."
        panels.append(
            {k.removeprefix(panel): v for k, v in parameters.items() if k.startswith(panel)}
        )
    return panels


def graph(server: Prometheus, panel: Mapping[str, str]) -> dict[float, float]:
    """What a graph page draws, summed over the series, by moment."""
    assert panel["tab"] == "0"
    days = int(panel["range_input"].removesuffix("d"))
    end = datetime.fromisoformat(panel["end_input"]).replace(tzinfo=UTC).timestamp()
    course = server.course(
        panel["expr"], start=end - days * DAY, end=end, step=float(panel["step_input"])
    )
    sums: dict[float, float] = {}
    for points in course.values():
        for moment, value in points.items():
            sums[moment] = sums.get(moment, 0) + value
    return sums


def ledger(api: str) -> dict[float, float]:
    """What the simulated API says of each day, by its start."""
    with loopback.client() as client:
        answer = client.get(
            f"{api}/v3/enterprise/consumption/daily",
            headers={"Authorization": "Bearer cog_demo"},
        )
    return {row["date"]: row["acus"] for row in answer.json()["consumption_by_date"]}


def assert_queries_tell_the_ledger(demo: Demonstration, links: Mapping[str, str]) -> None:
    by_day, by_user, queue = (links[name] for name in ("ACUs by day", "ACUs by user", "Queue"))
    (api,) = (line for line in demo.lines if line.startswith("Simulated API: "))
    told = ledger(api.partition(": ")[2])
    server = Prometheus("http://" + urlsplit(by_day).netloc)
    with server.client:
        (daily,) = expressions(by_day)
        days = graph(server, daily)
        (people,) = expressions(by_user)
        users = server.instant(people["expr"])
        size, status = (server.one(panel["expr"]) for panel in expressions(queue))
    assert len(days) == DAYS_OF_LINKS
    for moment, acus in days.items():
        assert acus == pytest.approx(told.get(moment, 0), abs=1e-6)
    assert people["tab"] == "1"
    assert all(dict(labels)["user_name"] for labels in users)
    assert 0 < sum(users.values()) <= sum(days.values()) + 1e-6
    assert size is not None
    assert status == 1


@pytest.mark.parametrize(
    ("newer", "grafana", "words"),
    [(False, "grafana-server", []), (True, "grafana", ["server"])],
    ids=["Prometheus 2 and grafana-server", "Prometheus 3 and grafana"],
)
def test_its_links_show_the_ledger_and_ctrl_c_ends_all_of_it(
    tmp_path: Path, *, newer: bool, grafana: str, words: list[str]
) -> None:
    binary = find("prometheus", newer=newer)
    if binary is None:
        pytest.skip("prometheus is missing: `make test` brings it by apt")
    programs = tmp_path / "programs"
    record = install(programs / grafana, tmp_path / "record")
    path = os.pathsep.join([str(programs), str(Path(binary).parent), os.environ["PATH"]])
    with started(tmp_path, path=path, tools=tmp_path / "no tools") as demo:
        links = demo.links()
        assert list(links) == [
            "Status page", "Metrics", "ACUs by day", "ACUs by user", "Queue", "Overview",
        ]  # fmt: skip
        for name in ("Status page", "Metrics", "ACUs by day"):
            assert loopback.get(links[name]).status_code == httpx.codes.OK
        assert_queries_tell_the_ledger(demo, links)
        assert_it_shows(links, record)
        assert arguments(record)[: len(words)] == words
        assert demo.interrupt() == 0
        assert demo.left_behind() == []


def test_without_prometheus_it_says_why_and_shows_the_exporter_alone(tmp_path: Path) -> None:
    assert shutil.which("prometheus", path="/nowhere") is None
    with started(tmp_path, path="/nowhere", tools=tmp_path / "tools") as demo:
        links = demo.links()
        assert list(links) == ["Status page", "Metrics"]
        assert "Prometheus: not started: prometheus and promtool not found" in demo.lines
        assert "prometheus is missing and could not be brought: there is no apt here" in demo.lines
        assert loopback.get(links["Metrics"]).status_code == httpx.codes.OK
        assert demo.interrupt() == 0
        assert demo.left_behind() == []
        assert list((tmp_path / "tools").iterdir()) == []


def test_a_prometheus_that_does_not_run_is_said_with_its_last_words(tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    executable(programs / "promtool", "#!/bin/sh\n")
    executable(programs / "prometheus", "#!/bin/sh\necho no space left >&2\nexit 1\n")
    with started(tmp_path, path=str(programs), tools=tmp_path / "no tools") as demo:
        assert list(demo.links()) == ["Status page", "Metrics"]
        said = demo.lines.index("Prometheus: not started: it ended by itself")
        assert demo.lines[said + 1] == "no space left"


def test_a_grafana_that_does_not_run_is_said_and_all_else_is_shown(tmp_path: Path) -> None:
    if find("prometheus", newer=False) is None:
        pytest.skip("prometheus is missing: `make test` brings it by apt")
    programs = tmp_path / "programs"
    executable(programs / "grafana", "#!/bin/sh\necho no such home >&2\nexit 1\n")
    path = os.pathsep.join([str(programs), os.environ["PATH"]])
    with started(tmp_path, path=path, tools=tmp_path / "no tools") as demo:
        assert list(demo.links())[2:] == ["ACUs by day", "ACUs by user", "Queue"]
        said = demo.lines.index("Grafana: not started: it ended by itself")
        assert demo.lines[said + 1] == "no such home"


SIGNALS = {
    "Ctrl-C": lambda process: os.killpg(process, signal.SIGINT),
    "SIGTERM to it alone": lambda process: os.kill(process, signal.SIGTERM),
    "a terminal that closes": lambda process: os.killpg(process, signal.SIGHUP),
}
MOMENTS = ("Simulated API: ", "Prometheus: writing", "Prometheus: recording")


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("send", SIGNALS.values(), ids=SIGNALS)
def test_a_signal_ends_all_of_it_while_it_is_being_started(
    tmp_path: Path, send: Callable[[int], None], moment: str
) -> None:
    if find("prometheus", newer=False) is None:
        pytest.skip("prometheus is missing: `make test` brings it by apt")
    with started(tmp_path, path=os.environ["PATH"], tools=tmp_path / "no tools") as demo:
        demo.until(moment)
        send(demo.process.pid)
        assert demo.process.wait(HANG_SECONDS) == 0
        assert demo.left_behind() == []


@pytest.mark.parametrize("send", SIGNALS.values(), ids=SIGNALS)
def test_a_signal_ends_all_of_it_while_prometheus_is_brought(
    tmp_path: Path, send: Callable[[int], None]
) -> None:
    programs, reached = tmp_path / "programs", tmp_path / "reached"
    os.mkfifo(reached)
    executable(programs / "apt-get", f"#!/bin/sh\necho >'{reached}'\nsleep 600\nsleep 600\n")
    executable(programs / "dpkg", "#!/bin/sh\n")
    path = os.pathsep.join([str(programs), "/usr/bin", "/bin"])
    if shutil.which("prometheus", path=path):
        pytest.skip("prometheus is installed here, so nothing is brought")
    tools = tmp_path / "tools"
    with started(tmp_path, path=path, tools=tools) as demo:
        reached.read_text()
        send(demo.process.pid)
        assert demo.process.wait(HANG_SECONDS) == 0
        assert demo.left_behind() == []
        assert not list(tools.glob(".*"))


def test_a_signal_before_its_first_line_leaves_nothing(tmp_path: Path) -> None:
    with started(tmp_path, path=os.environ["PATH"], tools=tmp_path) as demo:
        demo.process.terminate()
        demo.process.wait(HANG_SECONDS)
        assert demo.left_behind() == []


def test_beside_another_copy_it_takes_other_ports_and_says_so(tmp_path: Path) -> None:
    settings = {k: v for k, v in SMALL.items() if k != "WEB_LISTEN_ADDRESS"}
    with ExitStack() as other:
        with suppress(OSError):  # it is taken in any case
            other.enter_context(socket.create_server(("127.0.0.1", EXPORTER_PORT)))
        with started(tmp_path, path="/nowhere", tools=tmp_path, settings=settings) as demo:
            links = demo.links()
            said = f"Exporter: port {EXPORTER_PORT} is taken, so it is "
            (port,) = (line.removeprefix(said) for line in demo.lines if line.startswith(said))
            assert links["Metrics"] == f"http://localhost:{port}/metrics"
            assert loopback.get(links["Metrics"]).status_code == httpx.codes.OK


def test_two_copies_that_start_at_the_same_moment_both_serve(tmp_path: Path) -> None:
    settings = {k: v for k, v in SMALL.items() if k != "WEB_LISTEN_ADDRESS"}
    folders = [tmp_path / name for name in ("one", "other")]
    with ExitStack() as both:
        demos = []
        for folder in folders:
            folder.mkdir()
            demo = started(folder, path="/nowhere", tools=folder, settings=settings)
            demos.append(both.enter_context(demo))
        pages = {demo.links()["Metrics"] for demo in demos}
        assert len(pages) == len(demos)
        for page in pages:
            assert loopback.get(page).status_code == httpx.codes.OK


def test_a_port_that_is_taken_is_said_and_another_chosen(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        chosen = choose_port("Prometheus", port)
    assert capsys.readouterr().out == f"Prometheus: port {port} is taken, so it is {chosen}\n"
    assert chosen not in {0, port}


def test_a_taken_port_of_the_simulated_api_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = finished("demo", DEMO_API_PORT=port)
    assert ended.returncode == 1
    assert ended.stderr == f"devin-exporter: DEMO_API_PORT: port {port}: Address already in use\n"
