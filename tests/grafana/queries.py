"""What a query reads, found by parsing its PromQL: metrics, labels, and what stands around them."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache

import promql_parser as promql
import yaml

from exporter.cli.catalogue import PUBLISHED
from tests.support.prometheus import RULES

Rule = Mapping[str, str]
Labels = Mapping[str, set[str]]
"""Labels by the name of the series."""

OF_PROMETHEUS = {
    "up": set[str](),
    "scrape_duration_seconds": set[str](),
    "scrape_samples_scraped": set[str](),
    "process_resident_memory_bytes": set[str](),
    "prometheus_build_info": set[str](),
    "ALERTS": {"alertname", "alertstate", "severity", "task", "org_id", "user_id"}
    | {"service_user_id", "team", "status_detail"},
}
OF_TARGETS = {"job", "instance"}
OF_REPLICAS = {"instance", "pod", "endpoint"}


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


def selectors(node: promql.Expr) -> Iterator[tuple[promql.VectorSelector, list[promql.Expr]]]:
    """Every selector of an expression, with the nodes above it."""
    for *above, each in below(node):
        if isinstance(each, promql.VectorSelector):
            yield each, above


def names_read(selector: promql.VectorSelector) -> set[str]:
    """The metrics that a selector names, also by `__name__`."""
    if selector.name:
        return {selector.name}
    (by_name,) = (m.value for m in selector.matchers.matchers if m.name == "__name__")
    return set(by_name.split("|"))


def by(node: promql.AggregateExpr) -> list[str]:
    """The labels that an aggregation keeps; none where it names those that go."""
    modifier = node.modifier
    kept = modifier is not None and str(modifier.type).endswith("By")
    return list(modifier.labels) if modifier is not None and kept else []


def without(node: promql.AggregateExpr) -> set[str]:
    """The labels that an aggregation names as those that go."""
    modifier = node.modifier
    return set(modifier.labels) if modifier is not None and not by(node) else set()


def labels_of(node: promql.Expr, known: Labels) -> set[str]:
    """The labels that anything below has, or that is made there."""
    found = set[str]()
    for *_, each in below(node):
        if isinstance(each, promql.VectorSelector):
            found |= set.union(*(known[name] for name in names_read(each))) | OF_TARGETS
        if isinstance(each, promql.AggregateExpr) and isinstance(each.param, promql.StringLiteral):
            found.add(each.param.val)
        if isinstance(each, promql.Call) and each.func.name in {"label_replace", "label_join"}:
            made = each.args[1]
            assert isinstance(made, promql.StringLiteral)
            found.add(made.val)
    return found


def is_rated(above: Sequence[promql.Expr]) -> bool:
    """Whether a rate is taken of what stands below these nodes."""
    rates = {"rate", "irate", "increase"}
    return any(isinstance(each, promql.Call) and each.func.name in rates for each in above)


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


@cache
def rules() -> tuple[Rule, ...]:
    """The shipped rules, in their order."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return tuple(rule for group in groups for rule in group["rules"])


@cache
def recorded() -> dict[str, set[str]]:
    """The names of what the shipped rules record, with the labels that what they read has."""
    found: dict[str, set[str]] = {}
    for rule in rules():
        if "record" in rule:
            parsed = promql.parse(rule["expr"])
            found[rule["record"]] = labels_of(parsed, {**known_to_prometheus(), **found})
    return found


def known_to_prometheus() -> dict[str, set[str]]:
    """What is there without rules."""
    return {**published(), **OF_PROMETHEUS}
