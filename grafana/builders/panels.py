"""How every panel looks: its frame, its kind, its empty state."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import TypeVar

from grafana_foundation_sdk.builders import (
    barchart,
    common,
    dashboard,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from grafana.builders.colours import BLUE, GREY, PRODUCTS
from grafana.builders.overrides import colour, fixed, setting

TAG = "devin-exporter"
BILLING_TIMEZONE = "Etc/GMT+8"
"""UTC-8 without daylight saving: its days are the vendor's billing days."""

NO_PRICE = "set DEVIN_ACU_PRICE"
NO_GATEWAY = "not told, or AIONE_API_URL and AIONE_TOKEN are not set"
BILLING_DAY = "A billing day runs from 08:00 UTC to 08:00 UTC: midnight to midnight on these axes."
GATEWAY_DAY = (
    "AIone's days are calendar days of its own zone (AIONE_TIMEZONE), not Devin's billing days."
)

Panel = Builder[model.Panel]
P = TypeVar("P", stat.Panel, timeseries.Panel, barchart.Panel, table.Panel, statetimeline.Panel)
DATASOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One expression of a panel: over time, or (`instant`) at the end of the range, or as rows."""

    expr: str
    legend: str = ""
    instant: bool = False
    rows: bool = False
    step: str = ""


def over_time(expr: str, legend: str, *, step: str = "") -> Query:
    """A course; `step` is the smallest one."""
    return Query(expr=expr, legend=legend, step=step)


def at_end(expr: str, legend: str = "") -> Query:
    """A value of each series at the end of the range."""
    return Query(expr=expr, legend=legend, instant=True)


def rows(expr: str) -> Query:
    """A table's row of each series at the end of the range."""
    return Query(expr=expr, instant=True, rows=True)


def _targets(queries: Sequence[Query]) -> list[prometheus.Dataquery]:
    targets = []
    for ref, query in zip(ascii_uppercase, queries, strict=False):
        target = prometheus.Dataquery().expr(query.expr).ref_id(ref).datasource(DATASOURCE)
        target = target.instant() if query.instant else target.range()
        if query.legend:
            target = target.legend_format(query.legend)
        if query.rows:
            target = target.format(PromQueryFormat.TABLE)
        if query.step:
            target = target.interval(query.step)
        targets.append(target)
    return targets


def _described(about: str, queries: Iterable[Query]) -> str:
    billed = any(re.search(r"_(today|yesterday|cycle)\b|_cycle_|day_acus", q.expr) for q in queries)
    of_gateway = any(re.search(r"\baione_(today|yesterday)_", q.expr) for q in queries)
    return " ".join([about, *[BILLING_DAY] * billed, *[GATEWAY_DAY] * of_gateway])


def _framed(
    panel: P,
    title: str,
    about: str,
    queries: Sequence[Query],
    *,
    unit: str,
    size: tuple[int, int],
    empty: str,
) -> P:
    """What every panel has; `size` is width and height."""
    width, height = size
    return (
        panel.title(title)
        .description(_described(about, queries))
        .datasource(DATASOURCE)
        .targets([*_targets(queries)])
        .unit(unit)
        .no_value(empty)
        .span(width)
        .height(height)
    )


def stat_panel(
    title: str, about: str, unit: str, *queries: Query, width: int = 4, empty: str = "unknown"
) -> stat.Panel:
    """Large numbers."""
    several = len(queries) > 1 or any("{{" in query.legend for query in queries)
    text = options.BigValueTextMode.VALUE_AND_NAME if several else options.BigValueTextMode.VALUE
    return (
        _framed(stat.Panel(), title, about, queries, unit=unit, size=(width, 5), empty=empty)
        .color_scheme(fixed("text"))
        .color_mode(options.BigValueColorMode.VALUE)
        .graph_mode(options.BigValueGraphMode.NONE)
        .text_mode(text)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )


def _course(
    title: str, about: str, unit: str, queries: Sequence[Query], *, width: int, empty: str
) -> timeseries.Panel:
    return (
        _framed(timeseries.Panel(), title, about, queries, unit=unit, size=(width, 9), empty=empty)
        .min(0)
        .tooltip(
            common.VizTooltipOptions()
            .mode(options.TooltipDisplayMode.MULTI)
            .sort(options.SortOrder.DESCENDING)
        )
        .legend(
            common.VizLegendOptions()
            .show_legend(True)  # noqa: FBT003 - the library's signature
            .display_mode(options.LegendDisplayMode.LIST)
            .placement(options.LegendPlacement.BOTTOM)
            .calcs([])
        )
    )


def bar_panel(
    title: str,
    about: str,
    unit: str,
    *queries: Query,
    width: int = 12,
    empty: str = "no day is known in this range",
) -> timeseries.Panel:
    """A bar for each day, stacked."""
    return (
        _course(title, about, unit, queries, width=width, empty=empty)
        .draw_style(options.GraphDrawStyle.BARS)
        .bar_alignment(options.BarAlignment.AFTER)
        .bar_width_factor(0.9)
        .fill_opacity(80)
        .line_width(0)
        .stacking(common.StackingConfig().mode(options.StackingMode.NORMAL).group("A"))
        .color_scheme(fixed(BLUE))
    )


def by_product(panel: timeseries.Panel) -> timeseries.Panel:
    """The colours of the products."""
    for product, shade in PRODUCTS.items():
        panel = panel.override_by_regexp(f"/^{product}\\b.*/", [colour(shade)])
    return panel.color_scheme(fixed(GREY))


def line_panel(
    title: str,
    about: str,
    unit: str,
    *queries: Query,
    width: int = 12,
    empty: str = "no data",
    many: bool = False,
) -> timeseries.Panel:
    """A line for each series; `many` where their names are not known beforehand."""
    palette = dashboard.FieldColor().mode(model.FieldColorModeId.PALETTE_CLASSIC)
    return (
        _course(title, about, unit, queries, width=width, empty=empty)
        .interval("1m")
        .line_width(2)
        .fill_opacity(5)
        .show_points(options.VisibilityMode.AUTO)
        .color_scheme(palette if many else fixed(BLUE))
    )


def ranking_panel(
    title: str, about: str, unit: str, *queries: Query, width: int = 8, empty: str = "no data"
) -> barchart.Panel:
    """A horizontal bar for each series at the end of the range."""
    return (
        _framed(barchart.Panel(), title, about, queries, unit=unit, size=(width, 9), empty=empty)
        .min(0)
        .orientation(options.VizOrientation.HORIZONTAL)
        .x_field("Field")
        .bar_width(0.8)
        .fill_opacity(80)
        .show_value(options.VisibilityMode.ALWAYS)
        .legend(
            common.VizLegendOptions()
            .show_legend(False)  # noqa: FBT003 - the library's signature
            .display_mode(options.LegendDisplayMode.LIST)
            .placement(options.LegendPlacement.BOTTOM)
            .calcs([])
        )
        .color_scheme(fixed(BLUE))
        .with_transformation(
            model.DataTransformerConfig(
                "reduce", options={"mode": "seriesToRows", "reducers": ["lastNotNull"]}
            )
        )
    )


def table_panel(
    title: str,
    about: str,
    *queries: Query,
    columns: Mapping[str, str],
    hidden: Sequence[str] = (),
    width: int = 24,
    empty: str = "no data",
) -> table.Panel:
    """A table of the queries' rows, joined where their labels are equal.

    `columns` are the fields shown, from left to right, with their titles; those in `hidden` are
    there for links alone; what is in neither is dropped.
    """
    panel = (
        _framed(table.Panel(), title, about, queries, unit="none", size=(width, 10), empty=empty)
        .color_scheme(fixed("text"))
        .with_transformation(model.DataTransformerConfig("merge", options={}))
        .with_transformation(
            model.DataTransformerConfig(
                "filterFieldsByName", options={"include": {"names": [*columns, *hidden]}}
            )
        )
        .with_transformation(
            model.DataTransformerConfig(
                "organize",
                options={
                    "excludeByName": {},
                    "includeByName": {},
                    "indexByName": {name: index for index, name in enumerate((*columns, *hidden))},
                    "renameByName": {name: title for name, title in columns.items() if title},
                },
            )
        )
    )
    # A panel's word for no data would stand in each blank cell as well.
    panel = panel.override_by_regexp("/.*/", [setting("noValue", "–")])  # noqa: RUF001 - a dash
    for name in hidden:
        panel = panel.override_by_name(name, [setting("custom.hidden", value=True)])
    return panel


def state_panel(
    title: str, about: str, *queries: Query, empty: str = "no data"
) -> statetimeline.Panel:
    """When something was in which state."""
    return (
        _framed(
            statetimeline.Panel(), title, about, queries, unit="none", size=(24, 5), empty=empty
        )
        .interval("1m")
        .show_value(options.VisibilityMode.AUTO)
    )
