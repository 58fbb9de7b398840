"""`docker compose up` without containers: its services, from its files, in its order."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.sources.devin.billing.windows import DAY
from tests.deploy.compose import Machine, services, up
from tests.e2e.dashboards.test_in_prometheus import CHANGES, says_why_empty
from tests.grafana.panels import DASHBOARDS, Dashboard, Range, Viewer, panel
from tests.grafana.queries import rules
from tests.support import loopback
from tests.support.days_end import BRIEF, SETTLED, pass_a_days_end
from tests.support.prometheus import Prometheus, find

NO_CONTAINERS = ("grafana",)
SMALL = {"DEMO_ORGANIZATIONS": "3", "DEMO_USERS": "20", "DEMO_DAYS": "120"}
RIGHTLY_EMPTY = {
    "Alerts that fire",
    "Failed attempts",
    "Retries and skipped runs",
    "Users close to a limit",
    "Waiting, by organization",
    "Held up, by organization",
    "Guardrail violations",
    "Queue",  # has a query for each status
    "All other users",  # there are no more than are shown
    "Devin: other cost",  # the same
    "Gateway: other cost",  # the same
    "Gateway: other requests",  # the same
    "Gateway: other tokens",  # the same
    "Gateway: other conversations",  # the same
    "Gateway: cost by day",  # the gateway has no history
    "Gateway: invoices",  # has a query for those of this month, of which there may be none yet
    "Gateway: unreadable values",
    "Unreadable rows",
    "Web configuration",  # there is none
    "ACUs by day and product",  # has one for the running day, which may have no use yet
    "Cost by day and product",  # the same
    "Devin: cost by day",  # the same
    "Cost by day and team",  # the same: its cost is recorded a while after the start
}
"""Of which something must happen first."""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    if (
        find("prometheus", newer=True) is None
        or find("prometheus-alertmanager", newer=False) is None
    ):
        pytest.skip("a prometheus or alertmanager is missing: `make test` brings them by apt")
    return Machine(tmp_path_factory.mktemp("compose"), SMALL)


@pytest.fixture(scope="module")
def started(machine: Machine) -> Iterator[dict[str, str]]:
    pass_a_days_end(before=BRIEF, after=SETTLED)
    with up(machine, without=NO_CONTAINERS) as printed:
        yield printed


@pytest.fixture(scope="module")
def server(machine: Machine, started: dict[str, str]) -> Iterator[Prometheus]:
    assert started.keys() == {"password", "history", "blocks"}
    prometheus = Prometheus(machine.url("prometheus:9090"))
    with prometheus.client:
        prometheus.until('devin_exporter_task_up{task="user_consumption"} == 1')
        prometheus.until("rate(devin_exporter_api_requests_total[1m])")
        yield prometheus


def test_all_rules_are_loaded_and_evaluate(server: Prometheus) -> None:
    server.until("account:devin_consumption_forecast_acus:sum")
    told = server.ask("rules")
    assert isinstance(told, dict)
    loaded = [rule for group in told["groups"] for rule in group["rules"]]
    alerts = [rule for rule in loaded if rule["type"] == "alerting"]
    assert len(alerts) > 20
    shipped = [rule.get("alert") or rule["record"] for rule in rules()]
    assert sorted(rule["name"] for rule in loaded) == sorted(shipped)
    assert {rule["health"] for rule in loaded} <= {"ok", "unknown"}
    assert not [rule for rule in loaded if rule.get("lastError")]


def test_alertmanager_is_known_to_prometheus_and_ready(
    machine: Machine, server: Prometheus
) -> None:
    told = server.ask("alertmanagers")
    assert isinstance(told, dict)
    (active,) = told["activeAlertmanagers"]
    assert active["url"] == f"{machine.url('alertmanager:9093')}/api/v2/alerts"
    assert loopback.get(f"{machine.url('alertmanager:9093')}/-/ready").is_success


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_panel_has_data(server: Prometheus, path: Path) -> None:
    dashboard = Dashboard(path)
    now = round(time.time(), 3)
    seen = Viewer(server, Range(now - 44 * DAY, now))
    values = seen.values(dashboard)
    figures = [
        target
        for target in dashboard.targets
        if not says_why_empty(target) and target.name not in CHANGES
    ]
    empty = {target.panel for target in figures if not seen.see(target, values)}
    assert empty <= RIGHTLY_EMPTY


@pytest.mark.parametrize(
    "metric",
    [
        "devin_consumption_yesterday_acus",
        "devin_organization_consumption_yesterday_acus",
        "devin_user_consumption_yesterday_acus",
        "devin_previous_day_active_users",
        "devin_sessions_created_yesterday",
        "user:devin_consumption_yesterday_acus:sum",
        "account:devin_consumption_yesterday_acus:sum",
    ],
)
def test_the_last_ninety_days_are_there(server: Prometheus, metric: str) -> None:
    days = server.one(f"max(count_over_time((group(last_over_time({metric}[1d])))[90d:1d]))")
    assert days is not None
    assert days >= 89


def test_dashboards_and_alerts_tell_the_same_forecast(server: Prometheus) -> None:
    recorded = "account:devin_consumption_forecast_acus:sum"
    server.until(recorded)
    target = panel("devin-cost", "Pool at the end")
    now = round(time.time(), 3)
    seen = Viewer(server, Range(now - 7 * DAY, now))
    (dashboard,) = (each for each in map(Dashboard, DASHBOARDS) if each.uid == target.dashboard)
    ((_, shown),) = seen.see(target, seen.values(dashboard)).items()
    forecast, pool = server.one(recorded), server.one("devin_pool_acus")
    assert forecast is not None
    assert pool is not None
    assert forecast / pool == pytest.approx(shown[now], rel=1e-3)


def test_starting_again_takes_nothing_in_again(machine: Machine, server: Prometheus) -> None:
    by_name = {service.name: service for service in services(machine.values)}
    blocks = sorted(path.name for path in (machine.folder / "volumes" / "prometheus").glob("01*"))
    for name in ("password", "history", "blocks"):
        service = by_name[name]
        ended = subprocess.run(
            machine.command(service), env=machine.environment(service),
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", ""), name
    kept = sorted(path.name for path in (machine.folder / "volumes" / "prometheus").glob("01*"))
    assert kept == blocks
    assert not (machine.folder / "volumes" / "history" / "history.om").exists()
    assert server.instant("devin_queue_size")


@pytest.mark.parametrize("name", ["exporter", "history"])
@pytest.mark.parametrize(
    "variable",
    ["DEVIN_SERVICE_USER_TOKEN", "DEVIN_V2_API_KEY", "AIONE_TOKEN_FILE", "AIONE_API_URL"],
)
def test_the_demos_figures_are_never_mixed_with_real_ones(
    machine: Machine, started: dict[str, str], name: str, variable: str
) -> None:
    assert started
    (service,) = (s for s in services(machine.values) if s.name == name)
    with_a_key = {**machine.environment(service), variable: "cog_x"}
    ended = subprocess.run(
        machine.command(service), env=with_a_key, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "docker compose down --volumes" in ended.stderr
    assert "cog_x" not in ended.stdout + ended.stderr


def test_without_a_v3_key_no_history_is_asked_for(tmp_path: Path) -> None:
    values = {"AIONE_API_URL": "https://aione.test", "AIONE_TOKEN": "t", "HISTORY_DAYS": "90"}
    own = Machine(tmp_path, values)
    (history,) = (s for s in services(own.values) if s.name == "history")
    folder = tmp_path / "volumes" / "history"
    folder.mkdir(parents=True)
    ended = subprocess.run(
        own.command(history),
        env={**own.environment(history), **values},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0
    assert "there is no history" in ended.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["history-done", "kind"]
    assert (folder / "kind").read_text() == "real\n"


def test_grafanas_administrator_has_a_password_of_ones_own(
    machine: Machine, started: dict[str, str], tmp_path: Path
) -> None:
    assert started
    made = (machine.folder / "volumes" / "password" / "admin").read_text()
    assert len(made) == 36
    own = Machine(tmp_path, {"GRAFANA_ADMIN_PASSWORD": "of one's own"})
    (password,) = (s for s in services(own.values) if s.name == "password")
    file = tmp_path / "volumes" / "password" / "admin"
    file.parent.mkdir(parents=True)
    file.write_text("")  # as a full disk may leave it
    for values in (own.values, {"GRAFANA_ADMIN_PASSWORD": "another"}):
        environment = {**own.environment(password), **values}
        subprocess.run(own.command(password), env=environment, check=True)
        assert file.read_text() == "of one's own"
