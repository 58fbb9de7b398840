"""Notifications of the shipped rules, through a real Prometheus and a real Alertmanager."""

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from exporter.demo.people import DAY, DAY_START
from exporter.demo.world import World, billing_day
from tests.e2e.alertmanager import Notified, Webhook, alertmanager, webhook
from tests.support.environment import SIZE
from tests.support.processes import finished, running
from tests.support.prometheus import (
    CONFIGURATION,
    RULES,
    find,
    make_blocks,
    prometheus,
    record_history,
)
from tests.support.rig import KEY, Clock, simulated_api

DAYS = 30
HALF_PAST = 21 * 3_600 + 30 * 60
"""Into the billing day: when its work is done, and the queue has swollen."""
MORNING = 120


@dataclass(frozen=True)
class Watch:
    """A simulated API whose clock is set by hand, and a webhook per version of Prometheus."""

    world: World
    clock: Clock
    day: int
    hooks: dict[str, Webhook]


@pytest.fixture(scope="module")
def watch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    """Both versions of Prometheus at once, as waiting takes most of the time."""
    binaries = {
        version: find("prometheus", newer=version == "newer") for version in ("stable", "newer")
    }
    of_alertmanager = find("prometheus-alertmanager", newer=False)
    promtool = find("promtool", newer=False)
    if of_alertmanager is None or promtool is None or None in binaries.values():
        pytest.skip("a prometheus or alertmanager is missing: `make test` brings them by apt")
    now = time.time()
    day = billing_day(now)
    clock = Clock(day * DAY + DAY_START + MORNING)
    with simulated_api(SIZE, clock) as (world, api), ExitStack() as stack:
        settings = {
            "DEVIN_API_URL": api.url,
            "DEVIN_SERVICE_USER_TOKEN": KEY,
            "DEVIN_REQUESTS_PER_SECOND": "1000",
        }
        folder = tmp_path_factory.mktemp("exporter")
        history = folder / "history.om"
        ended = finished("backfill", f"--days={DAYS}", f"--output={history}", **settings)
        assert ended.returncode == 0, ended.stderr
        exporter = stack.enter_context(running(folder, **settings, DEVIN_POLL_INTERVAL="2"))
        exporter.until('devin_exporter_task_up{task="user_consumption"} 1')
        target = exporter.url.removeprefix("http://").replace("localhost", "127.0.0.1")
        hooks = {}
        for version, binary in binaries.items():
            assert binary is not None
            folder = tmp_path_factory.mktemp(version)
            make_blocks(history, folder / "data", promtool=promtool)
            record_history(binary, folder, promtool=promtool, since=now - DAYS * DAY)
            hooks[version] = hook = stack.enter_context(webhook())
            stack.enter_context(notifying(binary, folder, target, of_alertmanager, hook))
        yield Watch(world, clock, day, hooks)


@contextmanager
def notifying(
    binary: str, folder: Path, target: str, of_alertmanager: str, hook: Webhook
) -> Iterator[None]:
    """The shipped files, with nothing changed but addresses and how long an alert is held back."""
    rules = re.sub(r"(?m)^( +for:) \w+$", r"\1 0s", RULES.read_text(encoding="utf-8"))
    (folder / "rules.yml").write_text(rules, encoding="utf-8")
    configuration = CONFIGURATION.read_text(encoding="utf-8").replace("exporter:9877", target)
    with alertmanager(of_alertmanager, folder, hook) as address:
        configuration = configuration.replace("alertmanager:9093", address)
        with prometheus(binary, folder, configuration):
            yield


def acus_of(watch: Watch, person: int, day: int, at: float) -> float:
    """ACUs of a person on a day, over all products."""
    told = watch.world.personal_consumption(watch.world.people[person], range(day, day + 1), at)
    return sum(told.get(day, {}).values())


def test_a_high_queue_and_a_runaway_user_are_notified_by_name_and_resolve(watch: Watch) -> None:
    start = watch.clock.now - MORNING
    runaway = watch.world.population.runaway
    watch.clock.now = start + HALF_PAST
    queue = watch.world.queue_size(watch.clock.now)
    today = acus_of(watch, runaway.index, watch.day, watch.clock.now)
    weeks = [acus_of(watch, runaway.index, watch.day - 7 * n, start) for n in (1, 2, 3, 4)]
    *_, usual, _ = sorted(weeks)
    assert today > 2 * usual
    for version, hook in watch.hooks.items():
        high = hook.until("firing", alertname="DevinQueueHigh")
        assert high.receiver == "/on-call", version
        assert high.annotations["description"].startswith(f"{queue} sessions wait to start")
        spike = hook.until("firing", alertname="DevinAcuSpike", scope="user")
        assert_tells(spike, runaway.name, today, usual)
        assert spike.labels["user_id"] == runaway.id
    watch.clock.now = start + MORNING
    for version, hook in watch.hooks.items():
        assert hook.until("resolved", alertname="DevinQueueHigh").receiver == "/on-call", version
        resolved = hook.until("resolved", alertname="DevinAcuSpike", scope="user")
        assert resolved.labels["user_id"] == runaway.id
        spikes = {spent_by(alert) for alert in hook.of("firing", alertname="DevinAcuSpike")}
        org_id, _ = watch.world.organizations[runaway.org]
        assert runaway.id in spikes
        assert spikes <= {runaway.id, org_id, "enterprise"}
        assert not hook.of("firing", alertname="DevinQueueElevated"), "High silences it"


def spent_by(spike: Notified) -> str:
    """Whose use a spike is about."""
    return spike.labels.get("user_id") or spike.labels.get("org_id") or spike.labels["scope"]


def assert_tells(spike: Notified, name: str, today: float, usual: float) -> None:
    """The name and the figures, with one decimal each."""
    description = spike.annotations["description"]
    told = re.fullmatch(
        r"(.*) used ([\d.]+) ACUs in the running billing day so far, (.*)", description
    )
    assert told is not None, description
    assert told[1] == name
    assert float(told[2]) == pytest.approx(today, abs=0.051)
    if usual:
        against = re.fullmatch(
            r"against ([\d.]+) on the second busiest such weekday of the last four weeks\.", told[3]
        )
        assert against is not None, description
        assert float(against[1]) == pytest.approx(usual, abs=0.051)
    else:
        assert told[3] == "and no such weekday of the last four weeks is known."
