"""Each rule test with the rules that it depends on, and no others.

promtool evaluates every rule of a file at every step of every test. A rule depends on nothing but
what it reads: with what a test's rules read, at once or by way of others, the answers are the same,
in a third of the time. `make rules` runs the files as they are, where a rule that fails in the
scene of another is found, too; the servers of the end-to-end tests load and evaluate all rules.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from tests.grafana.queries import Rule, rules
from tests.support.prometheus import RULES

Test = Mapping[str, list[Mapping[str, str]]]


def name_of(rule: Rule) -> str:
    """What it records, or the alert."""
    return str(rule.get("record") or rule.get("alert"))


RECORDED = frozenset(name_of(rule) for rule in rules() if "record" in rule)


def _read_in(text: str) -> set[str]:
    if "ALERTS" in text or "__name__" in text:
        return {name_of(rule) for rule in rules()}
    return {name for name in RECORDED if name in text}


def needed_for(test: Test) -> set[str]:
    """The names of the rules that a test asks for, and of all that these read."""
    found = set[str]()
    asked = {each["alertname"] for each in test.get("alert_rule_test", ())}
    for each in test.get("promql_expr_test", ()):
        asked |= _read_in(each["expr"])
    while asked:
        name = asked.pop()
        found.add(name)
        for rule in rules():
            if name_of(rule) == name:
                asked |= _read_in(yaml.safe_dump(rule)) - found
    return found


def split(path: Path, folder: Path) -> Iterator[Path]:
    """Write each test of a file as a file of its own, with its rules beside it."""
    shipped = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    # A value like 0x150 is a number to YAML; as text it is what promtool reads.
    as_text = yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)  # noqa: S506 - texts alone
    file = yaml.safe_load(path.read_text(encoding="utf-8"))
    for number, test in enumerate(file["tests"]):
        needed = needed_for(test)
        groups = [
            {**group, "rules": [rule for rule in group["rules"] if name_of(rule) in needed]}
            for group in shipped
        ]
        parts = folder / f"rules-{number}.yml"
        parts.write_text(yaml.safe_dump({"groups": groups}))
        told = {
            **file,
            "rule_files": [parts.name],
            "tests": [{**test, "input_series": as_text["tests"][number]["input_series"]}],
        }
        written = folder / f"test-{number}.yml"
        written.write_text(yaml.safe_dump(told))
        yield written
