"""Every kind of key: an enterprise's, an organization's, ones that lack a permission; and plans."""

import importlib
import json
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import httpx
import pytest
import respx

from exporter.demo.api import DemoApi
from exporter.demo.endpoints import DemoKey, endpoints
from exporter.demo.people import Size
from exporter.demo.responses import Responses
from exporter.demo.world import World
from exporter.sources.devin import SOURCE, activity
from exporter.sources.devin.derived import pricing
from exporter.sources.devin.operations import queue
from exporter.sources.devin.operations.breakdowns import metrics as breakdowns
from tests.exporter.commands import finished
from tests.support.processes import running
from tests.support.rig import KEY, Clock, Rig, Scrape, at, payload, rig, simulated_api

NOW = at("2026-03-20 23:30:00")
SIZE = Size(organizations=3, users=30, days=90)
SETTINGS = {metric.name for metric in pricing.METRICS}
DEDICATED = {
    "devin_hypervisors",
    "devin_hypervisor_utilization_ratio",
    "devin_guardrail_violations_cycle",
}
ALL = {metric.name for metric in SOURCE.metrics}


def families(*prefixes: str) -> set[str]:
    return {name for name in ALL if name.startswith(prefixes)}


def families_in(package: ModuleType) -> set[str]:
    """All that the modules of a package declare."""
    return {
        metric.name
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
        for name, value in vars(importlib.import_module(found.name)).items()
        if name.endswith("METRICS")
        for metric in value
    }


BEHIND = {
    "ViewAccountMetrics": families_in(activity) | {metric.name for metric in queue.METRICS},
    "ViewAccountConsumption": families(
        "devin_billing_day_start_",
        "devin_consumption_",
        "devin_organization_consumption_",
        "devin_user_consumption_",
        "devin_service_user_consumption_",
        "devin_group_consumption_",
        "devin_team_consumption_",
        "devin_exporter_unattributed_",
        "devin_enterprise_cycle_limit_",
        "devin_user_cycle_limit_",
    ),
    "ViewAccountSessions": families("devin_recent_session_")
    | {"devin_sessions", *(metric.name for metric in breakdowns.METRICS)}
    | {metric.name for metric in breakdowns.TEAM_METRICS},
    "ViewAccountMembership": families(
        "devin_user",
        "devin_service_user",
        "devin_organization_member",
        "devin_group_consumption_",
        "devin_team_consumption_",
        "devin_team_member_",
        "devin_team_prs_",
        "devin_team_sessions_",
    )
    - {"devin_user_cycle_limit_acus"},
    "ManageOrganizations": families("devin_organization")
    - {"devin_organization_member_info", "devin_organization_cycle_limit_acus"},
}
OLDER = {
    "ViewAccountConsumption": "ManageBilling",
    "ViewAccountMembership": "ManageAccountMembership",
}


def everything() -> frozenset[str]:
    """All permissions of the simulated API."""
    answers = Responses(World(SIZE, start=NOW), lambda: NOW)
    return frozenset(each.permission for each in endpoints(answers) if each.permission)


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


def keys() -> dict[str, DemoKey]:
    """A key without each permission, one for each organization, and one that opens all."""
    world = World(SIZE, start=NOW)
    lacking = {f"cog_no_{name}": DemoKey(everything() - {name}) for name in everything()}
    own = {f"cog_of_{n}": DemoKey(org_id=org) for n, (org, _) in enumerate(world.organizations)}
    blind = DemoKey(everything() - {"ViewOrgMembership"}, world.organizations[0][0])
    return {KEY: DemoKey(), "cog_blind": blind, **lacking, **own}


@pytest.fixture
def simulated(clock: Clock) -> Iterator[tuple[World, DemoApi]]:
    with simulated_api(SIZE, clock, keys=keys()) as made:
        yield made


def polled_with(
    api: DemoApi, clock: Clock, key: str, *, twice: bool = False, teams: Path | None = None
) -> Rig:
    given = {"service_user_token": key, "acu_price": "2", "acu_pool": "1"}
    if teams is not None:
        given["teams_file"] = str(teams)
    with rig(api.url, clock, **given) as polled:
        polled.poll()
        if twice:
            polled.poll()
        return polled


@pytest.mark.parametrize("permission", sorted(BEHIND))
def test_a_lacking_permission_takes_exactly_what_stands_behind_it(
    simulated: tuple[World, DemoApi], clock: Clock, tmp_path: Path, permission: str
) -> None:
    _, api = simulated
    teams = tmp_path / "teams.yml"
    teams.write_text("teams: {A: {groups: ['*'], budget: 9}}")
    full = polled_with(api, clock, KEY, teams=teams).scrape().names()
    lacking = polled_with(api, clock, f"cog_no_{permission}", teams=teams).scrape().names()
    assert full >= ALL - SETTINGS
    assert full - lacking - {"devin_exporter_data_timestamp_seconds"} == BEHIND[permission]
    assert lacking <= full


@pytest.mark.parametrize("permission", sorted(BEHIND))
def test_check_names_a_lacking_permission_and_exits_1(
    simulated: tuple[World, DemoApi], permission: str
) -> None:
    _, api = simulated
    settings = {
        "DEVIN_API_URL": api.url,
        "DEVIN_SERVICE_USER_TOKEN": f"cog_no_{permission}",
        "DEVIN_REQUESTS_PER_SECOND": "1000",
    }
    ended = finished("check", **settings)
    assert ended.returncode == 1
    refused = [line for line in ended.stdout.splitlines() if "403" in line]
    assert refused
    assert all(permission in line for line in refused)
    if permission in OLDER:
        assert all(f"older name: {OLDER[permission]}" in line for line in refused)


def test_check_tells_the_key_its_expiry_the_cycle_and_the_cost(
    simulated: tuple[World, DemoApi],
) -> None:
    world, api = simulated
    settings = {"DEVIN_API_URL": api.url, "DEVIN_SERVICE_USER_TOKEN": KEY}
    ended = finished("check", "--devin.requests-per-second=1000", **settings)
    assert ended.returncode == 0, ended.stdout
    bots = sum(person.service for person in world.people)
    assert "the key is an enterprise's; it belongs to automation-0" in ended.stdout
    assert "the key expires at " in ended.stdout
    # The clock of the process is not that of the simulated world.
    assert "the running calendar month, in place of a cycle, is " in ended.stdout
    assert f"for 3 organizations, 30 users and {bots} service users" in ended.stdout
    asked = {path for path, _ in api.traffic.requests}
    assert all(count == 1 for (path, _), count in api.traffic.requests.items())
    shown = {line.split()[0] for line in ended.stdout.splitlines() if line.startswith("/v3")}
    # No session has changed lately by the clock of the process.
    assert shown - asked == {"/v3/enterprise/consumption/daily/sessions/{session_id}"}
    assert asked <= shown


def test_the_cost_that_check_tells_is_what_an_hour_of_polls_sends(
    simulated: tuple[World, DemoApi], clock: Clock
) -> None:
    _, api = simulated
    with rig(api.url, clock, sweep_interval="1") as polled:
        told = "\n".join(SOURCE.check(polled.opened[0]).lines)
        estimate = int(told.partition("up to ")[2].split()[0])
        polled.poll()
        clock.now += 60
        sent = 0.0
        for task in polled.tasks:
            before = api.traffic.total()
            polled.scheduler.poll(task)
            sent += (api.traffic.total() - before) * 3_600 / task.interval
    assert estimate == pytest.approx(sent, abs=1)


def test_check_without_a_key_says_what_to_set() -> None:
    ended = finished("check")
    assert ended.returncode == 2
    assert "set DEVIN_SERVICE_USER_TOKEN" in ended.stderr


def test_check_on_a_deployment_without_hypervisors_says_so_and_exits_0(
    simulated: tuple[World, DemoApi],
) -> None:
    _, api = simulated
    key = "cog_no_ViewEnterpriseInfraDetails"
    settings = {"DEVIN_API_URL": api.url, "DEVIN_SERVICE_USER_TOKEN": key}
    ended = finished("check", "--devin.requests-per-second=1000", **settings)
    assert ended.returncode == 0
    (line,) = [text for text in ended.stdout.splitlines() if "hypervisors" in text]
    assert "not on this deployment" in line


# Dedicated deployments


@pytest.mark.parametrize(
    ("key", "tasks"),
    [
        ("cog_no_ViewEnterpriseInfraDetails", ["hypervisors"]),
        ("cog_no_unknown", ["guardrails"]),
        ("cog_no_unknown_limits", ["organization_limits", "usage_tiers"]),
    ],
)
def test_what_is_not_on_this_deployment_is_off_and_no_failure(
    simulated: tuple[World, DemoApi],
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    key: str,
    tasks: list[str],
) -> None:
    caplog.set_level("INFO", "exporter")
    _, api = simulated
    polled = polled_with(api, clock, key, twice=True)
    scrape = polled.scrape()
    for task in tasks:
        assert scrape.one("devin_exporter_task_up", task=task) is None
    failures = polled.registry.collect()
    counted = [
        sample.value
        for family in failures
        if family.name == "devin_exporter_task_failures"
        for sample in family.samples
        if sample.name.endswith("_total")
    ]
    assert sum(counted) == 0
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "the key is an enterprise's",
        *("task is off" for _ in tasks),
    ]
    assert not scrape.names() & families(f"devin_{task[:-1]}")


def test_hypervisors_and_violations_are_those_of_the_simulation(
    simulated: tuple[World, DemoApi], clock: Clock
) -> None:
    _, api = simulated
    polled = polled_with(api, clock, KEY)
    scrape = polled.scrape()
    assert scrape.one("devin_hypervisors", status="available") == 3
    assert scrape.one("devin_hypervisors", status="restarting") == 1
    ratios = scrape.family("devin_hypervisor_utilization_ratio")
    assert len(ratios) == 4
    assert all(0 <= ratio <= 1 for ratio in ratios.values())
    violations = sum(scrape.family("devin_guardrail_violations_cycle").values())
    start = at("2026-03-05 08:00:00")
    assert violations == sum(start <= n * 21_600 <= NOW for n in range(int(NOW) // 21_600 + 1))
    assert "nobody's business" not in polled.store.page.text.decode()


# Organizations' keys


@pytest.mark.parametrize("key", ["cog_of_0", "cog_blind"])
def test_an_organizations_key_feeds_what_is_the_organizations(
    simulated: tuple[World, DemoApi], clock: Clock, caplog: pytest.LogCaptureFixture, key: str
) -> None:
    caplog.set_level("WARNING", "exporter")
    world, api = simulated
    polled = polled_with(api, clock, key, twice=True)
    scrape = polled.scrape()
    org_id, _ = world.organizations[0]
    info = {"org_id": org_id, "org_name": org_id}
    assert scrape.family("devin_organization_info") == {frozenset(info.items()): 1.0}
    expected = families("devin_organization_") - {
        "devin_organization_cycle_limit_acus",
        "devin_organization_local_agent_cycle_limit_acus",
        "devin_organization_session_limit_acus",
    }
    if key == "cog_blind":
        expected -= {"devin_organization_member_info"}
    assert expected <= scrape.names()
    assert families("devin_user_consumption_") <= scrape.names()
    assert families("devin_service_user_consumption_") & scrape.names()
    assert {"devin_sessions", "devin_recent_session_info"} <= scrape.names()
    enterprise_only = families(
        "devin_consumption_", "devin_queue_", "devin_prs_", "devin_enterprise_", "devin_daily_"
    )
    assert not scrape.names() & (enterprise_only | DEDICATED)
    assert set(scrape.family("devin_exporter_task_up").values()) == {1.0}
    assert caplog.records == []
    assert polled.store.not_ready() == ()
    start = scrape.one("devin_billing_cycle_start_timestamp_seconds")
    assert start == at("2026-03-01 08:00:00")
    assert {status for _, status in api.traffic.requests} <= (
        {200} if key == "cog_of_0" else {200, 403}
    )
    assert (scrape.one("devin_users") is None) == (key == "cog_blind")


def test_an_organizations_figures_are_the_same_for_both_kinds_of_key(
    simulated: tuple[World, DemoApi], clock: Clock
) -> None:
    world, api = simulated
    org_id, _ = world.organizations[1]

    def shown(scrape: Scrape) -> dict[frozenset[tuple[str, str]], float]:
        return {
            labels | {("window", window)}: value
            for window in ("today", "yesterday")
            for labels, value in scrape.family(
                f"devin_organization_consumption_{window}_acus"
            ).items()
            if ("org_id", org_id) in labels
        }

    own = shown(polled_with(api, clock, "cog_of_1").scrape())
    assert own == shown(polled_with(api, clock, KEY).scrape())
    assert sum(own.values()) > 0


def test_an_organizations_key_turns_ready_and_passes_the_check(
    simulated: tuple[World, DemoApi], tmp_path_factory: pytest.TempPathFactory
) -> None:
    _, api = simulated
    settings = {"DEVIN_API_URL": api.url, "DEVIN_SERVICE_USER_TOKEN": "cog_of_2"}
    ended = finished("check", "--devin.requests-per-second=1000", **settings)
    assert ended.returncode == 0, ended.stdout
    assert "the key is an organization's" in ended.stdout
    folder = tmp_path_factory.mktemp("run")
    with running(folder, "--devin.requests-per-second=1000", **settings) as exporter:
        exporter.until("ready\n", path="/-/ready")
        exporter.until("devin_organization_sessions_created_cycle{")
        assert exporter.get("/-/ready").status_code == 200
        assert exporter.end() == 0
        log = exporter.log.read_text()
    assert "answered 403" not in log
    assert "failed" not in log


# Metering

URL = "https://api.test"


@pytest.fixture
def plan(clock: Clock) -> Iterator[tuple[respx.Router, Rig]]:
    with respx.mock(base_url=URL, assert_all_called=False) as api, rig(URL, clock) as polled:
        cycle = {"after": int(at("2026-03-05 08:00:00")), "before": int(at("2026-04-05 08:00:00"))}
        before = {"after": int(at("2026-02-05 08:00:00")), "before": cycle["after"]}
        api.get("/v3/self").respond(json=payload("devin/keys/self"))
        api.get("/v3/enterprise/consumption/cycles").respond(
            json={"items": [cycle, before], "has_next_page": False}
        )
        yield api, polled


def zero_plan(api: respx.Router, *, cycle: int, today: int, acus: float = 0.0) -> None:
    """A plan whose consumption is empty, with sessions that say 0 ACUs or more."""
    api.get("/v3/enterprise/consumption/daily").respond(
        json={"total_acus": 0.0, "consumption_by_date": []}
    )
    session = {
        "session_id": "a",
        "org_id": "o",
        "url": "",
        "status": "exit",
        "acus_consumed": acus,
        "created_at": int(NOW) - 100,
        "updated_at": int(NOW) - 50,
    }
    api.get("/v3/enterprise/sessions").respond(json={"items": [session], "has_next_page": False})

    def metrics(request: httpx.Request) -> httpx.Response:
        start = int(request.url.params["time_after"])
        created = {at("2026-03-05 08:00:00"): cycle, at("2026-03-20 08:00:00"): today}.get(start, 0)
        answer = {
            "sessions_created_count": created,
            "sessions_with_merged_prs_count": 0,
            "avg_acus_per_session": 0.0,
            "sessions_created_by_origin": {},
            "sessions_created_by_size": {},
        }
        return httpx.Response(200, text=json.dumps(answer))

    api.get("/v3/enterprise/metrics/sessions").mock(side_effect=metrics)


TASKS = ("cycles", "session_metrics", "sessions", "enterprise_consumption")


def test_zeros_of_a_plan_without_metering_are_not_published(
    plan: tuple[respx.Router, Rig],
) -> None:
    api, polled = plan
    zero_plan(api, cycle=9, today=2)
    polled.poll(*TASKS)
    scrape = polled.scrape()
    assert scrape.one("devin_metered") == 0
    assert not scrape.names() & families("devin_consumption_", "devin_session_average_")
    assert "devin_recent_session_acus" not in scrape.names()
    assert scrape.one("devin_sessions_created_cycle") == 9
    assert scrape.one("devin_exporter_task_up", task="enterprise_consumption") == 1


def test_zeros_are_true_while_nobody_has_worked_on_a_complete_day(
    plan: tuple[respx.Router, Rig],
) -> None:
    api, polled = plan
    zero_plan(api, cycle=2, today=2)
    polled.poll(*TASKS)
    scrape = polled.scrape()
    assert scrape.one("devin_metered") is None
    assert scrape.one("devin_consumption_cycle_acus", product="devin") == 0


def test_one_acu_anywhere_makes_a_plan_metered(plan: tuple[respx.Router, Rig]) -> None:
    api, polled = plan
    zero_plan(api, cycle=9, today=2, acus=0.1)
    polled.poll(*TASKS)
    scrape = polled.scrape()
    assert scrape.one("devin_metered") == 1
    assert scrape.one("devin_consumption_cycle_acus", product="devin") == 0


def test_zeros_stay_away_at_the_boundary_once_a_plan_is_known_to_be_without_metering(
    plan: tuple[respx.Router, Rig],
) -> None:
    api, polled = plan
    zero_plan(api, cycle=9, today=2)
    polled.poll(*TASKS)
    for moment in ("2026-03-22 08:00:00", "2026-04-05 08:00:00"):
        polled.clock.now = at(moment)
        scrape = polled.scrape()
        assert not scrape.names() & families("devin_consumption_")
        polled.poll("cycles", "enterprise_consumption")
        scrape = polled.scrape()
        assert scrape.one("devin_metered") == 0
        assert not scrape.names() & families("devin_consumption_")


def test_zeros_stay_away_while_sessions_cannot_be_counted(
    plan: tuple[respx.Router, Rig],
) -> None:
    api, polled = plan
    zero_plan(api, cycle=9, today=2)
    api.get("/v3/enterprise/metrics/sessions").respond(403)
    polled.poll(*TASKS)
    scrape = polled.scrape()
    assert scrape.one("devin_metered") is None
    assert not scrape.names() & families("devin_consumption_")


@pytest.mark.parametrize(
    ("yesterday", "cycle", "metered", "zeros"),
    [(3, 40, 0, False), (0, 40, None, False), (0, 0, None, True)],
)
def test_an_organizations_key_tells_a_plan_without_metering_too(
    clock: Clock, yesterday: int, cycle: int, metered: float | None, *, zeros: bool
) -> None:
    counts = {"devin": 0}

    def count(request: httpx.Request) -> httpx.Response:
        start = int(request.url.params["time_after"])
        whole_cycle = int(request.url.params["time_before"]) - start > 86_400
        counts["devin"] += 1
        return httpx.Response(
            200,
            json={
                "sessions_created_count": cycle if whole_cycle else yesterday,
                "sessions_with_merged_prs_count": 0,
                "avg_acus_per_session": 0.0,
                "sessions_created_by_origin": {},
                "sessions_created_by_size": {},
            },
        )

    with respx.mock(base_url=URL, assert_all_called=False) as api, rig(URL, clock) as polled:
        api.get("/v3/self").respond(json={"principal_type": "service_user", "org_id": "o"})
        api.get("/v3/organizations/o/metrics/sessions").mock(side_effect=count)
        api.get("/v3/organizations/o/metrics/prs").respond(503, headers={"Retry-After": "0"})
        api.get("/v3/organizations/o/metrics/searches").respond(503, headers={"Retry-After": "0"})
        api.get("/v3/organizations/o/consumption/daily").respond(
            json={"total_acus": 0.0, "consumption_by_date": []}
        )
        polled.poll(
            "identity",
            "cycles",
            "organizations",
            "organization_metrics",
            "organization_consumption",
        )
        scrape = polled.scrape()
    assert counts["devin"] == 2
    assert scrape.one("devin_metered") == metered
    shown = bool(scrape.family("devin_organization_consumption_cycle_acus"))
    assert shown is zeros


def test_a_mean_of_acus_makes_a_plan_metered(plan: tuple[respx.Router, Rig]) -> None:
    api, polled = plan
    zero_plan(api, cycle=9, today=2)
    api.get("/v3/enterprise/metrics/sessions").respond(
        json={
            "sessions_created_count": 9,
            "sessions_with_merged_prs_count": 0,
            "avg_acus_per_session": 2.5,
            "sessions_created_by_origin": {},
            "sessions_created_by_size": {},
        }
    )
    polled.poll(*TASKS)
    polled.poll(*TASKS)
    scrape = polled.scrape()
    assert scrape.one("devin_metered") == 1
    assert scrape.one("devin_consumption_cycle_acus", product="devin") == 0


@pytest.mark.parametrize(("cycle", "metered"), [(2, None), (9, 0)])
def test_no_0_of_a_session_is_published_whatever_the_plan(
    plan: tuple[respx.Router, Rig], cycle: int, metered: float | None
) -> None:
    api, polled = plan
    zero_plan(api, cycle=cycle, today=2)
    polled.poll(*TASKS)
    polled.poll("sessions")
    scrape = polled.scrape()
    assert scrape.one("devin_metered") == metered
    assert "devin_recent_session_acus" not in scrape.names()
    assert scrape.one("devin_recent_session_created_timestamp_seconds", session_id="a")


def test_no_task_is_published_a_second_time_by_its_own_poll(plan: tuple[respx.Router, Rig]) -> None:
    _, polled = plan
    assert [
        task.name for task in polled.tasks if task.name in (*task.depends_on, *task.republish_after)
    ] == []
