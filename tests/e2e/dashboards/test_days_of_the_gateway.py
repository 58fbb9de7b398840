"""AIone's panels where it is the only source, over months, in zones from one end to the other."""

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from exporter.demo.endpoints import GATEWAY, DemoKey
from exporter.sources.aione.samples import day_of
from tests.e2e.dashboards.test_in_prometheus import says_why_empty
from tests.grafana.panels import DASHBOARDS, Dashboard, Range, Viewer, panel
from tests.support.environment import GATEWAYS_TOKEN, SIZE, hurried
from tests.support.processes import running
from tests.support.prometheus import SHIPPED, Prometheus, find, make_blocks, prometheus
from tests.support.rig import Clock, simulated_api

DAY, EVERY_SECONDS = 86_400, 1_800
DAYS = 200
"""In which at least one clock is put forward or back."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC).date()
ZONES = (
    "Etc/GMT+9",
    "America/Los_Angeles",
    "UTC",
    "Europe/Berlin",
    "Asia/Kolkata",
    "Asia/Shanghai",
    "Pacific/Kiritimati",
)
WITH_A_GAP = "UTC, with a gap"
MANY_TEAMS, SHOWN = 20, 15
BOARD = next(Dashboard(path) for path in DASHBOARDS if path.stem == "devin-ai-spend")
HAPPENS_SELDOM = {
    ("Gateway: cost by day", "A"),
    ("Gateway: invoices", "B"),
    ("Gateway: other cost", "A"),
    ("Gateway: other requests", "A"),
    ("Gateway: other tokens", "A"),
    ("Gateway: other conversations", "A"),
}
"""There are no more teams and models than are shown, and no day is over."""


def line(name: str, job: str, at: float, value: float, **labels: str) -> str:
    told = {"job": job, "instance": "devin-exporter", **labels}
    inside = ",".join(f'{name}="{text}"' for name, text in told.items())
    return f"{name}{{{inside}}} {value} {at:.0f}\n"


def number_of_yesterday(at: float, zone: str) -> int:
    return (day_of(at, ZoneInfo(zone)) - timedelta(days=1) - EPOCH).days


def in_the_gap(at: float, end: float) -> bool:
    """Around the two hours in which the day is read that began at 00:00 UTC ten days before."""
    midnight = end // DAY * DAY - 9 * DAY
    return midnight + 7 * 3_600 <= at <= midnight + 11 * 3_600


def months(end: float) -> Iterator[str]:
    """What an exporter would have told in each zone: a day's cost is the day's number."""
    moments = [end - EVERY_SECONDS * back for back in reversed(range(DAYS * DAY // EVERY_SECONDS))]
    jobs = {zone: zone for zone in ZONES} | {WITH_A_GAP: "UTC"}
    yield "# TYPE devin_exporter_build_info gauge\n"
    for job in jobs:
        yield from (line("devin_exporter_build_info", job, at, 1) for at in moments)
    yield "# TYPE aione_yesterday_cost_rmb gauge\n"
    for job, zone in jobs.items():
        for at in moments:
            if job != WITH_A_GAP or not in_the_gap(at, end):
                cost = number_of_yesterday(at, zone)
                yield line("aione_yesterday_cost_rmb", job, at, cost)
    yield "# TYPE aione_team_cost_rmb gauge\n"
    for team in range(MANY_TEAMS):
        yield line("aione_team_cost_rmb", "UTC", end, team + 0.25, team_id=f"team-{team}")
    yield "# TYPE aione_team_info gauge\n"
    yield line("aione_team_info", "UTC", end, 1, team_id="team-19", team_name="Labs")
    yield "# TYPE aione_unreadable_values gauge\n"
    yield line("aione_unreadable_values", "UTC", end, 2, field="tech.total_cost_rmb")
    yield "# EOF\n"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Prometheus, float]]:
    """A server that holds those months, and when they end."""
    binary, promtool = (find(name, newer=False) for name in ("prometheus", "promtool"))
    if binary is None or promtool is None:
        pytest.skip("prometheus is missing: `make test` brings it by apt")
    folder = tmp_path_factory.mktemp("prometheus")
    end = datetime(2026, 3, 20, 15, 25, tzinfo=UTC).timestamp()
    (folder / "months.om").write_text("".join(months(end)))
    make_blocks(folder / "months.om", folder / "data", promtool=promtool)
    with prometheus(binary, folder, "global: {}") as server:
        yield server, end


def bars(told: tuple[Prometheus, float], job: str) -> Mapping[float, float]:
    server, end = told
    seen = Viewer(server, Range(end - (DAYS - 3) * DAY, end), job=job)
    (points,) = seen.see(panel(BOARD.uid, "Gateway: cost by day"), seen.values(BOARD)).values()
    return points


@pytest.mark.parametrize("zone", ZONES)
def test_each_bar_is_the_cost_of_the_day_that_it_stands_at(
    told: tuple[Prometheus, float], zone: str
) -> None:
    shown = bars(told, zone)
    assert len(shown) >= DAYS - 5
    assert shown == {at: at // DAY for at in shown}
    assert {at % DAY for at in shown} == {8 * 3_600}


def test_a_day_is_missing_where_nothing_was_scraped_when_it_is_read(
    told: tuple[Prometheus, float],
) -> None:
    _, end = told
    shown, whole = bars(told, WITH_A_GAP), bars(told, "UTC")
    assert whole.keys() - shown.keys() == {end // DAY * DAY - 10 * DAY + 8 * 3_600}
    assert shown == {at: whole[at] for at in shown}


def test_teams_have_their_names_or_ids_and_the_rest_is_one_number(
    told: tuple[Prometheus, float],
) -> None:
    server, end = told
    at = end + 2  # what is of the present is asked for a moment earlier
    seen = Viewer(server, Range(at - DAY, at), job="UTC")
    values = seen.values(BOARD)
    first, rest = (
        seen.see(panel(BOARD.uid, title), values)
        for title in ("Gateway: cost by team", "Gateway: other cost")
    )
    assert {dict(labels)["team_name"]: points[at] for labels, points in first.items()} == {
        "Labs": 19.25,
        **{f"team-{team}": team + 0.25 for team in range(MANY_TEAMS - SHOWN, MANY_TEAMS - 1)},
    }
    assert [points[at] for points in rest.values()] == [
        sum(team + 0.25 for team in range(MANY_TEAMS - SHOWN))
    ]


def test_what_cannot_be_read_is_told_by_its_place(told: tuple[Prometheus, float]) -> None:
    server, end = told
    at = end + 2  # what is of the present is asked for a moment earlier
    seen = Viewer(server, Range(at - DAY, at), job="UTC")
    board = next(Dashboard(path) for path in DASHBOARDS if path.stem == "devin-exporter")
    target = panel(board.uid, "Gateway: unreadable values")
    assert seen.see(target, seen.values(board)) == {
        frozenset({("field", "tech.total_cost_rmb")}): {at: 2}
    }


def test_the_gateway_alone_fills_its_own_panels(tmp_path: Path) -> None:
    binary = find("prometheus", newer=False)
    if binary is None:
        pytest.skip("prometheus is missing: `make test` brings it by apt")
    keys = {GATEWAYS_TOKEN: DemoKey(api=GATEWAY)}
    with (
        simulated_api(SIZE, Clock(time.time()), keys=keys) as (_, api),
        running(tmp_path, AIONE_API_URL=api.url, AIONE_TOKEN=GATEWAYS_TOKEN) as exporter,
    ):
        exporter.until("aione_cost_rmb")
        address = exporter.url.removeprefix("http://").replace("localhost", "127.0.0.1")
        configuration = hurried(SHIPPED, address)
        (tmp_path / "rules.yml").write_text("groups: []")
        with prometheus(binary, tmp_path, configuration) as server:
            server.until("aione_cost_rmb offset 3s")
            now = round(time.time(), 3)
            seen = Viewer(server, Range(now - 7 * DAY, now))
            values = seen.values(BOARD)
            assert (values["org"], values["total"]) == (".*", "")
            answered = {
                (target.panel, target.ref) for target in BOARD.targets if seen.see(target, values)
            }
    of_gateway = {
        (target.panel, target.ref) for target in BOARD.targets if target.panel.startswith("Gateway")
    }
    said = {(t.panel, t.ref) for t in BOARD.targets if says_why_empty(t)}
    # Lines begin with the first step after the exporter's start.
    lines = {(t.panel, t.ref) for t in BOARD.targets if not t.time_from}
    assert of_gateway - HAPPENS_SELDOM - lines - said <= answered - said <= of_gateway
