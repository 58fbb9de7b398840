"""Tables: rows of queries that are joined where their labels are equal."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard, table
from grafana_foundation_sdk.builders.common import TableSortByFieldState
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as model

from grafana.builders.colours import BLUE
from grafana.builders.overrides import colour, fixed, setting, words
from grafana.builders.panels import UNIT_OF_CURRENCY, framed, unit_of_currency
from grafana.builders.queries import Query, rows, rows_of_range

DASH = "–"  # noqa: RUF001 - what stands where there is no value
DURATION = "dthms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column: its title, and its width in pixels, or the least one where it takes the rest."""

    title: str
    width: int
    takes_rest: bool = False
    settings: tuple[model.DynamicConfigValue, ...] = ()


def column(title: str, width: int, *settings: model.DynamicConfigValue) -> Column:
    """A column as wide as it needs to be."""
    return Column(title=title, width=width, settings=settings)


def wide_column(title: str, at_least: int, *settings: model.DynamicConfigValue) -> Column:
    """The column that takes what the others leave."""
    return Column(title=title, width=at_least, takes_rest=True, settings=settings)


def number_column(title: str, width: int, *, unit: str = "locale", decimals: int = 0) -> Column:
    """A column of numbers."""
    return column(title, width, setting("unit", unit), setting("decimals", decimals))


def bar_column(
    title: str,
    width: int,
    *settings: model.DynamicConfigValue,
    unit: str = "",
    decimals: int = 0,
    by_threshold: dashboard.ThresholdsConfig | None = None,
) -> Column:
    """A column of numbers, each with a bar; without a unit they keep their own.

    The bars are blue, or have one colour each by `by_threshold`.
    """
    modes = options.BarGaugeDisplayMode
    cell = options.TableBarGaugeCellOptions(
        mode=modes.BASIC if by_threshold else modes.GRADIENT,
        value_display_mode=options.BarGaugeValueMode.TEXT,
    )
    judged = [setting("color", {"mode": "thresholds"})]
    if by_threshold:
        judged.append(setting("thresholds", by_threshold.build()))
    return column(
        title,
        width,
        *([setting("unit", unit), setting("decimals", decimals)] if unit else []),
        setting("min", 0),
        setting("fieldMinMax", value=True),  # not that of all columns
        setting("custom.cellOptions", cell),
        *(judged if by_threshold else [colour(BLUE)]),
        *settings,
    )


def filled(*settings: model.DynamicConfigValue) -> tuple[model.DynamicConfigValue, ...]:
    """Settings for words on a colour each, in white."""
    cell = options.TableColoredBackgroundCellOptions(
        mode=options.TableCellBackgroundDisplayMode.BASIC
    )
    transparent = setting("color", {"mode": "fixed", "fixedColor": "transparent"})
    return (setting("custom.cellOptions", cell), transparent, *settings)


def table_panel(
    title: str,
    about: str,
    *queries: Query,
    columns: Mapping[str, Column],
    empty: tuple[str, str, str],
    hidden: Sequence[str] = (),
    width: int = 24,
    height: int = 10,
    before: Sequence[model.DataTransformerConfig] = (),
) -> table.Panel:
    """A table of the queries' rows.

    `columns` are the fields shown, from left to right; those in `hidden` are there for links alone;
    what is in neither is dropped. `empty` is a label that is shown, what it says where there are no
    rows, and the expression that then finds nothing.
    """
    label, says, read = empty
    if len(queries) == 1:
        # Grafana names the values of a query after it only where there are several.
        columns = {
            each: shown
            for name, shown in columns.items()
            for each in ([name, "Value"] if name == "Value #A" else [name])
        }
    # Its row has a word and no number.
    nothing = f"(vector(1) unless on () ({read})) * NaN"
    read_note = rows if any(query.present for query in queries) else rows_of_range
    note = read_note(f'label_replace({nothing}, "{label}", "{says}", "", "")')
    panel = (
        framed(
            table.Panel(),
            title,
            about,
            [*queries, note],
            unit="none",
            size=(width, height),
            empty=says,
        )
        .color_scheme(fixed("text"))
        .cell_height(options.TableCellHeight.SM)
    )
    for each in (
        *before,
        model.DataTransformerConfig("merge", options={}),
        model.DataTransformerConfig(
            "filterFieldsByName", options={"include": {"names": [*columns, *hidden]}}
        ),
        model.DataTransformerConfig(
            "organize",
            options={
                "excludeByName": {},
                "includeByName": {},
                "indexByName": {name: index for index, name in enumerate((*columns, *hidden))},
                "renameByName": {name: each.title for name, each in columns.items()},
            },
        ),
    ):
        panel = panel.with_transformation(each)
    # A panel's word for no data would stand in each blank cell as well.
    panel = panel.override_by_regexp("/.*/", [setting("noValue", DASH)])
    no_number = model.SpecialValueMap(
        model.DashboardSpecialValueMapOptions(
            match=model.SpecialValueMatch.NA_N, result=model.ValueMappingResult(text=DASH)
        )
    )
    panel = panel.mappings([no_number])
    for each_column in {shown.title: shown for shown in columns.values()}.values():
        wide = "custom.minWidth" if each_column.takes_rest else "custom.width"
        # A variable in the title is put in before overrides look for it.
        said = re.escape(each_column.title.partition("$")[0])
        whole = "" if "$" in each_column.title else "$"
        panel = panel.override_by_regexp(
            f"/^{said}{whole}/", [setting(wide, each_column.width), *each_column.settings]
        )
    for name in hidden:
        panel = panel.override_by_name(name, [setting("custom.hidden", value=True)])
    return panel


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """What a ranking is of: the label with the names, and the titles of its two columns.

    Names among `words` are shown as people write them.
    """

    label: str
    names: str
    figures: str
    words: Sequence[str] = ()


def ranking_table(
    title: str,
    about: str,
    query: Query,
    *settings: model.DynamicConfigValue,
    ranked: Ranked,
    empty: tuple[str, str],
    unit: str = "locale",
    decimals: int = 0,
    money: bool = False,
    by_threshold: dashboard.ThresholdsConfig | None = None,
    bar_width: int = 160,
    width: int = 8,
    height: int = 9,
) -> table.Panel:
    """A bar for each row, the longest first, beside names of any length.

    `empty` is what it says where there are no rows, and the expression that then finds nothing.
    """
    says, read = empty
    unit = "" if money else unit
    bar = bar_column(
        ranked.figures,
        bar_width,
        *settings,
        unit=unit,
        decimals=decimals,
        by_threshold=by_threshold,
    )
    panel = table_panel(
        title,
        about,
        query,
        columns={
            ranked.label: wide_column(
                ranked.names,
                min(150, max(110, 13 * width)),
                setting("mappings", [words(*ranked.words)]),
            ),
            "Value #A": bar,
        },
        empty=(ranked.label, says, read),
        before=UNIT_OF_CURRENCY if money else [],
        width=width,
        height=height,
    ).sort_by([TableSortByFieldState().display_name(ranked.figures).desc(True)])  # noqa: FBT003
    return panel.with_target(unit_of_currency()) if money else panel
