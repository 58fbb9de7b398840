"""What a panel asks, and when: over the range, of the whole range, or of the present."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from string import ascii_uppercase

from grafana_foundation_sdk.builders import prometheus
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from grafana.builders import promql as q

DATASOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One expression of a panel; `ref` names it, or its place among the panel's does."""

    expr: str
    legend: str = ""
    instant: bool = False
    present: bool = False
    rows: bool = False
    step: str = ""
    ref: str = ""


def over_time(expr: str, legend: str, *, step: str = "") -> Query:
    """A course over the range; `step` is the smallest one."""
    return Query(expr=expr, legend=legend, step=step)


def of_range(expr: str, legend: str = "") -> Query:
    """A value of each series for the whole range, which the expression itself reads."""
    return Query(expr=expr, legend=legend, instant=True)


def now(expr: str, legend: str = "") -> Query:
    """A value of each series at present, or at the end of a range with fixed dates."""
    return Query(expr=expr, legend=legend, instant=True, present=True)


def rows(expr: str) -> Query:
    """A table's row of each series at present."""
    return Query(expr=expr, instant=True, present=True, rows=True)


def missing(text: str, found: str, condition: str) -> Query:
    """A panel's word for why it is empty, beside the figure's name; only where it holds."""
    return replace(now(condition, found), ref=f"missing: {text}")


def sorted_by_value(query: Query) -> Query:
    """The largest first."""
    return replace(query, expr=f"sort_desc({as_sent(query)})", present=False)


def as_sent(query: Query) -> str:
    """The expression with the moment that it is of."""
    return q.present(query.expr) if query.present else query.expr


def targets(queries: Sequence[Query]) -> list[prometheus.Dataquery]:
    """The panel's queries, lettered in their order."""
    made = []
    for letter, query in zip(ascii_uppercase, queries, strict=False):
        target = prometheus.Dataquery().expr(as_sent(query)).ref_id(letter).datasource(DATASOURCE)
        target = target.instant() if query.instant else target.range()
        if query.legend:
            target = target.legend_format(query.legend)
        if query.rows:
            target = target.format(PromQueryFormat.TABLE)
        if query.step:
            target = target.interval(query.step)
        made.append(target)
    return made
