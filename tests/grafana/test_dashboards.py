"""The dashboards as committed: current, well formed, and asking for nothing that is not there."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import get_type_hints

import promql_parser as promql
import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard as Model
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig
from pydantic import TypeAdapter, ValidationError

from exporter.cli.catalogue import ROOT
from exporter.sources.aione import samples
from grafana.boards.ai_spend import gateway_quality
from grafana.build import documents, main
from grafana.builders.board import BILLING_TIMEZONE, BOARDS, TAG
from grafana.builders.overrides import TASK_NAMES
from grafana.builders.panels import BILLING_DAY, CURRENCY, GATEWAY_DAY, RISE
from tests.grafana.panels import DASHBOARDS, FOLDER, Dashboard, Target, interpolate
from tests.grafana.queries import (
    COUNTERS,
    OF_REPLICAS,
    OF_TARGETS,
    below,
    by,
    is_rated,
    known_to_prometheus,
    labels_of,
    names_read,
    recorded,
    selectors,
    without,
)

DEPRECATED = {"graph", "singlestat", "table-old", "grafana-worldmap-panel", "heatmap-old"}
MACROS = {
    "__range": "604800s",
    "__range_s": "604800",
    "__from": "1763395200000",
    "__to": "1764000000000",
    "__from:date:seconds": "1763395200",
    "__to:date:seconds": "1764000000",
    "__url_time_range": "from=now-7d&to=now",
    "now": "1764000000.5",
    "ahead": "1",
    "currency": "USD",
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


OF_PROMETHEUS_ANNOTATIONS = {"titleFormat", "tagKeys"}
"""Fields that the data source gives annotations, beyond the schema of dashboards."""


def lost(told: object, understood: object, where: str) -> Iterator[str]:
    """Everything that is not there, or not the same, after reading by the schema."""
    if isinstance(told, dict) and isinstance(understood, dict):
        for key, value in told.items():
            yield from lost(value, understood.get(key), f"{where}.{key}")
    elif isinstance(told, list) and isinstance(understood, list):
        for index, (one, other) in enumerate(zip_longest(told, understood)):
            yield from lost(one, other, f"{where}.{index}")
    elif told != understood and where.rpartition(".")[2] not in OF_PROMETHEUS_ANNOTATIONS:
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
    assert len(models) == len(BOARDS) == 9
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
    assert link["asDropdown"]


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
        of_gateway = any(re.search(r"aione_(today|yesterday)_", expr) for expr in queries[title])
        assert of_gateway == (GATEWAY_DAY in description), title
        names = re.findall(r"aione_|devin_", " ".join(queries[title]))
        assert title.startswith("Gateway") == (set(names) == {"aione_"}), title


def parsed(target: Target) -> promql.Expr:
    return promql.parse(interpolate(target.expr, MACROS))


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


@boards
def test_queries_read_only_what_the_catalogue_has(path: Path) -> None:
    known = {**known_to_prometheus(), **recorded()}
    for where, written, expr in expressions(Dashboard(path)):
        parsed = promql.parse(expr)
        for selector, _ in selectors(parsed):
            names = names_read(selector)
            assert names <= known.keys(), (where, names - known.keys())
            labels = set.union(*(known[name] for name in names)) | OF_TARGETS | {"__name__"}
            for matcher in selector.matchers.matchers:
                lacks = matcher.name not in labels
                assert not lacks or may_lack_organization(matcher, names), (where, names)
        for *_, node in below(parsed):
            if isinstance(node, promql.AggregateExpr) and by(node):
                assert set(by(node)) <= labels_of(node.expr, known), (where, by(node))
        found = len(list(selectors(parsed)))
        assert found == len(re.findall(r"[\w:]*(?<!\$)\{[^}]", written)), where


def may_lack_organization(matcher: promql.Matcher, names: set[str]) -> bool:
    """Whether a matcher tells All from chosen organizations on series without that label."""
    of_enterprise = {"devin_consumption_yesterday_acus", "devin_queue_size"}
    return matcher.name == "org_id" and (
        all("user" in name for name in names) or bool(names & of_enterprise)
    )


FIVE_MINUTES = {"__range": "300s", "__range_s": "300", "__interval": "15s"}


@boards
def test_what_may_be_evaluated_at_no_moment_has_no_aggregation_with_a_parameter(path: Path) -> None:
    """Prometheus 2.53 panics at `topk` in a subquery whose range has none of its steps."""
    for target in Dashboard(path).targets:
        of_short_range = promql.parse(interpolate(target.expr, MACROS | FIVE_MINUTES))
        for *above, node in below(of_short_range):
            if isinstance(node, promql.AggregateExpr) and node.param is not None:
                for each in above:
                    if isinstance(each, promql.SubqueryExpr):
                        assert each.range, target.name
                        assert each.step, target.name
                        assert each.range >= each.step, target.name


@boards
def test_rates_are_taken_of_counters_alone(path: Path) -> None:
    for target in Dashboard(path).targets:
        for selector, above in selectors(parsed(target)):
            assert is_rated(above) == (selector.name in COUNTERS), (target.name, selector.name)


OF_EACH_REPLICA = {"up", "devin_exporter_request_budget_per_second", "ALERTS"}
"""Summed over replicas on purpose, or of no replica."""


@boards
def test_no_replica_counts_twice(path: Path) -> None:
    known = {**known_to_prometheus(), **recorded()}
    for target in Dashboard(path).targets:
        for selector, above in selectors(parsed(target)):
            name = str(selector.name)
            if name in COUNTERS | OF_EACH_REPLICA:
                continue
            nearest = [each for each in above if isinstance(each, promql.AggregateExpr)][-1]
            assert str(nearest.op) in {"max", "min", "group"}, (target.name, name)
            keeps_all = known[name] <= set(by(nearest))
            tells_no_number = str(nearest.op) == "group" or name.endswith("_info")
            assert keeps_all or tells_no_number or without(nearest) == OF_REPLICAS, (
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


def test_the_gateways_usual_statuses_are_those_that_are_published() -> None:
    assert gateway_quality.USUAL_CAPACITY == samples.USUAL_CAPACITY
    assert gateway_quality.USUAL_SERVICE == samples.USUAL_SERVICE


def test_every_task_has_a_name_as_people_write_it() -> None:
    page = ROOT / "tests" / "golden" / "recorded_answers_become_this_page.txt"
    tasks = set(re.findall(r'task="(\w+)"', page.read_text(encoding="utf-8")))
    assert tasks
    assert tasks <= set(TASK_NAMES)


def test_the_change_of_a_cost_is_that_of_recorded_costs() -> None:
    found = 0
    for path in DASHBOARDS:
        by_panel: dict[str, dict[str, str]] = {}
        for target in Dashboard(path).targets:
            by_panel.setdefault(target.panel, {})[target.ref] = target.expr
        for queries in by_panel.values():
            if CURRENCY in queries and RISE in queries:
                found += 1
                assert "account:devin_cost_yesterday:sum" in queries[RISE]
    assert found > 2


def test_no_query_is_longer_than_victoria_metrics_takes() -> None:
    for path in DASHBOARDS:
        for target in Dashboard(path).targets:
            assert len(target.expr) < 15_000, target.name
