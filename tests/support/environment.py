"""One exporter beside a simulated API, its history, and Prometheus servers that hold both."""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from exporter.demo.endpoints import GATEWAY, V2, DemoKey
from exporter.demo.people import Size, in_mid_cycle
from exporter.demo.world import World
from exporter.sources.devin.billing.windows import DAY, billing_day, day_number
from tests.support.days_end import LONG, SETTLED, pass_a_days_end
from tests.support.processes import finished, running
from tests.support.prometheus import (
    ROOT,
    RULES,
    SHIPPED,
    Prometheus,
    find,
    make_blocks,
    prometheus,
    record_history,
)
from tests.support.rig import KEY, Clock, simulated_api

SIZE = Size(organizations=4, users=30, days=160)
TEAMS = ROOT / "deploy" / "compose" / "demo-teams.yml"
ORGANIZATIONS_KEY = "cog_of_the_first_organization"
V2_KEY, GATEWAYS_TOKEN = "apk_user_of_the_tests", "aione_of_the_tests"
DAYS = 90
Ledger = Mapping[int, Mapping[tuple[str, ...], float]]
"""ACUs by day, and by product or by id and product."""


SCOPES = {
    "": ("product",),
    "organization_": ("org_id", "product"),
    "user_": ("user_id", "product"),
    "service_user_": ("service_user_id", "product"),
}


@dataclass(frozen=True)
class Scene:
    """What everything here is compared with: the simulated world at a moment that stands still."""

    world: World
    now: float
    api: str
    exporter: str
    settings: dict[str, str]


@dataclass(frozen=True)
class Server:
    """A Prometheus server and how it came by its data."""

    prometheus: Prometheus
    setup: str
    longest_gap: float


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A simulated API whose clock stands still, and an exporter that polls it."""
    pass_a_days_end(before=LONG, after=SETTLED)
    now = time.time()
    org_id, _ = World(SIZE, start=now).organizations[0]
    keys = {
        KEY: DemoKey(),
        ORGANIZATIONS_KEY: DemoKey(org_id=org_id),
        V2_KEY: DemoKey(api=V2),
        GATEWAYS_TOKEN: DemoKey(api=GATEWAY),
    }
    with simulated_api(in_mid_cycle(SIZE, now), Clock(now), keys=keys) as (world, api):
        settings = {
            "DEVIN_API_URL": api.url,
            "DEVIN_SERVICE_USER_TOKEN": KEY,
            "DEVIN_ACU_PRICE": "2.25",
            "DEVIN_ACU_POOL": "4000",
            "DEVIN_SESSION_TITLES": "true",
            "DEVIN_TEAMS_FILE": str(TEAMS),
            "DEVIN_REQUESTS_PER_SECOND": "1000",
            "DEVIN_V2_API_KEY": V2_KEY,
            "AIONE_API_URL": api.url,
            "AIONE_TOKEN": GATEWAYS_TOKEN,
        }
        with running(tmp_path_factory.mktemp("exporter"), **settings) as exporter:
            exporter.until('devin_exporter_unattributed_cycle_acus{scope="users"}')
            exporter.until("devin_v2_sessions_cycle")
            exporter.until("aione_cost_rmb")
            address = exporter.url.removeprefix("http://").replace("localhost", "127.0.0.1")
            yield Scene(world, now, api.url, address, settings)


def history(scene: Scene, folder: Path, *flags: str) -> Path:
    """The history of the scene as a file."""
    file = folder / "history.om"
    ended = finished("backfill", f"--days={DAYS}", f"--output={file}", *flags, **scene.settings)
    assert ended.returncode == 0, ended.stderr
    return file


VERSIONS = ("stable", "newer")
AS_SHIPPED = "as shipped"
RENAMED = "renamed, with a replica"


RECORDED_BY = {AS_SHIPPED: "newer", RENAMED: "stable"}
"""Which version writes the blocks of a setup, which both versions then read."""


@pytest.fixture(scope="session")
def past(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The data directory of a setup until its scrapes begin, made once."""

    @cache
    def made(setup: str) -> Path:
        folder = tmp_path_factory.mktemp("past")
        version = RECORDED_BY[setup]
        binary = find("prometheus", newer=version == "newer") or find("prometheus", newer=False)
        assert binary is not None
        fill(binary, scene, folder, *(["--until=now"] if setup == AS_SHIPPED else []))
        return folder / "data"

    return made


@pytest.fixture(
    scope="session",
    params=[(version, setup) for version in VERSIONS for setup in (AS_SHIPPED, RENAMED)],
    ids=lambda param: "-".join(param).replace(" ", "_"),
)
def server(
    request: pytest.FixtureRequest,
    scene: Scene,
    past: Callable[[str], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    """Prometheus servers of both versions.

    As shipped: an empty data directory, history until now, one target. Or history until three
    hours ago, then scrapes of another `instance` and of a second replica.
    """
    version, setup = request.param
    binary = find("prometheus", newer=version == "newer")
    if binary is None:
        pytest.skip(f"the {version} prometheus is missing: `make test` brings it by apt")
    folder = tmp_path_factory.mktemp("prometheus")
    shutil.copytree(past(setup), folder / "data")
    shipped = SHIPPED
    if setup == AS_SHIPPED:
        with serving(binary, scene, folder, shipped) as made:
            yield Server(made, setup, longest_gap=3_600)
    else:
        renamed = shipped.replace("instance: devin-exporter", "instance: renamed")
        target = renamed[renamed.index("      - targets:") :]
        replica = target.replace("instance: renamed", "instance: replica")
        with serving(binary, scene, folder, renamed + replica) as made:
            yield Server(made, setup, longest_gap=4 * 3_600)


def hurried(configuration: str, exporter: str) -> str:
    """A configuration for this exporter that keeps no test waiting for scrapes and evaluations."""
    for shipped, here in (
        ("exporter:9877", exporter),
        ("scrape_interval: 15s", "scrape_interval: 5s"),
        ("scrape_timeout: 10s", "scrape_timeout: 5s"),
        ("evaluation_interval: 1m", "evaluation_interval: 10s"),
    ):
        assert shipped in configuration
        configuration = configuration.replace(shipped, here)
    return configuration


def fill(binary: str, scene: Scene, folder: Path, *flags: str) -> None:
    """Write the scene's history, and what the rules record of it, into `folder/data`."""
    promtool = find("promtool", newer=False)
    assert promtool is not None
    make_blocks(history(scene, folder, *flags), folder / "data", promtool=promtool)
    record_history(binary, folder, promtool=promtool, since=scene.now - (DAYS + 1) * DAY)


@contextmanager
def serving(binary: str, scene: Scene, folder: Path, configuration: str) -> Iterator[Prometheus]:
    """A server with what `folder/data` holds that scrapes the scene's exporter since."""
    (folder / "rules.yml").write_text(RULES.read_text().replace("interval: 15m", "interval: 5s"))
    with prometheus(binary, folder, hurried(configuration, scene.exporter)) as server:
        server.until('devin_exporter_task_up{task="user_consumption"} == 1')
        server.until("devin_organization_consumption_yesterday_acus")
        server.until('max_over_time({__name__="user:devin_consumption_yesterday_acus:sum"}[1m])')
        server.until("account:devin_cost_today:sum")
        server.until("team:devin_cost_today:sum or organization:devin_cost_today:sum")
        server.until("rate(devin_exporter_api_requests_total[1m])")
        yield server


def ledger(scene: Scene, scope: str) -> Ledger:
    """What the simulated world holds of all days up to the running one."""
    world, now = scene.world, scene.now
    today = day_number(billing_day(now).start)
    days = range(today - DAYS, today + 1)
    told: dict[int, dict[tuple[str, ...], float]] = {day: {} for day in days}
    if scope == "":
        for day, use in world.consumption(days, now).items():
            told[day] |= {(product,): acus for product, acus in use.items()}
    elif scope == "organization_":
        for number, (org_id, _) in enumerate(world.organizations):
            for day, use in world.consumption(days, now, org=number).items():
                told[day] |= {(org_id, product): acus for product, acus in use.items()}
    else:
        for person in world.people:
            if person.service == (scope == "service_user_"):
                for day, use in world.personal_consumption(person, days, now).items():
                    told[day] |= {(person.id, product): acus for product, acus in use.items()}
    return told


def used(values: Mapping[tuple[str, ...], float]) -> dict[tuple[str, ...], float]:
    """Those with any use."""
    return {key: value for key, value in values.items() if value}
