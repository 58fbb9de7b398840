"""The committed dashboards as Grafana would ask for them: variables, macros, steps."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from exporter.cli.catalogue import ROOT
from tests.support.prometheus import Labels, Prometheus

FOLDER = ROOT / "grafana" / "dashboards"
DASHBOARDS = tuple(sorted(FOLDER.glob("*.json")))
DAY = 86_400
BILLING_DAY_STARTS = 8 * 3_600
POINTS = 1_000
"""About as many as a panel is wide."""

Json = Mapping[str, "Json"] | list["Json"] | str | float | bool | None


def _table(value: object) -> Mapping[str, object]:
    assert isinstance(value, Mapping), value
    return value


def _list(value: object) -> list[object]:
    assert isinstance(value, list), value
    return value


@dataclass(frozen=True)
class Target:
    """One query of one panel."""

    dashboard: str
    panel: str
    ref: str
    expr: str
    legend: str
    instant: bool
    step: float
    time_from: float = 0
    """How far a panel looks back from now, whatever relative range is chosen; 0 for the range."""

    @property
    def name(self) -> tuple[str, str, str]:
        """What it is called in messages and lists."""
        return self.dashboard, self.panel, self.ref


@dataclass(frozen=True)
class Range:
    """A dashboard's time range, in Unix seconds."""

    start: float
    end: float
    relative: bool = True
    """Whether it is told from now on, as «Last 30 days» and «This month» are, not by dates."""

    @property
    def url(self) -> str:
        """As it stands in the address of a dashboard."""
        return "from=now-1d&to=now" if self.relative else f"from={self.start:.0f}&to={self.end:.0f}"

    @property
    def seconds(self) -> int:
        """As Grafana writes it."""
        return round(self.end - self.start)


@dataclass(frozen=True)
class Dashboard:
    """A committed dashboard."""

    path: Path

    @cached_property
    def model(self) -> Mapping[str, object]:
        """All of it."""
        return _table(json.loads(self.path.read_text(encoding="utf-8")))

    @property
    def uid(self) -> str:
        """Its identity."""
        return str(self.model["uid"])

    @property
    def panels(self) -> list[Mapping[str, object]]:
        """Its panels, rows aside."""
        panels = [_table(panel) for panel in _list(self.model["panels"])]
        return [panel for panel in panels if panel["type"] != "row"]

    @property
    def variables(self) -> list[Mapping[str, object]]:
        """Its variables, in their order."""
        templating = _table(self.model["templating"])
        return [_table(variable) for variable in _list(templating["list"])]

    @property
    def targets(self) -> Iterator[Target]:
        """Every query of every panel."""
        for panel in self.panels:
            for target in map(_table, _list(panel["targets"])):
                smallest = max(
                    _seconds(str(panel.get("interval", ""))),
                    _seconds(str(target.get("interval", ""))),
                )
                yield Target(
                    self.uid,
                    str(panel["title"]),
                    str(target["refId"]),
                    str(target["expr"]),
                    str(target.get("legendFormat", "")),
                    bool(target.get("instant")),
                    smallest,
                    _seconds(str(panel.get("timeFrom", ""))),
                )


def _macros(seen: Range) -> dict[str, str]:
    """Grafana's own variables of a range."""
    return {
        "__range": f"{seen.seconds}s",
        "__range_s": f"{seen.seconds}",
        "__from": f"{seen.start * 1000:.0f}",
        "__to": f"{seen.end * 1000:.0f}",
        "__from:date:seconds": f"{int(seen.start)}",
        "__to:date:seconds": f"{int(seen.end)}",
        "__url_time_range": seen.url,
    }


def _seconds(duration: str) -> float:
    units = {"": 0, "s": 1, "m": 60, "h": 3_600, "d": DAY}
    found = re.fullmatch(r"(\d*)([smhd]?)", duration)
    assert found, duration
    return float(found[1] or 0) * units[found[2]]


def column_names(panel: Mapping[str, object]) -> list[str]:
    """The fields that a table keeps, as they are named before they get titles."""
    names: list[str] = []
    for each in map(_table, _list(panel.get("transformations", []))):
        if each["id"] == "filterFieldsByName":
            include = _table(_table(each["options"])["include"])
            names += map(str, _list(include.get("names", [])))
    return names


def panel(uid: str, title: str, ref: str = "A") -> Target:
    """One query by its dashboard, panel and letter."""
    found = [
        target
        for target in Dashboard(FOLDER / f"{uid}.json").targets
        if (target.panel, target.ref) == (title, ref)
    ]
    assert len(found) == 1, (uid, title, ref)
    return found[0]


def interpolate(text: str, values: Mapping[str, str]) -> str:
    """Put the values of variables in, `$name` or `${name}`; an unknown one is an error."""
    return re.sub(
        r"\$(?:\{([\w:]+)\}|([A-Za-z_]\w*))", lambda found: values[found[1] or found[2]], text
    )


@dataclass(frozen=True)
class Viewer:
    """Somebody who looks at dashboards that stand on a Prometheus server."""

    prometheus: Prometheus
    range: Range
    job: str = "devin-exporter"
    organizations: tuple[str, ...] = ()
    """The chosen ones; none is All."""
    now: float | None = None
    """When they look; None is now."""

    def values(self, dashboard: Dashboard) -> dict[str, str]:
        """The variables of a dashboard with what is chosen, the first option otherwise."""
        chosen = {"datasource": "prometheus", **_macros(self.range)}
        for variable in dashboard.variables[1:]:
            name = str(variable["name"])
            options = self.options(variable, chosen)
            chosen[name] = next(iter(options), "")
            if name == "job" and self.job in options:
                chosen[name] = self.job
            if name == "org":
                assert set(self.organizations) <= set(options)
                chosen[name] = "|".join(self.organizations) or str(variable["allValue"])
        return chosen

    def options(self, variable: Mapping[str, object], values: Mapping[str, str]) -> dict[str, str]:
        """The options of a variable: texts by value."""
        query = interpolate(str(_table(variable["query"])["query"]), values)
        if found := re.fullmatch(r"label_values\((.*), (\w+)\)", query):
            told = self.prometheus.ask(
                f"label/{found[2]}/values",
                **{"match[]": found[1], "start": self.range.start, "end": self.range.end},
            )
            return {str(value): str(value) for value in _list(told)}
        found = re.fullmatch(r"query_result\((.*)\)", query)
        assert found, query
        pattern = re.sub(r"\(\?<", "(?P<", str(variable["regex"]).strip("/"))
        options = {}
        for labels, value in self.prometheus.instant(found[1], at=self.range.end).items():
            told = ",".join(f'{k}="{v}"' for k, v in sorted(labels))
            number = f"{value:.3f}".rstrip("0").rstrip(".")
            text = f"{{{told}}} {number} {self.range.end:.0f}"
            match = re.search(pattern, text)
            assert match, text
            groups = match.groupdict()
            options[groups.get("value", match[1])] = groups.get("text", match[1])
        return options

    def expression(self, target: Target, step: float, values: Mapping[str, str]) -> str:
        """A query as it is sent."""
        macros = {"__interval": f"{step:.0f}s", "__rate_interval": f"{max(60, step + 15):.0f}s"}
        return interpolate(target.expr, {**values, **_macros(self.range_of(target)), **macros})

    def range_of(self, target: Target) -> Range:
        """What a panel looks at: the range, or from some time ago to now."""
        if not target.time_from or not self.range.relative:
            return self.range
        now = self.now or self.range.end
        return Range(now - target.time_from, now)

    def step(self, target: Target) -> float:
        """The step of a query over time."""
        return max(target.step, self.range_of(target).seconds // POINTS, 15)

    def see(self, target: Target, values: Mapping[str, str]) -> dict[Labels, dict[float, float]]:
        """What a query answers: each series' values by moment."""
        step = self.step(target)
        query = self.expression(target, step, values)
        seen = self.range_of(target)
        if target.instant:
            told = self.prometheus.instant(query, at=seen.end)
            return {labels: {seen.end: value} for labels, value in told.items()}
        start, end = seen.start, seen.end
        if step % DAY == 0:
            start, end = (
                (moment - BILLING_DAY_STARTS) // step * step + BILLING_DAY_STARTS
                for moment in (start, end)
            )
        else:
            # The last moment is the range's end, as the exporter has run for a minute only.
            start = end - (end - start) // step * step
        return self.prometheus.course(query, start=start, end=end, step=step)
