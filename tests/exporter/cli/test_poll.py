"""`devin-exporter poll TASK`: one task polled once, its samples printed."""

import time
from collections.abc import Iterator

import pytest

from exporter.demo.api import DemoApi
from exporter.demo.endpoints import DemoKey
from exporter.demo.people import Size
from exporter.scheduling.task import in_order_of_polls
from tests.exporter.commands import finished
from tests.support.rig import KEY, Clock, Scrape, rig, simulated_api

SIZE = Size(organizations=2, users=8, days=60)
BLIND = "cog_blind"


@pytest.fixture
def clock() -> Clock:
    return Clock(time.time())


@pytest.fixture
def api(clock: Clock) -> Iterator[DemoApi]:
    keys = {KEY: DemoKey(), BLIND: DemoKey(frozenset({"ViewAccountConsumption"}))}
    with simulated_api(SIZE, clock, keys=keys) as (_, api):
        yield api


def settings(api: DemoApi, key: str = KEY) -> dict[str, str]:
    return {
        "DEVIN_API_URL": api.url,
        "DEVIN_SERVICE_USER_TOKEN": key,
        "DEVIN_REQUESTS_PER_SECOND": "10000",
    }


@pytest.mark.parametrize("name", ["organization_consumption", "unattributed", "sessions"])
def test_the_samples_of_one_task_are_those_of_the_page(
    api: DemoApi, clock: Clock, name: str
) -> None:
    done = finished("poll", name, **settings(api))
    assert (done.returncode, done.stderr) == (0, "")
    with rig(api.url, clock) as polled:
        polled.poll()
        (task,) = (task for task in polled.tasks if task.name == name)
        page = polled.scrape().values
    families = {metric.name for metric in task.metrics}
    shown = {series: value for series, value in page.items() if series[0] in families}
    assert shown
    assert Scrape.of(done.stdout).values == shown


def test_a_failed_poll_is_said_with_its_reason(api: DemoApi) -> None:
    done = finished("poll", "queue", **settings(api, BLIND))
    assert done.returncode == 1
    assert done.stdout == ""
    assert "queue: " in done.stderr
    assert "ViewAccountMetrics" in done.stderr


def test_a_task_that_does_not_exist_is_refused_with_those_that_do(api: DemoApi) -> None:
    done = finished("poll", "quue", **settings(api))
    assert done.returncode == 2
    assert done.stderr.startswith("devin-exporter: no task 'quue'; there are: ")
    assert "queue" in done.stderr.rpartition("there are: ")[2].split(", ")
    missing = finished("poll", **settings(api))
    assert (missing.returncode, missing.stderr) == (
        2,
        "devin-exporter: poll wants the name of a task\n",
    )


def test_every_task_comes_after_those_it_depends_on_and_with_all_that_it_uses(
    api: DemoApi, clock: Clock
) -> None:
    with rig(api.url, clock) as polled:
        tasks = {task.name: task for task in polled.tasks}
    for name in tasks:
        order = [task.name for task in in_order_of_polls(tasks, name)]
        assert name in order
        assert len(set(order)) == len(order)
        for task in map(tasks.__getitem__, order):
            assert set(task.depends_on) <= set(order[: order.index(task.name)])
            assert set(task.republish_after) <= set(order)
