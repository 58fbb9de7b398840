"""Two exporters as documented: one is killed, and neither a figure nor an alert notices."""

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from exporter.demo.people import DAY, DAY_START
from exporter.demo.world import billing_day
from tests.e2e.alertmanager import Webhook, alertmanager, webhook
from tests.support import loopback
from tests.support.environment import SIZE
from tests.support.processes import Running, running
from tests.support.prometheus import CONFIGURATION, ROOT, RULES, Prometheus, find, prometheus
from tests.support.rig import KEY, Clock, simulated_api

PAGE = (ROOT / "docs" / "operate" / "replicas.md").read_text(encoding="utf-8")
HALF_PAST = 21 * 3_600 + 30 * 60
"""Into the billing day: the queue has swollen."""
CHAINED = 3
"""How often all rules are evaluated before each has seen what the others record."""
OF_REPLICAS = {"instance", "pod", "endpoint"}
OF_THE_PROCESS = re.compile(r"(process|python|scrape|up|go|prometheus|net|ALERTS)($|_)")
SETTINGS = {"DEVIN_SERVICE_USER_TOKEN": KEY, "DEVIN_REQUESTS_PER_SECOND": "500",
            "DEVIN_POLL_INTERVAL": "2"}  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """Both exporters, and what sees them."""

    exporters: tuple[Running, Running]
    server: Prometheus
    alerts: str
    hook: Webhook

    def firing(self) -> list[dict[str, str]]:
        """The labels of each alert that Alertmanager has."""
        told = loopback.get(f"http://{self.alerts}/api/v2/alerts").json()
        return sorted((each["labels"] for each in told), key=str)


def documented(first: str, second: str) -> str:
    """The scrape job of the page, for two addresses here."""
    (block,) = re.findall(r"(?ms)^```yaml\n(scrape_configs:.*?)^```", PAGE)
    for shipped, here in (("exporter-0.example:9877", first), ("exporter-1.example:9877", second)):
        assert shipped in block
        block = block.replace(shipped, here)
    return str(block)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    binary = find("prometheus", newer=False)
    of_alertmanager = find("prometheus-alertmanager", newer=False)
    if binary is None or of_alertmanager is None:
        pytest.skip("prometheus or alertmanager is missing: `make test` brings them by apt")
    clock = Clock(billing_day(time.time()) * DAY + DAY_START + HALF_PAST)
    with simulated_api(SIZE, clock) as (_, api), ExitStack() as stack:
        exporters = []
        for name in ("0", "1"):
            folder = tmp_path / name
            folder.mkdir()
            settings = SETTINGS | {"DEVIN_API_URL": api.url, "STATE_DIR": str(folder / "state")}
            exporter = stack.enter_context(running(folder, **settings))
            exporter.until('devin_exporter_task_up{task="user_consumption"} 1')
            exporters.append(exporter)
        hook = stack.enter_context(webhook())
        address = stack.enter_context(alertmanager(of_alertmanager, tmp_path, hook))
        rules = RULES.read_text(encoding="utf-8")
        for of_rules, seconds in (("for", 0), ("interval", 1)):
            rules = re.sub(rf"(?m)^( +{of_rules}:) \w+$", rf"\g<1> {seconds}s", rules)
        (tmp_path / "rules.yml").write_text(rules, encoding="utf-8")
        targets = [each.url.removeprefix("http://") for each in exporters]
        shipped = yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8"))
        shipped["global"] = dict.fromkeys(
            ("scrape_interval", "scrape_timeout", "evaluation_interval"), "1s"
        )
        del shipped["scrape_configs"]
        configuration = yaml.safe_dump(shipped).replace("alertmanager:9093", address)
        text = f"{configuration}{documented(*targets)}".replace("localhost", "127.0.0.1")
        server = stack.enter_context(prometheus(binary, tmp_path, text))
        first, second = exporters
        yield Pair((first, second), server, address, hook)


def families(server: Prometheus) -> list[str]:
    """The names of all that the exporters publish about use and cost, and of what rules record."""
    told = server.instant('group by (__name__) ({__name__=~".+"})')
    names = {dict(labels)["__name__"] for labels in told}
    return sorted(name for name in names if not OF_THE_PROCESS.match(name))


def test_one_is_killed_and_no_figure_has_a_gap_and_no_alert_comes_twice(pair: Pair) -> None:
    server = pair.server
    server.until("count(devin_consumption_today_acus{product='devin'}) == 2")
    pair.hook.until("firing", alertname="DevinQueueHigh")
    server.until("sum_over_time(devin_queue_size{pod='0'}[10s] @ end()) > 0")
    for _ in range(CHAINED):
        server.until_rules_are_evaluated()
    alerts, names = pair.firing(), families(server)
    assert [each for each in alerts if OF_REPLICAS & each.keys() - {"instance"}] == []
    assert len({str(each) for each in alerts}) == len(alerts)
    about_use = [name for name in names if not name.startswith("devin_exporter_")]
    assert len(about_use) > 40
    killed = time.time()
    pair.exporters[0].process.kill()
    server.until("sum_over_time((1 - up{pod='0'})[30s:1s]) >= 8")
    end = time.time() - 1
    for name in about_use:
        query = f'max without (instance, pod, endpoint) ({{__name__="{name}"}})'
        course = server.course(query, start=killed - 2, end=end, step=1)
        moments = {moment for points in course.values() for moment in points}
        assert course, name
        for labels, points in course.items():
            assert points.keys() == moments, labels
            assert not OF_REPLICAS & dict(labels).keys()
        assert max(moments) - min(moments) >= 6
    assert families(server) == names
    assert pair.firing() == alerts
    assert pair.hook.of("resolved", alertname="DevinQueueHigh") == []


def test_the_page_has_the_pair_as_the_chart_does() -> None:
    job = yaml.safe_load(documented("a:1", "b:1"))["scrape_configs"][0]
    labels = [each["labels"] for each in job["static_configs"]]
    assert {each["instance"] for each in labels} == {job["job_name"]} == {"devin-exporter"}
    assert len({each["pod"] for each in labels}) == 2
    assert "`DEVIN_REQUESTS_PER_SECOND=5`" in PAGE
