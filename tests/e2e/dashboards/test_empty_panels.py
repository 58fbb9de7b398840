"""Panels that have no figure: each says why, once, and only what is so."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.e2e.dashboards.test_in_prometheus import CHANGES, says_why_empty
from tests.grafana.panels import DASHBOARDS, Dashboard, Range, Target, Viewer, column_names
from tests.support.prometheus import Labels, find, make_blocks, prometheus

DAY, EVERY_SECONDS, DAYS = 86_400, 1_800, 45
CYCLE_DAYS = 30
BARE, UNPRICED = "bare", "unpriced"
NOTHING, NO_PRICE, CURRENCY = "no_data", "no_price", "currency"
NO_TEAMS = "no_teams"
OF_TIME = {
    ("devin-exporter", "Version, plan"),
    ("devin-cost", "Days left"),
}
"""What is known of an exporter that has nothing but itself and the cycle's dates."""

Told = dict[Labels, dict[float, float]]
boards = pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)


def samples(end: float) -> Iterator[str]:
    """What two exporters would have told: one without any figure, one without a price."""
    moments = [end - EVERY_SECONDS * back for back in reversed(range(DAYS * DAY // EVERY_SECONDS))]
    first = end // DAY * DAY - 10 * DAY + 8 * 3_600

    def begun(at: float) -> float:
        return first + (at - first) // (CYCLE_DAYS * DAY) * CYCLE_DAYS * DAY

    both, unpriced = (BARE, UNPRICED), (UNPRICED,)
    for metric, jobs, labels, value in (
        ("devin_exporter_build_info", both, ',version="1",revision="a"', 1.0),
        ("devin_billing_cycle_start_timestamp_seconds", both, "", begun),
        (
            "devin_billing_cycle_end_timestamp_seconds",
            both,
            "",
            lambda at: begun(at) + CYCLE_DAYS * DAY,
        ),
        ("devin_consumption_today_acus", unpriced, ',product="devin"', 3.0),
        ("devin_consumption_yesterday_acus", unpriced, ',product="devin"', 7.0),
        ("devin_consumption_cycle_acus", unpriced, ',product="devin"', 73.0),
        ("devin_consumption_previous_cycle_acus", unpriced, ',product="devin"', 210.0),
        ("devin_user_consumption_cycle_acus", unpriced, ',product="devin",user_id="u"', 70.0),
        ("devin_organization_consumption_cycle_acus", unpriced, ',product="devin",org_id="o"', 9.0),
    ):
        yield f"# TYPE {metric} gauge\n"
        for job in jobs:
            named = f'{metric}{{job="{job}",instance="exporter"{labels}}}'
            yield from (
                f"{named} {value(at) if callable(value) else value} {at}\n" for at in moments
            )
    yield "# EOF\n"


@pytest.fixture(scope="module")
def viewers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Viewer]]:
    """Who looks at nothing, at an exporter without figures, and at one without a price."""
    binary, promtool = (find(name, newer=False) for name in ("prometheus", "promtool"))
    if binary is None or promtool is None:
        pytest.skip("prometheus is missing: `make test` brings it by apt")
    folder = tmp_path_factory.mktemp("prometheus")
    end = datetime(2026, 3, 20, 15, 25, tzinfo=UTC).timestamp()
    (folder / "samples.om").write_text("".join(samples(end)))
    make_blocks(folder / "samples.om", folder / "data", promtool=promtool)
    at = end + 2  # what is of the present is asked for a moment earlier
    seen = Range(at - 30 * DAY, at)
    long_ago = Range(at - 300 * DAY, at - 270 * DAY, relative=False)
    with prometheus(binary, folder, "global: {}") as server:
        yield {
            NOTHING: Viewer(server, long_ago, now=at),
            BARE: Viewer(server, seen, job=BARE, now=at),
            UNPRICED: Viewer(server, seen, job=UNPRICED, now=at),
        }


def shown(seen: Viewer, dashboard: Dashboard) -> dict[str, dict[Target, Told]]:
    """What has data, by panel."""
    values = seen.values(dashboard)
    panels: dict[str, dict[Target, Told]] = {str(p["title"]): {} for p in dashboard.panels}
    for target in dashboard.targets:
        if target.ref != CURRENCY and (told := seen.see(target, values)):
            panels[target.panel][target] = told
    return panels


def figures(answers: dict[Target, Told]) -> list[Target]:
    return [t for t in answers if not says_why_empty(t) and t.name not in CHANGES]


def reasons(answers: dict[Target, Told]) -> list[Target]:
    return [target for target in answers if says_why_empty(target)]


@boards
@pytest.mark.parametrize("world", [NOTHING, BARE, UNPRICED])
def test_a_panel_has_figures_or_one_reason(
    viewers: dict[str, Viewer], path: Path, world: str
) -> None:
    dashboard = Dashboard(path)
    panels = shown(viewers[world], dashboard)
    for model in dashboard.panels:
        title, answers = str(model["title"]), panels[str(model["title"])]
        assert len(reasons(answers)) <= (not figures(answers)), (title, [*answers])
        assert bool(answers) or model["type"] != "table", title
        if model["type"] == "table" and not figures(answers):
            ((labels, _),) = answers[reasons(answers)[0]].items()
            ((label, says),) = labels
            assert label in column_names(model), title
            assert says == model["fieldConfig"]["defaults"]["noValue"], title  # type: ignore[index]


@boards
def test_where_there_is_nothing_of_ours_a_card_says_so(
    viewers: dict[str, Viewer], path: Path
) -> None:
    panels = shown(viewers[NOTHING], Dashboard(path))
    assert not any(figures(answers) for answers in panels.values())
    cards = {t.ref for p in panels.values() for t in reasons(p) if t.ref.startswith("no_")}
    assert NOTHING in cards
    assert NO_PRICE not in cards


@boards
def test_an_exporter_that_knows_nothing_is_not_another_data_source(
    viewers: dict[str, Viewer], path: Path
) -> None:
    panels = shown(viewers[BARE], Dashboard(path))
    known = {(path.stem, title) for title, answers in panels.items() if figures(answers)}
    assert known <= OF_TIME
    assert NOTHING not in {t.ref for p in panels.values() for t in p}


@boards
def test_without_a_price_there_is_no_money(viewers: dict[str, Viewer], path: Path) -> None:
    dashboard = Dashboard(path)
    panels = shown(viewers[UNPRICED], dashboard)
    money = {target.panel for target in dashboard.targets if target.ref == CURRENCY}
    for title in money:
        assert not figures(panels[title]), title
        assert not {t.name for t in panels[title]} & CHANGES, title
        assert {t.ref for t in panels[title] if t.ref.startswith("no_")} <= {NO_PRICE, NO_TEAMS}, (
            title
        )
    if path.stem == "devin-overview":
        assert figures(panels["ACUs"])
        assert [t.ref for t in panels["Cost"]] == [NO_PRICE]
    if path.stem == "devin-cost":
        assert figures(panels["ACUs so far"])
        assert [t.ref for t in panels["Pool used"]] == ["no_pool"]
        assert [t.ref for t in panels["Limit used"]] == ["none_known"]
