"""Figures of chosen organizations: their sum, and nothing where the part of one is unknown."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from exporter.sources.devin.billing.windows import DAY
from tests.grafana.panels import DASHBOARDS, Dashboard, Range, Viewer, panel
from tests.support.prometheus import find, make_blocks, prometheus

JOB, EVERY_SECONDS, HOUR = "devin-exporter", 60, 3_600
KNOWN, ALSO_KNOWN, UNUSED, UNKNOWN = "known", "also_known", "unused", "unknown"
"""Organizations; the last one is listed, and no figure of it is known."""
SESSIONS = {KNOWN: 6, ALSO_KNOWN: 2, UNUSED: 0}
MEAN_ACUS = {KNOWN: 3.0, ALSO_KNOWN: 5.0}
PULL_REQUESTS = {"created": 8, "merged": 4, "closed": 1, "open": 3}


def samples() -> Iterator[tuple[str, str, float]]:
    """What an exporter with an organization's key publishes."""
    yield "devin_exporter_build_info", 'version="1",revision="a"', 1
    for org_id in (*SESSIONS, UNKNOWN):
        yield "devin_organization_info", f'org_id="{org_id}",org_name="{org_id}"', 1
    for org_id, sessions in SESSIONS.items():
        of_this = f'org_id="{org_id}"'
        yield "devin_organization_sessions_created_cycle", of_this, sessions
        yield "devin_organization_sessions_with_playbook_cycle", of_this, sessions / 2
        for state, number in PULL_REQUESTS.items():
            yield f"devin_organization_prs_{state}_cycle", of_this, number
        if sessions:
            origin = f'{of_this},origin="slack"'
            yield "devin_organization_sessions_created_by_origin_cycle", origin, sessions - 1
            mean = MEAN_ACUS[org_id]
            yield "devin_organization_session_average_cycle_acus", of_this, mean


def text(end: float) -> Iterator[str]:
    for metric in dict.fromkeys(metric for metric, _, _ in samples()):
        yield f"# TYPE {metric} gauge\n"
        for name, labels, value in samples():
            if name == metric:
                series = f'{name}{{job="{JOB}",instance="exporter",{labels}}}'
                yield from (
                    f"{series} {value} {end - EVERY_SECONDS * back}\n"
                    for back in range(2 * DAY // EVERY_SECONDS, -1, -1)
                )
    yield "# EOF\n"


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Viewer]:
    """Who looks at the last hour of it."""
    binary, promtool = (find(name, newer=False) for name in ("prometheus", "promtool"))
    if binary is None or promtool is None:
        pytest.skip("prometheus is missing: `make test` brings it by apt")
    folder = tmp_path_factory.mktemp("prometheus")
    end = datetime(2026, 3, 20, 15, 25, tzinfo=UTC).timestamp()
    (folder / "samples.om").write_text("".join(text(end)))
    make_blocks(folder / "samples.om", folder / "data", promtool=promtool)
    with prometheus(binary, folder, "global: {}") as server:
        yield Viewer(server, Range(end + 2 - HOUR, end + 2), job=JOB, now=end + 2)


def shown(seen: Viewer, title: str, ref: str, *chosen: str) -> list[float]:
    """The last values of a query of the dashboard Adoption."""
    return [points[max(points)] for points in courses(seen, title, ref, *chosen)]


def courses(seen: Viewer, title: str, ref: str, *chosen: str) -> list[dict[float, float]]:
    path = next(path for path in DASHBOARDS if path.stem == "devin-adoption")
    viewer = Viewer(seen.prometheus, seen.range, organizations=chosen, job=JOB, now=seen.now)
    answer = viewer.see(panel("devin-adoption", title, ref), viewer.values(Dashboard(path)))
    return list(answer.values())


FIGURES = {
    ("Sessions", "A"): (6, 8),
    ("Merge rate", "A"): (0.5, 0.5),
    ("Sessions with a playbook", "A"): (0.5, 0.5),
    ("ACUs of a session", "A"): (3, 3.5),
    ("Sessions by origin", "A"): (5, 6),
    ("Pull requests", "A"): (8, 24),
    ("Pull requests in the cycle", "A"): (8, 24),
    ("Pull requests in the cycle", "B"): (4, 12),
}
"""Of one organization, and of all three that are known, one of which has no session."""

figures = pytest.mark.parametrize("query", FIGURES, ids=" ".join)


@figures
def test_one_chosen_organization_shows_its_own_figure(seen: Viewer, query: tuple[str, str]) -> None:
    assert shown(seen, *query, KNOWN) == pytest.approx([FIGURES[query][0]])


@figures
def test_several_chosen_organizations_are_added_up(seen: Viewer, query: tuple[str, str]) -> None:
    assert shown(seen, *query, *SESSIONS) == pytest.approx([FIGURES[query][1]])


@figures
def test_a_sum_that_lacks_an_organization_is_not_shown(
    seen: Viewer, query: tuple[str, str]
) -> None:
    assert shown(seen, *query, KNOWN, UNKNOWN) == []
    assert shown(seen, *query, UNKNOWN) == []
    assert shown(seen, *query) == []


DAY_STARTS = datetime(2026, 3, 20, 8, tzinfo=UTC).timestamp()


def test_a_finished_day_has_no_figure_that_was_seen_before_its_end(seen: Viewer) -> None:
    later = replace(seen, range=Range(seen.range.end - 7 * DAY, seen.range.end))
    created, merged = (courses(later, "Pull requests in the cycle", ref, KNOWN) for ref in "AB")
    assert created == [{DAY_STARTS: PULL_REQUESTS["created"]}]
    moments = [DAY_STARTS - 2 * DAY, DAY_STARTS - DAY, DAY_STARTS]
    assert merged == [dict.fromkeys(moments, PULL_REQUESTS["merged"])]


def test_a_day_is_not_the_running_one_where_the_range_ends_with_it(seen: Viewer) -> None:
    yesterday = replace(seen, range=Range(DAY_STARTS - DAY, DAY_STARTS - 0.001))
    assert courses(yesterday, "Pull requests in the cycle", "A", KNOWN) == []
