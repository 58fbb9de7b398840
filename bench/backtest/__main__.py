"""Four months of ordinary life, and what the alerts on spend make of it.

`python -m bench.backtest [seed ...]`: the 120 days to the end of January 2026
of an invented enterprise (weekends, Thanksgiving, Christmas, month ends, growth, people who join,
restated days), with incidents injected into some of them, are written into a real Prometheus as an
exporter would have published them. The shipped rules' records are made of them layer by layer, then
the alerts are asked for as range queries, and `for` is applied here. Ends with an error if an alert
fires on a day without an incident, or an incident is missed.
"""

import math
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, cast

import yaml

from bench.backtest.simulation import END, TARGET, Enterprise, Incident, date, published
from exporter.demo.people import DAY
from exporter.demo.world import billing_day, end_of
from tests.grafana.queries import Rule, rules
from tests.support.prometheus import Prometheus, find, make_blocks, prometheus

STEP = 300
MOST_POINTS = 10_000
LOOKBACK = "16m"
POOL_TO_SPARE = 1.15
JUDGED = ("DevinAcuSpike", "DevinPoolForecastExceeded", "DevinPoolExhausted")


def write(enterprise: Enterprise, pool: float, folder: Path) -> Path:
    """The samples as OpenMetrics text, each metric's together."""
    with ExitStack() as stack:
        files: dict[str, TextIO] = {}
        for moment, metric, labels, value in published(enterprise, pool):
            if metric not in files:
                files[metric] = stack.enter_context((folder / metric).open("w", encoding="utf-8"))
                files[metric].write(f"# TYPE {metric} gauge\n")
            text = ",".join(f'{name}="{told}"' for name, told in (*TARGET, *labels))
            files[metric].write(f"{metric}{{{text}}} {_number(value)} {moment:.0f}\n")
    history = folder / "history.om"
    with history.open("w", encoding="utf-8") as out:
        for metric in files:
            out.write((folder / metric).read_text(encoding="utf-8"))
            (folder / metric).unlink()
        out.write("# EOF\n")
    return history


def _number(value: float) -> str:
    return "NaN" if math.isnan(value) else repr(value)


def layers() -> Iterator[list[Rule]]:
    """The shipped records, those that read others after them."""
    left = [rule for rule in rules() if "record" in rule]
    while left:
        waiting = {rule["record"] for rule in left}
        ready = [rule for rule in left if not any(name in rule["expr"] for name in waiting)]
        assert ready, "records that read each other"
        yield ready
        left = [rule for rule in left if rule not in ready]


def record(binary: str, promtool: str, folder: Path, since: float) -> None:
    """Record what the shipped rules record, for all of the past."""
    for layer in layers():
        file = folder / "layer.yml"
        file.write_text(yaml.safe_dump({"groups": [{"name": "layer", "rules": list(layer)}]}))
        with serving(binary, folder) as server:
            subprocess.run(
                [
                    promtool, "tsdb", "create-blocks-from", "rules", "--max-block-duration=744h",
                    "--eval-interval=15m", f"--url={server.url}", f"--start={since:.0f}",
                    f"--end={END:.0f}", f"--output-dir={folder / 'data'}", str(file),
                ],
                check=True,
                capture_output=True,
            )  # fmt: skip


def serving(binary: str, folder: Path) -> AbstractContextManager[Prometheus]:
    """A server that looks back far enough for samples every quarter of an hour."""
    return prometheus(binary, folder, "global: {}", flags=[f"--query.lookback-delta={LOOKBACK}"])


@dataclass(frozen=True)
class Firing:
    """An alert that fired, from its first moment to its last, in Unix seconds."""

    alert: str
    labels: Mapping[str, str]
    start: float
    end: float
    value: float
    """The highest."""


def seconds(duration: str) -> float:
    """Of a rule's `for`."""
    found = re.fullmatch(r"(\d+)([mh])", duration)
    assert found
    return int(found[1]) * {"m": 60, "h": 3_600}[found[2]]


def firings(server: Prometheus, rule: Mapping[str, str], since: float) -> Iterator[Firing]:
    """When an alert fired."""
    held = seconds(rule["for"])
    points: defaultdict[frozenset[tuple[str, str]], dict[float, float]] = defaultdict(dict)
    start = since
    while start < END:
        end = min(start + (MOST_POINTS - 1) * STEP, END)
        for labels, course in server.course(rule["expr"], start=start, end=end, step=STEP).items():
            points[labels] |= course
        start = end + STEP
    for labels, moments in points.items():
        begun = before = min(moments)
        for moment in (*sorted(moments), math.inf):
            if moment - before > STEP:
                if before - begun >= held:
                    told = {**dict(labels), **cast("Mapping[str, str]", rule["labels"])}
                    highest = max(moments[m] for m in moments if begun <= m <= before)
                    yield Firing(rule["alert"], told, begun + held, before, highest)
                begun = moment
            before = moment


def causes(enterprise: Enterprise, firing: Firing) -> list[Incident]:
    """The incidents that a firing may rightly be about."""
    day = billing_day(firing.start)
    scope, labels = firing.labels.get("scope"), firing.labels
    people = {person.id: person for person in enterprise.people}
    found = []
    for incident in enterprise.injected:
        if firing.alert != "DevinAcuSpike":
            cycle_end = next(
                end for start, end in enterprise.cycles(END) if start <= firing.start < end
            )
            in_mean = incident.days.start <= day <= incident.days.stop + 7
            surged = incident.is_surge and incident.days.start <= day < billing_day(cycle_end)
            if in_mean or surged:
                found.append(incident)
        elif day in incident.days:
            who = people.get(labels.get("user_id", labels.get("service_user_id", "")))
            its_orgs = {p.org for p in enterprise.people if incident.befalls(p)}
            org = [org_id for org_id, _ in enterprise.organizations]
            if (
                scope == "enterprise"
                or (scope == "organization" and org.index(labels["org_id"]) in its_orgs)
                or (who is not None and incident.befalls(who))
            ):
                found.append(incident)
    return found


def wanted(incident: Incident) -> tuple[str, str]:
    """The alert, and the scope, that must catch an incident."""
    if incident.is_surge:
        return "DevinPoolForecastExceeded", ""
    if incident.person is not None:
        return "DevinAcuSpike", "service_user" if "service" in incident.what else "user"
    return "DevinAcuSpike", "organization" if incident.org is not None else "enterprise"


def report(enterprise: Enterprise, pool: float, fired: list[Firing]) -> int:
    """Print both tables; gives how many alerts were false and incidents missed."""
    caught: defaultdict[Incident, list[Firing]] = defaultdict(list)
    false = []
    for firing in fired:
        about = causes(enterprise, firing)
        for incident in about:
            caught[incident].append(firing)
        if not about:
            false.append(firing)
    missed = 0
    print(f"{'incident':<46} {'days':<22} caught by (after the start of the day)")
    for incident in enterprise.injected:
        alert, scope = wanted(incident)
        by = sorted(caught[incident], key=lambda firing: firing.start)
        is_caught = any(f.alert == alert and f.labels.get("scope", "") == scope for f in by)
        missed += not is_caught
        told = ", ".join(dict.fromkeys(_short(firing, incident) for firing in by[:6]))
        last = f" to {date(incident.days[-1])}" if len(incident.days) > 1 else ""
        when = date(incident.days[0]) + last
        print(f"{incident.what:<46} {when:<24} {told}{'' if is_caught else ' MISSED'}")
    days = range(enterprise.first, billing_day(END))
    with_any = {day for incident in enterprise.injected for day in incident.days}
    print(
        f"{len(days)} days, {len(set(days) - with_any)} of them without an incident; "
        f"a pool of {pool:.0f} ACUs"
    )
    print(f"{len(fired)} alerts; false: {len(false)}; incidents missed: {missed}")
    for firing in false:
        labels = {k: v for k, v in firing.labels.items() if k.endswith("_id") or k == "scope"}
        day = billing_day(firing.start)
        after = (firing.start - end_of(day - 1)) / 3_600
        told = f"{date(day)} {after:.1f} h, up to {firing.value:.1f} ACUs"
        print(f"  FALSE {firing.alert} {labels} {told}")
    return len(false) + missed


def _short(firing: Firing, incident: Incident) -> str:
    after = firing.start - end_of(incident.days[0] - 1)
    name = firing.labels.get("scope", firing.alert.removeprefix("DevinPool"))
    return f"{name} {after / 3_600:.1f} h"


def live(seed: int) -> int:
    """One such life; gives the number of mistakes."""
    binary, promtool = find("prometheus", newer=False), find("promtool", newer=False)
    if binary is None or promtool is None:
        sys.exit("prometheus and promtool are wanted on the PATH")
    enterprise = Enterprise(seed)
    cycles = [
        range(billing_day(start), billing_day(end))
        for start, end in enterprise.cycles(END)
        if billing_day(start) >= enterprise.founded and end <= END + 7 * DAY
    ]
    pool = POOL_TO_SPARE * max(enterprise.total(days, enterprise.ordinary) for days in cycles)
    since = end_of(enterprise.first - 1)
    people, organizations = len(enterprise.people), len(enterprise.organizations)
    print(f"seed {seed}: {people} people, {organizations} organizations")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        history = write(enterprise, pool, folder)
        make_blocks(history, folder / "data", promtool=promtool)
        history.unlink()
        record(binary, promtool, folder, since)
        with serving(binary, folder) as server:
            fired = [
                firing
                for rule in rules()
                if rule.get("alert") in JUDGED
                for firing in firings(server, rule, since)
            ]
    return report(enterprise, pool, fired)


if __name__ == "__main__":
    seeds = [int(argument) for argument in sys.argv[1:]] or [1]
    sys.exit(1 if sum([live(seed) for seed in seeds]) else 0)
