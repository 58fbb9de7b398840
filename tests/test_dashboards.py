"""The dashboards as committed: current, well formed, and asking for nothing that is not there."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import combinations, zip_longest
from pathlib import Path
from typing import get_type_hints

import promql_parser as promql
import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard as Model
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig
from panels import DASHBOARDS, FOLDER, Dashboard, Target, interpolate
from pydantic import TypeAdapter, ValidationError

from exporter.catalogue import PUBLISHED, ROOT
from grafana import house
from grafana.build import documents, main
from grafana.house import BILLING_DAY, BILLING_TIMEZONE, TAG

RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
DEPRECATED = {"graph", "singlestat", "table-old", "grafana-worldmap-panel", "heatmap-old"}
OF_PROMETHEUS = {
    "up": set[str](),
    "scrape_duration_seconds": set[str](),
    "scrape_samples_scraped": set[str](),
    "process_resident_memory_bytes": set[str](),
}
OF_TARGETS = {"job", "instance"}
MACROS = {
    "__range": "604800s",
    "__to": "1764000000000",
    "__interval": "60s",
    "__rate_interval": "75s",
    "job": "devin-exporter",
    "total": "devin-exporter",
    "org": ".*",
    "person": "somebody",
}

boards = pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)


def test_committed_dashboards_are_what_the_code_builds(tmp_path: Path) -> None:
    main(tmp_path)
    built = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert built == documents()
    committed = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}
    assert committed == built, "run `make generate`"


@boards
def test_a_dashboard_keeps_to_grafanas_schema(path: Path) -> None:
    register_default_plugins()
    told = json.loads(path.read_text(encoding="utf-8"))
    model = Model.from_json(told)
    assert not list(wrong_types(model, path.stem))
    understood = json.loads(json.dumps(model, cls=JSONEncoder))
    assert not list(lost(told, understood, path.stem)), "the schema does not have these fields"


def wrong_types(model: object, where: str) -> Iterator[str]:
    """Every attribute, at any depth, that is not of the type that the schema gives it."""
    for name, hint in get_type_hints(type(model)).items():
        held = getattr(model, name)
        if name == "transformations" and held:  # the library leaves them as they were
            held = [DataTransformerConfig.from_json(each) for each in held]
        try:
            TypeAdapter(hint, config={"arbitrary_types_allowed": True}).validate_python(held)
        except ValidationError as error:
            yield f"{where}.{name}: {error}"
        for index, each in enumerate(held if isinstance(held, list) else [held]):
            if type(each).__module__.startswith("grafana_foundation_sdk.models"):
                yield from wrong_types(each, f"{where}.{name}.{index}")


def lost(told: object, understood: object, where: str) -> Iterator[str]:
    """Everything that is not there, or not the same, after reading by the schema."""
    if isinstance(told, dict) and isinstance(understood, dict):
        for key, value in told.items():
            yield from lost(value, understood.get(key), f"{where}.{key}")
    elif isinstance(told, list) and isinstance(understood, list):
        for index, (one, other) in enumerate(zip_longest(told, understood)):
            yield from lost(one, other, f"{where}.{index}")
    elif told != understood:
        yield f"{where}: {told!r} became {understood!r}"


def test_what_is_against_the_schema_is_found() -> None:
    register_default_plugins()
    told = json.loads(DASHBOARDS[0].read_text(encoding="utf-8"))
    told["panels"][0]["gridPos"]["w"] = "wide"
    told["panels"][1]["tilte"] = "misspelt"
    model = Model.from_json(told)
    (wrong,) = wrong_types(model, "it")
    assert wrong.startswith("it.panels.0.grid_pos.0.w: ")
    understood = json.loads(json.dumps(model, cls=JSONEncoder))
    assert list(lost(told, understood, "it")) == ["it.panels.1.tilte: 'misspelt' became None"]


def test_every_dashboard_has_an_identity_of_its_own() -> None:
    models = [Dashboard(path).model for path in DASHBOARDS]
    assert len(models) == 6
    for key in ("uid", "title"):
        assert len({model[key] for model in models}) == len(models)
    assert all(Dashboard(path).uid == path.stem for path in DASHBOARDS)


@boards
def test_a_dashboard_can_be_imported_and_keeps_the_vendors_days(path: Path) -> None:
    dashboard = Dashboard(path)
    assert "id" not in dashboard.model
    assert dashboard.model["timezone"] == BILLING_TIMEZONE
    assert dashboard.model["tags"] == [TAG]
    assert [v["name"] for v in dashboard.variables[:2]] == ["datasource", "job"]
    datasources = re.findall(r'"uid": "([^"]*)"', path.read_text(encoding="utf-8"))
    assert set(datasources) == {"${datasource}", path.stem}
    (link,) = json.loads(path.read_text(encoding="utf-8"))["links"]
    assert (link["includeVars"], link["keepTime"], link["tags"]) == (True, True, [TAG])


@boards
def test_every_panel_says_what_it_shows(path: Path) -> None:
    dashboard = Dashboard(path)
    titles = Counter(str(panel["title"]) for panel in dashboard.panels)
    assert max(titles.values()) == 1
    queries = {title: [t.expr for t in dashboard.targets if t.panel == title] for title in titles}
    for panel in dashboard.panels:
        title, description = str(panel["title"]), str(panel["description"])
        defaults = panel["fieldConfig"]["defaults"]  # type: ignore[index]
        assert panel["type"] not in DEPRECATED
        assert len(description) > 10, title
        assert description.endswith("."), title
        assert defaults["unit"], title
        assert defaults["noValue"], title
        billed = any(re.search(r"_(today|yesterday|cycle)\b", expr) for expr in queries[title])
        assert billed <= (BILLING_DAY in description), title


@boards
def test_panels_fill_the_grid_without_overlap(path: Path) -> None:
    places = [panel["gridPos"] for panel in json.loads(path.read_text())["panels"]]
    cells = [
        {(x, y) for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])}
        for p in places
    ]
    assert all(x < 24 for each in cells for x, _ in each)
    for one, other in combinations(cells, 2):
        assert not one & other


@boards
def test_every_colour_is_of_the_palette_for_the_colour_blind(path: Path) -> None:
    used = set(re.findall(r'"(?:color|fixedColor)": "([^"]*)"', path.read_text(encoding="utf-8")))
    palette = {value for value in vars(house).values() if isinstance(value, str)}
    assert used <= palette | {"text", "transparent"}
    by_palette = {
        str(panel["title"])
        for panel in Dashboard(path).panels
        if "palette" in str(panel["fieldConfig"]["defaults"].get("color"))  # type: ignore[index]
    }
    assert by_palette <= OF_MANY_SERIES


OF_MANY_SERIES = {
    "Failed attempts by task and reason",
    "Requests by endpoint",
    "Requests by status",
    "Time of an answer",
    "Waiting for the budget",
    "Retries and skipped runs",
    "Scrape time",
    "Scrape size",
    "Memory",
    "Hypervisors (enterprise)",
    "Fullest hypervisors (enterprise)",
}
"""Panels whose series are not known beforehand; no palette could tell them all apart."""


def parsed(target: Target) -> promql.Expr:
    return promql.parse(interpolate(target.expr, MACROS))


def below(node: promql.Expr, *above: promql.Expr) -> Iterator[tuple[promql.Expr, ...]]:
    """Every node of an expression, each after those that stand above it."""
    yield (*above, node)
    for name in ("expr", "lhs", "rhs", "param"):
        child = getattr(node, name, None)
        if isinstance(child, promql.Expr):
            yield from below(child, *above, node)
    for child in getattr(node, "args", ()) or ():
        yield from below(child, *above, node)
    if isinstance(selector := getattr(node, "vector_selector", None), promql.Expr):
        yield from below(selector, *above, node)


def recorded() -> dict[str, set[str]]:
    """The shipped recording rules' names with the labels that they keep of the metrics read."""
    rules = [
        rule
        for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
        if "record" in rule
    ]
    known = published()
    found: dict[str, set[str]] = {}
    for rule in rules:
        read = re.findall(r"devin_\w+", rule["expr"])
        found[rule["record"]] = set.union(*(known[name] for name in read))
    return found


def published() -> dict[str, set[str]]:
    """Every series name of the catalogue with its labels."""
    known: dict[str, set[str]] = {}
    for metric in PUBLISHED:
        labels = set(metric.labels)
        if metric.kind == "histogram":
            known |= {f"{metric.name}_{end}": labels for end in ("sum", "count")}
            known[f"{metric.name}_bucket"] = labels | {"le"}
        else:
            known[metric.name] = labels
    return known


COUNTERS = {m.name for m in PUBLISHED if m.kind == "counter"} | {
    f"{m.name}_{end}" for m in PUBLISHED if m.kind == "histogram" for end in ("bucket", "count")
}


def expressions(dashboard: Dashboard) -> Iterator[tuple[str, str, str]]:
    """Every expression of a dashboard: where it stands, as written, and with values put in."""
    for target in dashboard.targets:
        yield str(target.name), target.expr, interpolate(target.expr, MACROS)
    for variable in dashboard.variables[1:]:
        query = variable["query"]["query"]  # type: ignore[index]
        found = re.fullmatch(r"(?:query_result\((.*)\)|label_values\((.*), \w+\))", query)
        assert found, query
        written = found[1] or found[2]
        yield str(variable["name"]), written, interpolate(written, MACROS)


def names_read(selector: promql.VectorSelector) -> set[str]:
    """The metrics that a selector names, also by `__name__`."""
    if selector.name:
        return {selector.name}
    (by_name,) = (m.value for m in selector.matchers.matchers if m.name == "__name__")
    return set(by_name.split("|"))


@boards
def test_queries_read_only_what_the_catalogue_has(path: Path) -> None:
    known = {**published(), **recorded(), **OF_PROMETHEUS}
    for where, written, expr in expressions(Dashboard(path)):
        selectors = []
        for *_, node in below(promql.parse(expr)):
            if isinstance(node, promql.VectorSelector):
                selectors.append(node)
                names = names_read(node)
                assert names <= known.keys(), (where, names - known.keys())
                labels = set.union(*(known[name] for name in names)) | OF_TARGETS | {"__name__"}
                for matcher in node.matchers.matchers:
                    lacks = matcher.name not in labels
                    assert not lacks or may_lack_organization(matcher, names), (where, names)
            if isinstance(node, promql.AggregateExpr) and by(node):
                assert set(by(node)) <= labels_of(node.expr, known), (where, by(node))
        assert len(selectors) == len(re.findall(r"[\w:]*\{[^}]", written)), where


def may_lack_organization(matcher: promql.Matcher, names: set[str]) -> bool:
    """Whether a matcher tells All from chosen organizations on series without that label."""
    of_enterprise = {"devin_consumption_yesterday_acus", "devin_queue_size"}
    return matcher.name == "org_id" and (
        all("user" in name for name in names) or bool(names & of_enterprise)
    )


def by(node: promql.AggregateExpr) -> list[str]:
    """The labels that an aggregation keeps; none where it names those that go."""
    modifier = node.modifier
    kept = modifier is not None and str(modifier.type).endswith("By")
    return list(modifier.labels) if modifier is not None and kept else []


def labels_of(node: promql.Expr, known: dict[str, set[str]]) -> set[str]:
    """The labels that anything below has, or that is made there by `label_replace`."""
    found = set[str]()
    for *_, each in below(node):
        if isinstance(each, promql.VectorSelector):
            found |= set.union(*(known[name] for name in names_read(each))) | OF_TARGETS
        if isinstance(each, promql.Call) and each.func.name == "label_replace":
            made = each.args[1]
            assert isinstance(made, promql.StringLiteral)
            found.add(made.val)
    return found


@boards
def test_rates_are_taken_of_counters_alone(path: Path) -> None:
    for target in Dashboard(path).targets:
        for *above, node in below(parsed(target)):
            if isinstance(node, promql.VectorSelector):
                rated = any(
                    isinstance(each, promql.Call)
                    and each.func.name in {"rate", "irate", "increase"}
                    for each in above
                )
                assert rated == (node.name in COUNTERS), (target.name, node.name)


OF_EACH_REPLICA = {"up", "devin_exporter_request_budget_per_second"}
"""Summed over replicas on purpose."""


@boards
def test_no_replica_counts_twice(path: Path) -> None:
    known = {**published(), **recorded(), **OF_PROMETHEUS}
    for target in Dashboard(path).targets:
        for *above, node in below(parsed(target)):
            if not isinstance(node, promql.VectorSelector) or node.name in COUNTERS:
                continue
            if node.name in OF_EACH_REPLICA:
                continue
            nearest = [each for each in above if isinstance(each, promql.AggregateExpr)][-1]
            assert str(nearest.op) in {"max", "min", "group"}, (target.name, node.name)
            name = str(node.name)
            keeps_all = known[name] <= set(by(nearest))
            modifier = nearest.modifier
            drops = set(modifier.labels) if modifier is not None and not by(nearest) else set()
            tells_no_number = str(nearest.op) == "group" or name.endswith("_info")
            assert keeps_all or tells_no_number or drops == {"instance", "pod", "endpoint"}, (
                target.name,
                name,
            )


def test_the_provisioned_folder_holds_the_dashboards() -> None:
    provisioning = ROOT / "grafana" / "provisioning"
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "devin.yml").read_text())[
        "providers"
    ]
    assert provider["type"] == "file"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())[
        "datasources"
    ]
    assert source["type"] == "prometheus"
    assert source["url"] == "http://prometheus:9090"
    assert "$" not in "".join(map(str, {**provider["options"], **source}.values()))
