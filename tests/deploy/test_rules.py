"""The shipped rules: judged by promtool, complete, and asking for nothing that is not there."""

import math
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import promql_parser as promql
import pytest
import yaml

from deploy.manifests.prometheus_rule import MANIFEST, main
from exporter.cli.catalogue import ROOT
from grafana.boards.queue_and_sessions.board import HELD_UP
from grafana.builders.colours import DETAILS
from tests.deploy.rule_parts import split
from tests.grafana.panels import DASHBOARDS, Dashboard
from tests.grafana.queries import (
    COUNTERS,
    OF_REPLICAS,
    OF_TARGETS,
    Rule,
    by,
    is_rated,
    known_to_prometheus,
    labels_of,
    names_read,
    recorded,
    rules,
    selectors,
    without,
)
from tests.support.prometheus import CONFIGURATION, RULE_TESTS, RULES, SPARING, find

TOLD = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in RULE_TESTS]
RUNBOOK = ROOT / "docs" / "runbook.md"
ALERTMANAGER = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"
ALERTS = [rule for rule in rules() if "alert" in rule]
SCOPES = ("enterprise", "organization", "service_user", "user")
NAMES = {rule["alert"] for rule in ALERTS}
CHECKS = (("config", CONFIGURATION), ("rules", RULES))

each_alert = pytest.mark.parametrize(
    "alert", ALERTS, ids=lambda rule: "-".join((rule["alert"], *rule["labels"].values()))
)
each_rule = pytest.mark.parametrize(
    "rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"]
)


versions = pytest.mark.parametrize("newer", [False, True], ids=["stable", "newer"])


def promtool_accepts(*words: str | Path, newer: bool) -> None:
    promtool = find("promtool", newer=newer)
    if promtool is None:
        pytest.skip("promtool is missing: `make test` brings it where apt can")
    done = subprocess.run(
        [promtool, *words], env=SPARING, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@versions
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check[0])
def test_promtool_accepts_the_files(check: tuple[str, Path], *, newer: bool) -> None:
    promtool_accepts("check", *check, newer=newer)


@versions
@pytest.mark.parametrize("path", RULE_TESTS, ids=lambda path: path.stem)
def test_the_rules_pass_their_tests(path: Path, tmp_path: Path, *, newer: bool) -> None:
    promtool_accepts("test", "rules", *split(path, tmp_path), newer=newer)


def test_amtool_accepts_the_example() -> None:
    amtool = find("amtool", newer=False)
    if amtool is None:
        pytest.skip("amtool is missing: `make test` brings it where apt can")
    done = subprocess.run(
        [amtool, "check-config", str(ALERTMANAGER)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_example_names_alerts_that_are_there() -> None:
    named = set(re.findall(r"(?:Devin|AIone)[A-Z]\w+", ALERTMANAGER.read_text(encoding="utf-8")))
    assert len(named) > 3
    assert named <= NAMES


def minutes(duration: str) -> int:
    found = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?", duration)
    assert found, duration
    return int(found[1] or 0) * 60 + int(found[2] or 0)


@dataclass(frozen=True)
class Expectation:
    """What one test expects of one rule: whether it fires, by minutes."""

    step: int
    fires: Mapping[int, bool]
    series: frozenset[str]

    @property
    def is_silent(self) -> bool:
        """Whether it never fires here."""
        return not any(self.fires.values())

    @property
    def begins_on_time(self) -> bool:
        """Whether it is expected to be silent at one evaluation and to fire at the next."""
        return any(
            later - earlier == self.step and not self.fires[earlier] and self.fires[later]
            for earlier, later in pairwise(sorted(self.fires))
        )


def expectations(alert: Rule) -> Iterator[Expectation]:
    """What each test expects of an alert, rules of the same name told apart by their labels."""
    own = alert["labels"].items()  # type: ignore[attr-defined]
    for file in TOLD:
        for test in file["tests"]:
            fires = {
                minutes(each["eval_time"]): any(
                    own <= expected["exp_labels"].items() for expected in each["exp_alerts"]
                )
                for each in test.get("alert_rule_test", ())
                if each["alertname"] == alert["alert"]
            }
            if fires:
                series = {re.split(r"[{ ]", each["series"])[0] for each in test["input_series"]}
                yield Expectation(minutes(file["evaluation_interval"]), fires, frozenset(series))


def read_by(rule: Rule) -> set[str]:
    """The metrics that a rule reads, also by way of what others record; thresholds aside."""
    by_name = {each["record"]: each for each in rules() if "record" in each}
    found = set[str]()
    for selector, _ in selectors(promql.parse(rule["expr"])):
        for name in names_read(selector):
            found |= read_by(by_name[name]) if name in by_name else {name}
    return found


@each_alert
def test_every_alert_is_tested_to_fire_on_time_and_to_stay_silent_twice(alert: Rule) -> None:
    told = list(expectations(alert))
    assert sum(each.begins_on_time for each in told) >= 1
    of_its_own = read_by(alert)
    assert sum(each.is_silent and bool(each.series & of_its_own) for each in told) >= 2


def test_every_file_of_rule_tests_is_run() -> None:
    elsewhere = {path.name for path in RULES.parent.glob("*.yml")}
    assert elsewhere == {"agent.yml", "prometheus.yml", "rules.yml"}
    assert RULE_TESTS


def test_nothing_is_tested_that_is_no_alert() -> None:
    named = {
        each["alertname"]
        for path in RULE_TESTS
        for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]
        for each in test.get("alert_rule_test", ())
    }
    assert named == NAMES


@each_alert
def test_an_alert_says_how_bad_it_is_and_where_to_look(
    alert: Mapping[str, Mapping[str, str]],
) -> None:
    name, annotations = str(alert["alert"]), alert["annotations"]
    assert alert["labels"]["severity"] in {"critical", "warning", "info"}
    assert set(annotations) == {"summary", "description", "runbook_url", "dashboard_url"}
    assert annotations["runbook_url"].endswith(f"#{name.lower()}")
    uid = re.match(r"http://localhost:3000/d/([\w-]+)(\?|$)", annotations["dashboard_url"])
    assert uid is not None
    assert uid[1] in {path.stem for path in DASHBOARDS}


def test_the_runbook_has_a_heading_for_each_alert_and_no_other() -> None:
    headings = re.findall(r"^### (\w+)$", RUNBOOK.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(headings) == sorted(NAMES)


def thresholds() -> Iterator[tuple[str, float]]:
    """The number that stands before each `# threshold: name`, as often as it stands there."""
    named = re.compile(r"([\d.]+(?: \* 86400)?)\)?  # threshold: (\w+)$", re.MULTILINE)
    for number, name in named.findall(RULES.read_text(encoding="utf-8")):
        yield name, math.prod(map(float, number.split(" * ")))


def test_a_threshold_is_the_same_number_wherever_its_name_stands() -> None:
    told = list(thresholds())
    assert len(told) == RULES.read_text(encoding="utf-8").count("# threshold:") - 1  # in the head
    assert len(set(told)) == len(dict(told))


def test_every_number_that_alerts_compare_with_is_a_named_threshold() -> None:
    """But for none at all, two attempts (1.5), and the days of a week."""
    for rule in ALERTS:
        for line in rule["expr"].splitlines():
            compared = re.findall(r"[<>]=? -?\(?([\d.]+)", line)
            assert set(compared) <= {"0", "1.5", "6"} or "# threshold: " in line, line


def test_the_runbook_tells_the_thresholds_as_they_are() -> None:
    told = re.findall(
        r"`(\w+)`\s+\(([\d.]+)(?: (days|sessions))?[;)]", RUNBOOK.read_text(encoding="utf-8")
    )
    shipped = dict(thresholds())
    assert {name for name, _, _ in told} == set(shipped)
    for name, number, unit in told:
        assert float(number) * (86_400 if unit == "days" else 1) == shipped[name], name


def test_the_runbook_sends_nobody_to_a_panel_that_is_not_there() -> None:
    titles = [str(panel["title"]) for path in DASHBOARDS for panel in Dashboard(path).panels]
    named = re.findall(r"«([^»]*)»", RUNBOOK.read_text(encoding="utf-8"))
    assert len(named) > 10
    assert not [name for name in named if not any(title.startswith(name) for title in titles)]


def test_no_rule_reads_what_another_one_records_in_the_same_turn() -> None:
    """What is recorded is read of the past alone: in ranges, of which the newest is but a part."""
    for rule in rules():
        for selector, above in selectors(promql.parse(rule["expr"])):
            if names_read(selector) & recorded().keys():
                assert any(isinstance(each, promql.MatrixSelector) for each in above), rule


def test_what_alerts_judge_by_is_what_is_recorded_to_look_at() -> None:
    """It stands in the alerts once more; two copies that differ would send people astray."""
    recorded_as = {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}
    judged = {
        **{f"{scope}:devin_consumption_usual_day_acus:quantile": scope for scope in SCOPES},
        "account:devin_consumption_forecast_acus:sum": "DevinPoolForecastExceeded",
        "account:devin_consumption_cycle_acus:sum": "DevinPoolExhausted",
    }
    for name, where in judged.items():
        (alert,) = (
            rule
            for rule in ALERTS
            if rule["alert"] == where or f"'scope': '{where}'" in str(rule["labels"])
        )
        assert normal(recorded_as[name]) in normal(alert["expr"]), name


def normal(expression: str) -> str:
    return str(promql.parse(expression))


def queries(rule: Mapping[str, object]) -> Iterator[str]:
    """The expression of a rule, and those that its annotations ask for."""
    yield str(rule["expr"])
    for text in dict(rule.get("annotations", {})).values():  # type: ignore[call-overload]
        for pattern in re.findall(r'printf ("(?:[^"\\]|\\.)*") [^}|]*\| query', text):
            yield str(yaml.safe_load(pattern)).replace("%q", '"x"')
        assert len(re.findall(r"\bquery\b(?!_)", text)) == len(
            re.findall(r'printf "[^"]*" [^}|]*\| query', text)
        )


@each_rule
def test_rules_read_only_what_the_catalogue_has(rule: Mapping[str, object]) -> None:
    known = {**known_to_prometheus(), **recorded()}
    kept = labels_of(promql.parse(str(rule["expr"])), known)
    told = str(rule.get("annotations", ""))
    assert set(re.findall(r"\$labels\.(\w+)", told)) <= kept
    of_names = set.union(*(known[name] for name in known if name.endswith("_info")))
    assert set(re.findall(r"label \"(\w+)\"", told)) <= of_names | {"status"}
    for query in queries(rule):
        parsed = promql.parse(query)
        for selector, _ in selectors(parsed):
            names = names_read(selector)
            assert names <= known.keys(), names - known.keys()
            labels = set.union(*(known[name] for name in names)) | OF_TARGETS
            assert {m.name for m in selector.matchers.matchers} <= labels
        for labels in labels_named(parsed):
            anywhere = set.union(
                OF_TARGETS | OF_REPLICAS | {"week"},
                *(known[name] for s, _ in selectors(parsed) for name in names_read(s)),
            )
            assert labels <= anywhere, labels - anywhere


def labels_named(parsed: promql.Expr) -> Iterator[set[str]]:
    """The labels of each `by`, `without`, `on`, `ignoring` and `group_left`."""
    for found in re.findall(
        r"\b(?:by|without|on|ignoring|group_left|group_right) ?\(([\w, ]*)\)", str(parsed)
    ):
        yield set(filter(None, re.split(r", ?", found)))


@each_rule
def test_rates_are_taken_of_counters_alone(rule: Mapping[str, object]) -> None:
    for query in queries(rule):
        for selector, above in selectors(promql.parse(query)):
            assert is_rated(above) == (selector.name in COUNTERS), selector.name


@each_rule
def test_no_replica_counts_twice(rule: Mapping[str, object]) -> None:
    """What is recorded has no instance any more; conditions after `on` ask for presence alone."""
    for selector, above in selectors(promql.parse(str(rule["expr"]))):
        if ":" in str(selector.name) or selector.name in COUNTERS:
            continue
        aggregations = [each for each in above if isinstance(each, promql.AggregateExpr)]
        if aggregations and str(aggregations[-1].op) in {"max", "min", "group"}:
            assert without(aggregations[-1]) >= OF_REPLICAS or by(aggregations[-1])
        else:
            steps = pairwise([*above, selector])
            assert any(is_condition(*step) or is_absent(step[0]) for step in steps), selector.name


def is_condition(node: promql.Expr, child: promql.Expr) -> bool:
    """Whether what stands below takes or leaves series alone, by a match of labels named."""
    return (
        isinstance(node, promql.BinaryExpr)
        and str(node.op) in {"and", "unless"}
        and node.modifier is not None
        and node.modifier.matching is not None
        and str(child) == str(node.rhs)
    )


def is_absent(node: promql.Expr) -> bool:
    return isinstance(node, promql.Call) and node.func.name == "absent"


@pytest.mark.parametrize("status", ["suspended", "running"])
def test_what_is_held_up_is_the_same_on_dashboards_and_in_alerts(status: str) -> None:
    (alert,) = (rule for rule in ALERTS if rule["alert"] == "DevinSessionsBlockedByLimit")
    in_alert = re.findall(r"devin_sessions\{([^}]*)\}", alert["expr"])
    details = {*DETAILS, "", "a_reason_that_is_not_known_yet", "a_new_limit_exceeded"}

    def held_up(selected: Iterable[str]) -> set[str]:
        found: set[str] = set()
        for matchers in selected:
            of_details = re.findall(r'status_detail([=!])~"([^"]*)"', matchers)
            ((operator, pattern),) = of_details
            if 'status="' in matchers and f'status="{status}"' not in matchers:
                continue
            matched = {detail for detail in details if re.fullmatch(pattern, detail)}
            found |= matched if operator == "=" else details - matched
        return found

    assert held_up(in_alert) == held_up(HELD_UP)
    known = held_up(HELD_UP) & DETAILS.keys()
    assert {"contract_expired", "user_usage_limit_exceeded"} <= known
    assert len(known) == 9
    others = held_up(HELD_UP) - known
    unknown = {"a_reason_that_is_not_known_yet"} if status == "suspended" else set()
    assert others == {"a_new_limit_exceeded"} | unknown


def test_only_the_group_of_days_is_recorded_for_the_past() -> None:
    """The documents, the demo and compose cut the rules at the second group's name."""
    text = RULES.read_text(encoding="utf-8")
    before, marker, _ = text.partition("  - name: devin-alerts")
    assert marker
    cut, *_ = yaml.safe_load(text)["groups"]
    assert yaml.safe_load(before)["groups"] == [cut]
    assert cut["name"] == "devin-days"
    for path in ("docs/operate/backfill.md", "deploy/compose/blocks.sh"):
        assert "sed '/name: devin-alerts/,$d'" in (ROOT / path).read_text(encoding="utf-8")


def test_the_documented_change_of_the_manifests_release_changes_it(tmp_path: Path) -> None:
    told = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    (change,) = re.findall(r"sed -i 's/release: .*", told)
    main(tmp_path / "prometheus-rule.yml")
    subprocess.run(["sh", "-c", change], cwd=tmp_path, check=True)
    made = yaml.safe_load((tmp_path / "prometheus-rule.yml").read_text(encoding="utf-8"))
    assert made["metadata"]["labels"]["release"] == "monitoring"


def test_the_manifest_holds_the_rules_word_for_word(tmp_path: Path) -> None:
    main(tmp_path / "made.yml")
    made = (tmp_path / "made.yml").read_text(encoding="utf-8")
    assert MANIFEST.read_text(encoding="utf-8") == made, "run `make generate`"
    told = yaml.safe_load(made)
    assert told["kind"] == "PrometheusRule"
    assert told["metadata"]["labels"]["release"] == "kube-prometheus-stack"
    assert told["spec"] == yaml.safe_load(RULES.read_text(encoding="utf-8"))
