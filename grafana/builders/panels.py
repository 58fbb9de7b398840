"""How every panel looks: its frame, its kind, its empty state."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from grafana_foundation_sdk.builders import (
    barchart,
    bargauge,
    common,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as model

from grafana.builders.colours import BLUE, GOOD, TEXT, WARNING
from grafana.builders.overrides import colour, fixed, setting, spoken
from grafana.builders.queries import (
    DATASOURCE,
    Query,
    now,
    of_range,
    referred,
    rows,
    sorted_by_value,
    target,
)
from grafana.expressions import days
from grafana.expressions import promql as q

BILLING_DAY = "A billing day runs from 08:00 UTC to 08:00 UTC: midnight to midnight on these axes."
GATEWAY_DAY = (
    "The AIone gateway's days are calendar days of its own zone (AIONE_TIMEZONE), not Devin's "
    "billing days."
)
ENTERPRISE_ONLY = "Of the whole enterprise, whatever is chosen; an organization's key has it not."
ADDED_UP = "Of several chosen organizations: their sum, absent unless each one's is known."
NO_GATEWAY = "nothing of the AIone gateway is known"
NOTHING_TO_DRAW = "no sample stands at the steps of this range: a shorter one may show some"
NO_DAY = "no whole day is known in this range"
FIGURE_SIZE, LABEL_SIZE, BAR_TEXT_SIZE = 34, 14, 12
EVERY_DAY = 10_000
"""More points than any range has days: without it a narrow panel would leave days out."""
LOCAL = "locale"
"""Grafana's unit with separators of thousands."""

Panel = Builder[model.Panel]
P = TypeVar(
    "P",
    stat.Panel,
    timeseries.Panel,
    bargauge.Panel,
    barchart.Panel,
    table.Panel,
    statetimeline.Panel,
)
Missing = tuple[str, str, str]
"""A card's word for why it has no figure, what stands above it, and when that holds."""

NOTHING: Missing = ("no data", "in this data source and range", q.NOTHING_OF_OURS)
NO_PRICE, NO_PRICE_IN_RANGE = (
    (
        "no price",
        "DEVIN_ACU_PRICE",
        f"({q.none_of(q.price_of_product(at=at))}) unless on () ({q.NOTHING_OF_OURS})",
    )
    for at in ("", q.AT_NOW)
)


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
        .targets([target(query) for query in referred(queries)])
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
    missing: Sequence[Missing] = (),
) -> stat.Panel:
    """A large figure each; the legend stands above it."""
    named = any(query.legend for query in queries)
    text = options.BigValueTextMode.VALUE_AND_NAME if named else options.BigValueTextMode.VALUE
    read = now if any(query.present for query in queries) else of_range
    whys = [
        (word, replace(read(condition, above), ref=word.replace(" ", "_")))
        for word, above, condition in missing
    ]
    asked = [*queries, *(why for _, why in whys)]
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
    for word, why in whys:
        panel = panel.override_by_query(why.ref, in_words(word))
    return panel


def in_words(word: str) -> list[model.DynamicConfigValue]:
    """A query's 1 as a word."""
    says = model.ValueMap({"1": model.ValueMappingResult(text=word)})
    return [setting("mappings", [says]), setting("unit", "none"), colour(TEXT)]


RISE, FALL, SAME, UNKNOWN = "rise", "fall", "same", "unknown"
PERCENT = "time:[{arrow} ]x[ %]"
"""A unit: a number between other text, for which Grafana has the format of times alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How much a figure differs from one before, as a ratio, and what that one is called.

    `than` has it as a label; `compared` finds something where there should be a ratio.
    """

    ratio: str
    than: str
    compared: str
    rise_is_good: bool


def with_change(panel: stat.Panel, change: Change, read: Callable[[str, str], Query]) -> stat.Panel:
    """The change beside a card's figure, with its sign and in the colour of a judgement."""
    percent = f"round(100 * ({change.ratio}))"
    good, bad = (RISE, FALL) if change.rise_is_good else (FALL, RISE)
    shades = {good: GOOD, bad: WARNING, SAME: TEXT}
    for ref, arrow, value in (
        (RISE, "▲", f"{percent} > 0"),
        (FALL, "▼", f"-{percent} > 0"),
        (SAME, "±", f"{percent} == 0"),
    ):
        named = f"({value}) * on () group_left (than) {change.than}"
        panel = panel.with_target(target(replace(read(named, "vs. {{than}}"), ref=ref)))
        unit = setting("unit", PERCENT.format(arrow=arrow))
        panel = panel.override_by_query(ref, [unit, colour(shades[ref])])
    why = f"({change.than} and on () {change.compared}) unless on () ({change.ratio})"
    unknown = replace(read(why, "vs. {{than}}"), ref=UNKNOWN)
    return (
        panel.with_target(target(unknown))
        .override_by_query(UNKNOWN, in_words("n/a"))
        .orientation(options.VizOrientation.VERTICAL)
    )


def change_of_days(figure: q.Scoped, *, rise_is_good: bool) -> Change:
    """Of the range's whole days against as many before."""
    return Change(
        ratio=days.change(figure),
        than=days.days_before(),
        compared=days.known_days(figure),
        rise_is_good=rise_is_good,
    )


def total_panel(
    title: str, about: str, unit: str, days: Query, *, missing: Sequence[Missing] = ()
) -> stat.Panel:
    """The sum of a figure of days, with their course beneath it."""
    return (
        stat_panel(
            title, about, unit, days, width=6, height=5, empty="no whole day", missing=missing
        )
        .reduce_options(common.ReduceDataOptions().calcs(["sum"]))
        .max_data_points(EVERY_DAY)
        .graph_mode(options.BigValueGraphMode.AREA)
    )


T = TypeVar("T", stat.Panel, timeseries.Panel, bargauge.Panel, barchart.Panel, statetimeline.Panel)


def as_people_write(panel: T, raw: Iterable[str]) -> T:
    """Series that are named by words of the API; others stay as they are."""
    for word in raw:
        panel = panel.override_by_name(word, [setting("displayName", spoken(word))])
    return panel


CURRENCY = "currency"
UNIT_OF_CURRENCY = (
    model.DataTransformerConfig(
        "configFromData",
        options={
            "configRefId": CURRENCY,
            "mappings": [{"fieldName": "unit", "handlerKey": "unit"}],
            "applyTo": {"id": "byType", "options": "number"},
        },
    ),
    # Where there is nothing else, the step before leaves it.
    model.DataTransformerConfig("filterByRefId", options={"exclude": CURRENCY}),
)


def unit_of_currency(*, over_range: bool = False) -> prometheus.Dataquery:
    """What the unit of money is taken from: a row with that label."""
    read = rows(f"group by (unit) ({q.unit_of_price(q.AT_NOW if over_range else '')})")
    return target(replace(read, ref=CURRENCY, present=not over_range))


def in_currency(panel: T, *, over_range: bool = False) -> T:
    """Money in the unit of its currency, which a query of its own gives the panel's numbers."""
    panel = panel.with_target(unit_of_currency(over_range=over_range))
    for step in UNIT_OF_CURRENCY:
        panel = panel.with_transformation(step)
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
