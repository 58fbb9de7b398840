"""One exporter beside a simulated API, its history, and Prometheus servers that hold both."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from harness import KEY, Clock, simulated_api
from processes import finished, running
from prometheus import BETWEEN_LOOKS, CONFIGURATION, Prometheus, find, make_blocks, prometheus

from exporter.demo.people import Size
from exporter.demo.world import World
from exporter.sources.devin.windows import DAY

SIZE = Size(organizations=4, users=30, days=160)
DAYS = 90
QUIET_SECONDS = 300
"""How long before a day ends no test is begun, as its figures would change in the middle."""
EIGHT = 8 * 3_600


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
    _pass_a_days_end()
    now = time.time()
    with simulated_api(SIZE, Clock(now)) as (world, api):
        settings = {
            "DEVIN_API_URL": api.url,
            "DEVIN_SERVICE_USER_TOKEN": KEY,
            "DEVIN_ACU_PRICE": "2.25",
            "DEVIN_REQUESTS_PER_SECOND": "1000",
        }
        with running(tmp_path_factory.mktemp("exporter"), **settings) as exporter:
            exporter.until('devin_exporter_unattributed_cycle_acus{scope="users"}')
            address = exporter.url.removeprefix("http://").replace("localhost", "127.0.0.1")
            yield Scene(world, now, api.url, address, settings)


def _pass_a_days_end() -> None:
    for end in (0, EIGHT):
        left = (end - time.time()) % DAY
        if left < QUIET_SECONDS:
            BETWEEN_LOOKS.wait(left + 1)


def history(scene: Scene, folder: Path, *flags: str) -> Path:
    """The history of the scene as a file."""
    file = folder / "history.om"
    ended = finished("backfill", f"--days={DAYS}", f"--output={file}", *flags, **scene.settings)
    assert ended.returncode == 0, ended.stderr
    return file


VERSIONS = ("stable", "newer")
AS_SHIPPED = "as shipped"
RENAMED = "renamed, with a replica"


@pytest.fixture(
    scope="session",
    params=[(version, setup) for version in VERSIONS for setup in (AS_SHIPPED, RENAMED)],
    ids=lambda param: "-".join(param).replace(" ", "_"),
)
def server(
    request: pytest.FixtureRequest, scene: Scene, tmp_path_factory: pytest.TempPathFactory
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
    shipped = CONFIGURATION.read_text()
    if setup == AS_SHIPPED:
        with _serving(binary, scene, folder, shipped, "--until=now") as made:
            yield Server(made, setup, longest_gap=3_600)
    else:
        renamed = shipped.replace("instance: devin-exporter", "instance: renamed")
        target = renamed[renamed.index("      - targets:") :]
        replica = target.replace("instance: renamed", "instance: replica")
        with _serving(binary, scene, folder, renamed + replica) as made:
            yield Server(made, setup, longest_gap=4 * 3_600)


@contextmanager
def _serving(
    binary: str, scene: Scene, folder: Path, configuration: str, *flags: str
) -> Iterator[Prometheus]:
    promtool = find("promtool", newer=False)
    assert promtool is not None
    make_blocks(history(scene, folder, *flags), folder / "data", promtool=promtool)
    pointed = configuration.replace("exporter:9877", scene.exporter)
    assert pointed != configuration
    with prometheus(binary, folder, pointed) as server:
        server.until("devin_user_consumption_today_acus")
        server.until("devin_consumption_yesterday_acus")
        yield server
