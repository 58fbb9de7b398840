"""What a panel asks, and when: over the range, of the whole range, or of the present."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from string import ascii_uppercase

from grafana_foundation_sdk.builders import prometheus
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from grafana.expressions import promql as q

DATASOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One expression of a panel; `ref` names it, else a letter by its place among the panel's."""

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


def rows_of_range(expr: str) -> Query:
    """A table's row of each series for the whole range."""
    return Query(expr=expr, instant=True, rows=True)


def rows(expr: str) -> Query:
    """A table's row of each series at present."""
    return Query(expr=expr, instant=True, present=True, rows=True)


def sorted_by_value(query: Query) -> Query:
    """The largest first."""
    return replace(query, expr=f"sort_desc({as_sent(query)})", present=False)


def as_sent(query: Query) -> str:
    """The expression with the moment that it is of."""
    return q.present(query.expr) if query.present else query.expr


def referred(queries: Sequence[Query]) -> list[Query]:
    """The panel's queries with their names."""
    return [
        replace(query, ref=query.ref or letter)
        for letter, query in zip(ascii_uppercase, queries, strict=False)
    ]


def target(query: Query) -> prometheus.Dataquery:
    """A query as a panel holds it."""
    made = prometheus.Dataquery().expr(as_sent(query)).ref_id(query.ref).datasource(DATASOURCE)
    made = made.instant() if query.instant else made.range()
    if query.legend:
        made = made.legend_format(query.legend)
    if query.rows:
        made = made.format(PromQueryFormat.TABLE)
    return made.interval(query.step) if query.step else made
