"""How every panel and dashboard looks: colours, empty states, variables, links."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase

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

TAG = "devin-exporter"
BILLING_TIMEZONE = "Etc/GMT+8"
"""UTC-8 without daylight saving: its days are the vendor's billing days."""

BILLING_DAY = "A billing day runs from 08:00 UTC to 08:00 UTC: midnight to midnight on these axes."

# The palette of Okabe and Ito, which colour-blind people can tell apart.
BLACK, GREY = "#555555", "#999999"
ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"

GOOD, WARNING, BAD, UNKNOWN = GREEN, ORANGE, VERMILION, PURPLE
PRODUCTS = {
    "devin": BLUE,
    "cascade": ORANGE,
    "terminal": GREEN,
    "review": PURPLE,
    "unknown": GREY,
}
STATUSES = {
    "new": SKY,
    "claimed": SKY,
    "creating": SKY,
    "resuming": SKY,
    "running": BLUE,
    "exit": GREEN,
    "suspended": ORANGE,
    "error": VERMILION,
}
DETAILS = {
    "working": BLUE,
    "finished": GREEN,
    "waiting_for_user": YELLOW,
    "waiting_for_approval": YELLOW,
    "inactivity": GREY,
    "user_request": GREY,
    "usage_limit_exceeded": ORANGE,
    "org_usage_limit_exceeded": ORANGE,
    "total_session_limit_exceeded": ORANGE,
    "out_of_credits": ORANGE,
    "out_of_quota": ORANGE,
    "no_quota_allocation": ORANGE,
    "payment_declined": VERMILION,
    "error": VERMILION,
}

Panel = Builder[model.Panel]
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
    return f"{about} {BILLING_DAY}" if billed else about


def fixed(colour: str) -> dashboard.FieldColor:
    """One colour."""
    return dashboard.FieldColor().mode(model.FieldColorModeId.FIXED).fixed_color(colour)


BY_THRESHOLD = dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS)


def colour(value: str) -> model.DynamicConfigValue:
    """One colour, for some of a panel's fields."""
    return model.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": value})


def setting(name: str, value: object) -> model.DynamicConfigValue:
    """A setting of some of a panel's fields."""
    return model.DynamicConfigValue(name, value)


def thresholds(first: str, *steps: tuple[float, str]) -> dashboard.ThresholdsConfig:
    """Colours by value: the first one, and others from a value on."""
    return (
        dashboard.ThresholdsConfig()
        .mode(model.ThresholdsMode.ABSOLUTE)
        .steps([model.Threshold(color=first), *(model.Threshold(v, c) for v, c in steps)])
    )


def coloured_words(colours: Mapping[str, str]) -> model.ValueMap:
    """Words with their colours."""
    return model.ValueMap({word: model.ValueMappingResult(color=c) for word, c in colours.items()})


def named_states(*states: tuple[str, str]) -> model.ValueMap:
    """The numbers from 0 on as words with colours."""
    return model.ValueMap(
        {
            str(index): model.ValueMappingResult(text=text, color=c, index=index)
            for index, (text, c) in enumerate(states)
        }
    )


def card(
    title: str, about: str, unit: str, *queries: Query, width: int = 4, empty: str = "unknown"
) -> stat.Panel:
    """Large numbers."""
    several = len(queries) > 1 or any("{{" in query.legend for query in queries)
    text = options.BigValueTextMode.VALUE_AND_NAME if several else options.BigValueTextMode.VALUE
    return (
        stat.Panel()
        .title(title)
        .description(_described(about, queries))
        .datasource(DATASOURCE)
        .targets([*_targets(queries)])
        .unit(unit)
        .no_value(empty)
        .span(width)
        .height(5)
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
        timeseries.Panel()
        .title(title)
        .description(_described(about, queries))
        .datasource(DATASOURCE)
        .targets([*_targets(queries)])
        .unit(unit)
        .no_value(empty)
        .span(width)
        .height(9)
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


def bars(
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


def lines(
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


def ranking(
    title: str, about: str, unit: str, *queries: Query, width: int = 8, empty: str = "no data"
) -> barchart.Panel:
    """A horizontal bar for each series at the end of the range."""
    return (
        barchart.Panel()
        .title(title)
        .description(_described(about, queries))
        .datasource(DATASOURCE)
        .targets([*_targets(queries)])
        .unit(unit)
        .no_value(empty)
        .span(width)
        .height(9)
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


def rows_table(
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
        table.Panel()
        .title(title)
        .description(_described(about, queries))
        .datasource(DATASOURCE)
        .targets([*_targets(queries)])
        .unit("none")
        .no_value(empty)
        .span(width)
        .height(10)
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


def states(title: str, about: str, *queries: Query, empty: str = "no data") -> statetimeline.Panel:
    """When something was in which state."""
    return (
        statetimeline.Panel()
        .title(title)
        .description(_described(about, queries))
        .datasource(DATASOURCE)
        .targets([*_targets(queries)])
        .unit("none")
        .no_value(empty)
        .interval("1m")
        .span(24)
        .height(5)
        .show_value(options.VisibilityMode.AUTO)
    )
