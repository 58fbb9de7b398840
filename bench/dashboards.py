"""The dashboards' queries on a large enterprise: the slowest of them, on this machine.

`PYTHONPATH=.:tests python bench/dashboards.py [organizations users]`: 90 days with a sample every
60 s (the recording rule's every 15 minutes) are written as blocks by `bench/blocks`, which needs
Go; then every query is asked with All and with one organization, over 30 and over 90 days, three
times, of which the median counts; and every rule once, as Prometheus does every minute.
"""

import json
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from statistics import median
from typing import IO

from prometheus_client.parser import text_string_to_metric_families

from exporter.demo.endpoints import GATEWAY, V2, DemoKey
from exporter.demo.people import Size
from exporter.demo.world import World
from exporter.sources.devin.billing.windows import DAY, billing_day, billing_day_start, day_number
from tests.grafana.panels import DASHBOARDS, Dashboard, Range, Viewer
from tests.grafana.queries import rules
from tests.support.processes import running
from tests.support.prometheus import Prometheus, find, prometheus
from tests.support.rig import KEY, Clock, simulated_api

DAYS = 90
EVERY_SECONDS, RECORDED_EVERY_SECONDS = 60, 900
KNOWN_AFTER_SECONDS = 600
TEAMS_EACH = 125
"""The simulated gateway has 8 teams: each is written so many times."""
OF_USERS_DAYS = 3
"""How far other series of users go back: no query reads more than hours of them."""

SWEPT = 'devin_exporter_unattributed_cycle_acus{scope="users"}'
PATIENCE = 10
TRIES = 3
BOUND_SECONDS = {30: 1.0, 90: 3.0}
SLOWEST_SHOWN = 12
RULES_BOUND_SECONDS = 3.0
SLOWEST_RULES_SHOWN = 6
MOST_SERIES = 100
"""Of one query, unless there are more organizations than that."""

TARGET = {"job": "devin-exporter", "instance": "devin-exporter"}
RECORDED = "user:devin_consumption_yesterday_acus:sum"
V2_KEY, GATEWAYS_TOKEN = "apk_user_of_the_bench", "aione_of_the_bench"
KEYS = {KEY: DemoKey(), V2_KEY: DemoKey(api=V2), GATEWAYS_TOKEN: DemoKey(api=GATEWAY)}
Labels = Mapping[str, str]
Days = Mapping[int, float]


def scraped(size: Size, now: float) -> tuple[World, str]:
    """The simulated enterprise, and the page of an exporter that has read all of it."""
    with (
        simulated_api(size, Clock(now), keys=KEYS) as (world, api),
        tempfile.TemporaryDirectory() as folder,
        running(
            Path(folder),
            DEVIN_API_URL=api.url,
            DEVIN_SERVICE_USER_TOKEN=KEY,
            DEVIN_REQUESTS_PER_SECOND="10000",
            DEVIN_ACU_PRICE="2.25",
            DEVIN_ACU_POOL="100000",
            DEVIN_V2_API_KEY=V2_KEY,
            AIONE_API_URL=api.url,
            AIONE_TOKEN=GATEWAYS_TOKEN,
        ) as exporter,
    ):
        for left in reversed(range(PATIENCE)):
            try:
                return world, exporter.until(SWEPT)
            except AssertionError:
                if not left:
                    raise
    raise AssertionError


def ledger(world: World, now: float) -> Iterator[tuple[str, Labels, Days]]:
    """The daily figures of every series that shows the last complete day."""
    today = day_number(billing_day(now).start)
    days = range(today - DAYS, today)

    def told(
        metric: str, uses: Mapping[int, Mapping[str, float]], **labels: str
    ) -> Iterator[tuple[str, Labels, Days]]:
        by_product: defaultdict[str, dict[int, float]] = defaultdict(dict)
        for day, use in uses.items():
            for name, acus in use.items():
                by_product[name][day] = acus
        for name, acus_by_day in by_product.items():
            yield metric, {**labels, "product": name}, acus_by_day

    yield from told("devin_consumption_yesterday_acus", world.consumption(days, now))
    for number, (org_id, _) in enumerate(world.organizations):
        uses = world.consumption(days, now, org=number)
        yield from told("devin_organization_consumption_yesterday_acus", uses, org_id=org_id)
    for person in world.people:
        uses = world.personal_consumption(person, days, now)
        key = "service_user_id" if person.service else "user_id"
        metric = f"devin_{key.removesuffix('_id')}_consumption_yesterday_acus"
        yield from told(metric, uses, **{key: person.id})
        if not person.service:
            sums = {day: sum(use.values()) for day, use in uses.items()}
            yield RECORDED, {"user_id": person.id}, sums


def line(name: str, labels: Labels, stretches: list[tuple[float, float, float]]) -> str:
    """A series as `bench/blocks` reads it."""
    recorded = ":" in name
    target = {"job": TARGET["job"]} if recorded else TARGET
    return json.dumps(
        {
            "Labels": {"__name__": name, **target, **labels},
            "Every": 1_000 * (RECORDED_EVERY_SECONDS if recorded else EVERY_SECONDS),
            "Stretches": [
                {"Start": int(start * 1_000), "End": int(end * 1_000), "Value": value}
                for start, end, value in stretches
            ],
        }
    )


def many_teams(labels: Labels) -> list[Labels]:
    """A team's labels once for each of as many teams; others as they are."""
    if "team_id" not in labels:
        return [labels]
    return [
        {name: f"{text}-{number}" for name, text in labels.items()} for number in range(TEAMS_EACH)
    ]


def write(world: World, page: str, now: float, to: IO[str]) -> int:
    """Every series with its past: days as they were, all else as it is now."""
    series = 0
    for name, labels, by_day in ledger(world, now):
        stretches = [
            (
                billing_day_start(day + 1) + KNOWN_AFTER_SECONDS,
                min(billing_day_start(day + 2), now),
                acus,
            )
            for day, acus in by_day.items()
        ]
        to.write(line(name, labels, stretches) + "\n")
        series += 1
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.name.endswith("consumption_yesterday_acus"):
                continue
            of_users = bool({"user_id", "service_user_id"} & sample.labels.keys())
            since = now - DAY * (OF_USERS_DAYS if of_users else DAYS)
            for labels in many_teams(sample.labels):
                to.write(line(sample.name, labels, [(since, now, sample.value)]) + "\n")
                series += 1
    return series


def measure(binary: str, folder: Path, world: World, now: float) -> bool:
    """Ask every query, print the slowest, and tell whether all keep to their bounds."""
    org_id, _ = world.organizations[0]
    seconds: dict[tuple[int, str, tuple[str, str, str]], float] = {}
    widest = 0
    with prometheus(binary, folder, "global: {}") as server:
        quick_rules = measure_rules(server, now)
        for days, chosen, path in product(BOUND_SECONDS, ((), (org_id,)), DASHBOARDS):
            dashboard = Dashboard(path)
            seen = Viewer(server, Range(now - days * DAY, now), organizations=chosen)
            values = seen.values(dashboard)
            for target in dashboard.targets:
                took = []
                for _ in range(TRIES):
                    began = time.monotonic()
                    told = seen.see(target, values)
                    took.append(time.monotonic() - began)
                    widest = max(widest, len(told))
                scope = "one organization" if chosen else "All"
                seconds[days, scope, target.name] = median(took)
    version = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True)
    print(re.sub(r"\s.*", "", version.stdout.partition("version ")[2]), f"widest: {widest} series")
    slowest = sorted(seconds, key=lambda name: -seconds[name])
    for days, bound in BOUND_SECONDS.items():
        print(f"{days} days, bound {bound} s | scope | median of {TRIES}")
        for name in [each for each in slowest if each[0] == days][:SLOWEST_SHOWN]:
            _, scope, target_name = name
            print(f"{' / '.join(target_name)} | {scope} | {seconds[name]:.2f} s")
    quick = all(took <= BOUND_SECONDS[days] for (days, _, _), took in seconds.items())
    return quick and quick_rules and widest <= max(MOST_SERIES, len(world.organizations))


def measure_rules(server: Prometheus, now: float) -> bool:
    """Evaluate every shipped rule, and tell whether all together keep to their bound."""
    seconds: dict[str, float] = {}
    for number, rule in enumerate(rules()):
        took = []
        for _ in range(TRIES):
            began = time.monotonic()
            server.instant(rule["expr"], at=now)
            took.append(time.monotonic() - began)
        seconds[f"{rule.get('alert') or rule['record']} ({number + 1})"] = median(took)
    total = sum(seconds.values())
    print(f"{len(seconds)} rules, bound {RULES_BOUND_SECONDS} s | median of {TRIES}: {total:.2f} s")
    for name in sorted(seconds, key=lambda name: -seconds[name])[:SLOWEST_RULES_SHOWN]:
        print(f"{name} | {seconds[name]:.2f} s")
    return total <= RULES_BOUND_SECONDS


def main() -> None:
    """Write the blocks once, and ask each Prometheus that is there."""
    organizations, users = [int(word) for word in sys.argv[1:]] or [100, 1_000]
    now = time.time()
    world, page = scraped(Size(organizations=organizations, users=users, days=DAYS + 30), now)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        with subprocess.Popen(
            ["go", "run", ".", str(folder / "data")],
            cwd=Path(__file__).parent / "blocks",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as blocks:
            assert blocks.stdin is not None
            assert blocks.stdout is not None
            series = write(world, page, now, blocks.stdin)
            blocks.stdin.close()
            print(f"{series} series, {int(blocks.stdout.read()) / 1e6:.0f} million samples")
        binaries = [find("prometheus", newer=newer) for newer in (False, True)]
        kept = [measure(binary, folder, world, now) for binary in binaries if binary]
        if not all(kept):
            sys.exit("a query is slower or wider than its bound")


main()
