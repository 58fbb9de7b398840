"""What a person sees of the committed dashboards: places, titles, columns, colours, words."""

import json
import re
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path

import pytest

from grafana.builders import colours
from grafana.builders.overrides import spoken, words
from grafana.builders.panels import CURRENCY, FALL, RISE, SAME
from tests.grafana.panels import DASHBOARDS, Dashboard
from tests.grafana.typeface import text_width

boards = pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)

COLUMNS = 24
COLUMN_PIXELS = 53.1
"""Of a window 1600 pixels wide, with Grafana's menu open."""
BESIDE_A_TITLE = 72
"""What a panel's padding, its information and its menu take."""
PADDING = 16
DARK, LIGHT = "#181b1f", "#ffffff"
Settings = Mapping[str, object]


def models(path: Path) -> list[dict[str, dict[str, int]]]:
    return json.loads(path.read_text(encoding="utf-8"))["panels"]  # type: ignore[no-any-return]


def pixels(panel: Mapping[str, object]) -> float:
    return COLUMN_PIXELS * panel["gridPos"]["w"] - 8  # type: ignore[index, no-any-return]


def defaults(panel: Mapping[str, object]) -> Mapping[str, object]:
    return panel["fieldConfig"]["defaults"]  # type: ignore[index, no-any-return]


def overrides(panel: Mapping[str, object]) -> Iterator[tuple[str, dict[str, object]]]:
    """What each override is of, and its settings."""
    for each in panel["fieldConfig"].get("overrides", []):  # type: ignore[attr-defined]
        yield each["matcher"]["options"], {p["id"]: p.get("value") for p in each["properties"]}


def columns(panel: Mapping[str, object]) -> Iterator[tuple[str, int]]:
    """The titles of a table's columns, and their widths."""
    for matcher, settings in overrides(panel):
        for name in ("custom.width", "custom.minWidth"):
            if name in settings:
                yield matcher, settings[name]  # type: ignore[misc]


@boards
def test_panels_fill_the_grid_without_overlap_or_hole(path: Path) -> None:
    places = [panel["gridPos"] for panel in models(path)]
    cells = [
        {(x, y) for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])}
        for p in places
    ]
    for one, other in combinations(cells, 2):
        assert not one & other
    filled = set[tuple[int, int]]().union(*cells)
    height = max(y for _, y in filled) + 1
    assert filled == {(x, y) for x in range(COLUMNS) for y in range(height)}


@boards
def test_cards_come_first(path: Path) -> None:
    first = [p for p in models(path) if p["gridPos"]["y"] == 0]
    assert {str(panel["type"]) for panel in first} == {"stat"}


@boards
def test_no_line_has_more_than_five_cards(path: Path) -> None:
    lines: dict[int, int] = {}
    for panel in Dashboard(path).panels:
        if panel["type"] == "stat":
            top = panel["gridPos"]["y"]  # type: ignore[index]
            lines[top] = lines.get(top, 0) + 1
    assert max(lines.values()) <= 5


@boards
def test_a_title_is_short_enough_for_its_panel(path: Path) -> None:
    for panel in Dashboard(path).panels:
        title = str(panel["title"])
        assert text_width(title) <= pixels(panel) - BESIDE_A_TITLE, title
        assert "(enterprise)" not in title


@boards
def test_no_column_of_a_table_is_cut(path: Path) -> None:
    for panel in Dashboard(path).panels:
        if panel["type"] == "table":
            widths = dict(columns(panel))
            sorts = panel["options"].get("sortBy", [])  # type: ignore[attr-defined]
            sorted_by = {each["displayName"] for each in sorts}
            assert sum(widths.values()) <= pixels(panel) - PADDING, panel["title"]
            for matcher, width in widths.items():
                title = re.sub(r"\\", "", matcher.strip("/^$")) + (
                    "USD" if ", /" in matcher else ""
                )
                icon = 20 if title in sorted_by else 0
                assert text_width(title) + PADDING + icon <= width, title


@boards
def test_every_size_of_text_is_set(path: Path) -> None:
    for panel in Dashboard(path).panels:
        if panel["type"] in {"stat", "bargauge"}:
            sizes = panel["options"]["text"]  # type: ignore[index]
            assert sizes["titleSize"] >= 12, panel["title"]
            named_only = panel["options"].get("textMode") == "name"  # type: ignore[attr-defined]
            assert named_only or sizes["valueSize"] >= 12, panel["title"]


@boards
def test_a_card_has_one_figure_at_a_time_and_says_of_what(path: Path) -> None:
    for panel in Dashboard(path).panels:
        if panel["type"] == "stat":
            assert panel["options"]["textMode"] in {"value_and_name", "name"}, panel["title"]  # type: ignore[index]
            word = str(defaults(panel)["noValue"])
            assert text_width(word) * 34 / 14 <= pixels(panel) - PADDING, word


@boards
def test_figures_have_units_and_axes_their_names(path: Path) -> None:
    for panel in Dashboard(path).panels:
        assert defaults(panel)["unit"], panel["title"]
        if panel["type"] == "timeseries":
            assert defaults(panel)["custom"]["axisLabel"], panel["title"]  # type: ignore[index]


@boards
def test_a_series_has_no_word_for_no_data_in_tooltips(path: Path) -> None:
    for panel in Dashboard(path).panels:
        if panel["type"] == "timeseries":
            assert dict(overrides(panel))["number"] == {"noValue": None}, panel["title"]


@boards
def test_stacked_series_are_areas_or_bars(path: Path) -> None:
    for panel in Dashboard(path).panels:
        custom = defaults(panel).get("custom", {})
        if custom.get("stacking"):  # type: ignore[attr-defined]
            assert custom["fillOpacity"] >= 60, panel["title"]  # type: ignore[index]


@boards
def test_no_word_for_no_data_has_the_colour_of_a_judgement(path: Path) -> None:
    for panel in Dashboard(path).panels:
        if panel["type"] == "stat":
            thresholds = defaults(panel).get("thresholds", {"steps": [{"color": "text"}]})
            colour = defaults(panel)["color"]
            neutral = {"text", colours.NEUTRAL_FILL, colours.BLUE}
            if colour["mode"] == "thresholds":  # type: ignore[index]
                assert thresholds["steps"][0]["color"] in neutral, panel["title"]  # type: ignore[index]
            else:
                assert colour["fixedColor"] in neutral, panel["title"]  # type: ignore[index]


SHORT = {"none", "no target", "no use", "no whole day", "no forecast"}


@boards
def test_an_empty_panel_says_what_was_found_and_gives_no_orders(path: Path) -> None:
    for panel in Dashboard(path).panels:
        said = str(defaults(panel)["noValue"])
        found = re.search(r"known|on record|stands|fires|listed|range\b", said)
        assert said in SHORT or found, said
        assert not re.search(r"\bset\b|\bDEVIN_|\bAIONE_", said), said


def luminance(colour: str) -> float:
    def linear(part: int) -> float:
        share = part / 255
        return share / 12.92 if share <= 0.03928 else ((share + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(int(colour[i : i + 2], 16)) for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, brighter = sorted((luminance(one), luminance(other)))
    return (brighter + 0.05) / (darker + 0.05)


def of_palette(*, filled: bool) -> set[str]:
    return {
        value
        for name, value in vars(colours).items()
        if isinstance(value, str) and value.startswith("#") and name.endswith("_FILL") == filled
    }


FILLS = of_palette(filled=True)
SHADES = of_palette(filled=False)


@pytest.mark.parametrize("colour", sorted(SHADES))
def test_large_figures_and_lines_stand_out_on_dark_and_light_panels(colour: str) -> None:
    assert contrast(colour, DARK) >= 3
    assert contrast(colour, LIGHT) >= 3


@pytest.mark.parametrize("colour", sorted(FILLS))
def test_white_words_can_be_read_on_what_they_are_filled_with(colour: str) -> None:
    assert contrast(colour, "#ffffff") >= 4.5


@boards
def test_every_colour_is_of_the_palette(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    used = set(re.findall(r'"(?:color|fixedColor|iconColor)": "([^"]*)"', text))
    assert used <= FILLS | SHADES | {"text", "transparent"}


@boards
def test_small_words_are_never_coloured(path: Path) -> None:
    assert "color-text" not in path.read_text(encoding="utf-8")
    for panel in Dashboard(path).panels:
        for matcher, settings in overrides(panel):
            cell = settings.get("custom.cellOptions") or {}
            if cell.get("type") == "color-background":  # type: ignore[attr-defined]
                used = set(re.findall(r'"color": "(#[^"]*)"', json.dumps(settings)))
                assert used <= FILLS, (panel["title"], matcher)


OF_MANY_SERIES = {
    "Failed attempts",
    "Requests by endpoint",
    "Requests by status",
    "Time of a response",
    "Retries and skipped runs",
    "Scrape time",
    "Scrape size",
    "Memory",
    "Hypervisors",
    "Fullest hypervisors",
    "Cost by billing cycle",
    "Cost by day and team",
}
"""Panels whose series are not known beforehand; no palette could tell them all apart."""


@boards
def test_only_series_that_are_not_known_beforehand_have_grafanas_palette(path: Path) -> None:
    by_palette = {
        str(panel["title"])
        for panel in Dashboard(path).panels
        if "palette" in str(defaults(panel).get("color"))
    }
    assert by_palette <= OF_MANY_SERIES


@boards
def test_alerts_are_marked_on_charts_that_are_there(path: Path) -> None:
    model = Dashboard(path).model
    charts = {
        p["id"] for p in Dashboard(path).panels if p["type"] in {"timeseries", "state-timeline"}
    }
    for annotation in model["annotations"]["list"]:  # type: ignore[index]
        assert set(annotation["filter"]["ids"]) <= charts
        assert annotation["filter"]["ids"]


def test_words_of_the_api_are_told_as_people_write_them() -> None:
    assert spoken("bug_fixing") == "Bug fixing"
    assert spoken("webapp") == "Web app"
    mapped = words("bug_fixing").to_json()["options"]
    assert isinstance(mapped, dict)
    assert set(mapped) == {"bug_fixing"}


def test_what_the_unit_of_money_is_taken_from_is_never_a_figure() -> None:
    found = 0
    for path in DASHBOARDS:
        for panel in Dashboard(path).panels:
            queries = {t["refId"]: t["expr"] for t in panel["targets"]}  # type: ignore[attr-defined]
            if CURRENCY in queries:
                found += 1
                steps = [(s["id"], s["options"]) for s in panel["transformations"]]  # type: ignore[attr-defined]
                assert [step for step, _ in steps[:2]] == ["configFromData", "filterByRefId"]
                assert steps[1][1] == {"exclude": CURRENCY}
                assert "group by (unit)" in queries[CURRENCY], panel["title"]
    assert found > 10


def test_a_change_has_its_sign_and_the_colour_of_a_judgement() -> None:
    judged = {}
    for path in DASHBOARDS:
        for panel in Dashboard(path).panels:
            by_query = dict(overrides(panel))
            if RISE in by_query:
                signs = {ref: by_query[ref]["unit"] for ref in (RISE, FALL, SAME)}
                assert signs == {
                    RISE: "time:[▲ ]x[ %]",
                    FALL: "time:[▼ ]x[ %]",
                    SAME: "time:[± ]x[ %]",
                }
                shades = [by_query[ref]["color"]["fixedColor"] for ref in (RISE, FALL, SAME)]  # type: ignore[index]
                judged[panel["title"]] = shades
    more_is_worse = [colours.WARNING, colours.GOOD, "text"]
    assert judged.pop("Sessions") == [colours.GOOD, colours.WARNING, "text"]
    assert len(judged) == 4
    assert all(shades == more_is_worse for shades in judged.values())
