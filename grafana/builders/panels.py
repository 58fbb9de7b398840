"""How every panel looks: its frame, its kind, its empty state."""

import re
from collections.abc import Iterable, Sequence
from string import ascii_uppercase
from typing import TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as model

from grafana.builders import promql as q
from grafana.builders.colours import BLUE, TEXT
from grafana.builders.overrides import CURRENCIES, colour, fixed, setting
from grafana.builders.queries import DATASOURCE, Query, now, of_range, sorted_by_value, targets

BILLING_DAY = "A billing day runs from 08:00 UTC to 08:00 UTC: midnight to midnight on these axes."
GATEWAY_DAY = (
    "AIone's days are calendar days of its own zone (AIONE_TIMEZONE), not Devin's billing days."
)
ENTERPRISE_ONLY = "Of the whole enterprise, whatever is chosen; an organization's key has it not."
NO_GATEWAY = "nothing of the AIone gateway is known"
NOTHING_TO_DRAW = "no sample stands at the steps of this range: a shorter one may show some"
NO_DAY = "no whole day is known in this range"
FIGURE_SIZE, LABEL_SIZE, BAR_TEXT_SIZE = 34, 14, 12
EVERY_DAY = 10_000
"""More points than any range has days: without it a narrow panel would leave days out."""
LOCAL = "locale"
"""Grafana's unit with separators of thousands."""

Panel = Builder[model.Panel]
P = TypeVar("P", stat.Panel, timeseries.Panel, bargauge.Panel, table.Panel, statetimeline.Panel)
Missing = tuple[str, str, str]
"""A card's word for why it has no figure, what stands above it, and when that holds."""

NO_PRICE: Missing = ("no price", "DEVIN_ACU_PRICE", q.none_of(q.price()))
NO_PRICE_IN_RANGE: Missing = ("no price", "DEVIN_ACU_PRICE", q.none_of(q.price(q.AT_NOW)))


def _described(about: str, queries: Iterable[Query]) -> str:
    billed = any(re.search(r"_(today|yesterday|cycle)\b|_cycle_|day_acus", q.expr) for q in queries)
    of_gateway = any(re.search(r"\baione_(today|yesterday)_", q.expr) for q in queries)
    return " ".join([about, *[BILLING_DAY] * billed, *[GATEWAY_DAY] * of_gateway])


def framed(
    panel: P,
    title: str,
    about: str,
    queries: Sequence[Query],
    *,
    unit: str,
    size: tuple[int, int],
    empty: str,
) -> P:
    """What every panel has; `size` is width and height.

    What is of the present is asked for now, whatever relative range is chosen.
    """
    width, height = size
    panel = (
        panel.title(title)
        .description(_described(about, queries))
        .datasource(DATASOURCE)
        .targets([*targets(queries)])
        .unit(unit)
        .no_value(empty)
        .span(width)
        .height(height)
    )
    if any(query.present or "${ahead}" in query.expr for query in queries):
        panel = panel.time_from("1h").hide_time_override(True)  # noqa: FBT003 - the library's
    return panel


def stat_panel(
    title: str,
    about: str,
    unit: str,
    *queries: Query,
    width: int = 5,
    height: int = 4,
    empty: str = "unknown",
    missing: Missing | None = None,
) -> stat.Panel:
    """A large figure each; the legend stands above it."""
    named = any(query.legend for query in queries)
    text = options.BigValueTextMode.VALUE_AND_NAME if named else options.BigValueTextMode.VALUE
    of_present = any(query.present for query in queries)
    asked = list(queries)
    if missing:
        asked.append((now if of_present else of_range)(missing[2], missing[1]))
    panel = (
        framed(stat.Panel(), title, about, asked, unit=unit, size=(width, height), empty=empty)
        .color_scheme(fixed(TEXT))
        .color_mode(options.BigValueColorMode.VALUE)
        .graph_mode(options.BigValueGraphMode.NONE)
        .text_mode(text)
        .wide_layout(False)  # noqa: FBT003 - the library's signature
        .text(common.VizTextDisplayOptions().title_size(LABEL_SIZE).value_size(FIGURE_SIZE))
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )
    if missing:
        says = model.ValueMap({"1": model.ValueMappingResult(text=missing[0])})
        letter = ascii_uppercase[len(queries)]
        panel = panel.override_by_query(
            letter, [setting("mappings", [says]), setting("unit", "none"), colour(TEXT)]
        )
    return panel


def total_panel(
    title: str, about: str, unit: str, days: Query, *, missing: Missing | None = None
) -> stat.Panel:
    """The sum of a figure of days, with their course beneath it."""
    return (
        stat_panel(title, about, unit, days, height=5, empty="no whole day", missing=missing)
        .reduce_options(common.ReduceDataOptions().calcs(["sum"]))
        .max_data_points(EVERY_DAY)
        .color_mode(options.BigValueColorMode.NONE)
        .color_scheme(fixed(BLUE))
        .graph_mode(options.BigValueGraphMode.AREA)
    )


T = TypeVar("T", stat.Panel, timeseries.Panel, bargauge.Panel)


def in_currency(panel: T, shown: str) -> T:
    """Money in the unit of its currency, where Grafana has one; legends begin with the code.

    `shown` is what then stands in place of the legend; another currency's code stays in it.
    """
    for code, unit in CURRENCIES.items():
        panel = panel.override_by_regexp(
            f"/^{code}\\b/", [setting("unit", unit), setting("displayName", shown)]
        )
    return panel


def ranking_panel(
    title: str,
    about: str,
    unit: str,
    *queries: Query,
    width: int = 8,
    height: int = 9,
    empty: str = "nothing is known",
    names_above: bool = False,
) -> bargauge.Panel:
    """A horizontal bar for each series, the longest first."""
    asked = [sorted_by_value(query) if "{{" in query.legend else query for query in queries]
    # Grafana leaves the name of a bar that is alone out, unless it is set.
    name = re.sub(r"{{(\w+)}}", r"${__field.labels.\1}", queries[0].legend)
    return (
        framed(bargauge.Panel(), title, about, asked, unit=unit, size=(width, height), empty=empty)
        .min(0)
        .orientation(options.VizOrientation.HORIZONTAL)
        .display_mode(options.BarGaugeDisplayMode.GRADIENT)
        .value_mode(options.BarGaugeValueMode.TEXT)
        .name_placement(
            options.BarGaugeNamePlacement.TOP if names_above else options.BarGaugeNamePlacement.LEFT
        )
        .show_unfilled(True)  # noqa: FBT003 - the library's signature
        .sizing(options.BarGaugeSizing.MANUAL)
        .min_viz_height(40 if names_above else 14)
        .max_viz_height(48 if names_above else 36)
        .text(common.VizTextDisplayOptions().title_size(BAR_TEXT_SIZE).value_size(BAR_TEXT_SIZE))
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .color_scheme(fixed(BLUE))
        .display_name(name if len(queries) == 1 else "")
    )
