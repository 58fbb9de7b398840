"""Charts over the range: bars of days, lines, states."""

from collections.abc import Sequence

from grafana_foundation_sdk.builders import common, statetimeline, timeseries
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as model

from grafana.builders.colours import BLUE, GREY, NONE, PRODUCTS, SOURCES
from grafana.builders.overrides import (
    BY_PALETTE,
    colour,
    fixed,
    named_states,
    setting,
    spoken,
    unset,
)
from grafana.builders.panels import EVERY_DAY, NO_DAY, NOTHING_TO_DRAW, framed
from grafana.builders.queries import Query


def _course(
    title: str,
    about: str,
    unit: str,
    queries: Sequence[Query],
    *,
    axis: str,
    size: tuple[int, int],
    empty: str,
) -> timeseries.Panel:
    return (
        framed(timeseries.Panel(), title, about, queries, unit=unit, size=size, empty=empty)
        .min(0)
        .axis_label(axis)
        .tooltip(
            common.VizTooltipOptions()
            .mode(options.TooltipDisplayMode.MULTI)
            .sort(options.SortOrder.DESCENDING)
        )
        .legend(_legend())
        # The panel's word for no data would stand at each series in the tooltips of other days.
        .override_by_field_type("number", [unset("noValue")])
    )


def _legend(*calcs: str) -> common.VizLegendOptions:
    return (
        common.VizLegendOptions()
        .show_legend(True)  # noqa: FBT003 - the library's signature
        .display_mode(options.LegendDisplayMode.LIST)
        .placement(options.LegendPlacement.BOTTOM)
        .calcs([*calcs])
    )


def with_legend_table(panel: timeseries.Panel) -> timeseries.Panel:
    """A legend of many series, the highest first."""
    return panel.legend(
        _legend("mean", "max")
        .display_mode(options.LegendDisplayMode.TABLE)
        .sort_by("Max")
        .sort_desc(True)  # noqa: FBT003 - the library's signature
    )


def bar_panel(
    title: str,
    about: str,
    unit: str,
    *queries: Query,
    axis: str,
    width: int = 12,
    height: int = 10,
    empty: str = NO_DAY,
) -> timeseries.Panel:
    """A bar for each day, stacked; the range's totals stand in the legend."""
    return (
        _course(title, about, unit, queries, axis=axis, size=(width, height), empty=empty)
        .max_data_points(EVERY_DAY)
        .draw_style(options.GraphDrawStyle.BARS)
        .bar_alignment(options.BarAlignment.AFTER)
        .bar_width_factor(0.9)
        .fill_opacity(85)
        .line_width(0)
        .stacking(common.StackingConfig().mode(options.StackingMode.NORMAL).group("A"))
        .color_scheme(fixed(BLUE))
        .legend(_legend("sum"))
    )


RUNNING = ", so far today"


RUNNING_IS = (
    "The running day is lighter, and shown as far as it has gone; totals hold complete days. In a "
    "range shorter than two days, a complete day's bar may stand left of the axis."
)


def running_day_apart(panel: timeseries.Panel) -> timeseries.Panel:
    """The running day's bar is lighter and not in the legend."""
    return panel.override_by_regexp(
        f"/{RUNNING}$/",
        [
            setting("custom.fillOpacity", 40),
            setting("custom.hideFrom", {"legend": True, "tooltip": False, "viz": False}),
        ],
    )


def by_product(panel: timeseries.Panel) -> timeseries.Panel:
    """The products in their colours and as people write them; others stay as they are."""
    for product, shade in PRODUCTS.items():
        for ending in ("", RUNNING):
            name = setting("displayName", f"{spoken(product)}{ending}")
            panel = panel.override_by_name(f"{product}{ending}", [colour(shade), name])
    return panel.color_scheme(fixed(GREY))


def _renamed(panel: timeseries.Panel, pattern: str, name: str) -> timeseries.Panel:
    return panel.with_transformation(
        model.DataTransformerConfig(
            "renameByRegex", options={"regex": pattern, "renamePattern": name}
        )
    )


def with_spaces(panel: timeseries.Panel) -> timeseries.Panel:
    """Series that are named by several words of the API, with spaces in them."""
    return _renamed(panel, "/_/g", " ")


def with_spelt_sources(panel: timeseries.Panel) -> timeseries.Panel:
    """Series whose names begin with that of a source, which is written as people write it."""
    for source in SOURCES:
        panel = _renamed(panel, rf"/^{source}\b/", spoken(source))
    return panel


def by_source(panel: timeseries.Panel) -> timeseries.Panel:
    """A series for each source, in its colour and as people write it."""
    for source, shade in SOURCES.items():
        name = setting("displayName", spoken(source))
        panel = panel.override_by_name(source, [colour(shade), name])
    return panel.color_scheme(fixed(GREY))


def line_panel(
    title: str,
    about: str,
    unit: str,
    *queries: Query,
    axis: str,
    width: int = 12,
    height: int = 9,
    empty: str = NOTHING_TO_DRAW,
    many: bool = False,
) -> timeseries.Panel:
    """A line for each series; `many` where their names are not known beforehand."""
    return (
        _course(title, about, unit, queries, axis=axis, size=(width, height), empty=empty)
        .interval("1m")
        .line_width(2)
        .fill_opacity(0)
        .show_points(options.VisibilityMode.AUTO)
        .color_scheme(BY_PALETTE if many else fixed(BLUE))
    )


def state_panel(
    title: str,
    about: str,
    *queries: Query,
    states: Sequence[tuple[str, str]],
    height: int = 5,
    empty: str = NOTHING_TO_DRAW,
) -> statetimeline.Panel:
    """When something was in which of the states, the numbers from 0 on.

    The legend has their words, as a short time has no room for one.
    """
    no_sample = model.SpecialValueMap(
        model.DashboardSpecialValueMapOptions(
            match=model.SpecialValueMatch.NULL,
            result=model.ValueMappingResult(text="no sample", color=NONE),
        )
    )
    return (
        framed(
            statetimeline.Panel(),
            title,
            about,
            queries,
            unit="none",
            size=(24, height),
            empty=empty,
        )
        .interval("1m")
        .show_value(options.VisibilityMode.NEVER)
        .legend(_legend())
        .mappings([named_states(*states), no_sample])
        .color_scheme(fixed(GREY))  # one that is by value has no words in the legend
        .fill_opacity(100)
    )
