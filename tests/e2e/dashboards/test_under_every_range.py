"""Every panel under Grafana's quick ranges, and under ranges with fixed dates, past and future."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from exporter.sources.devin.billing.windows import DAY, billing_day
from tests.e2e.dashboards.test_in_prometheus import (
    CHANGES,
    EMPTY,
    FIRING,
    GATEWAYS_DAYS,
    OF_TODAY,
    QUEUE,
    nothing_to_count,
    says_why_empty,
    whole_days,
)
from tests.grafana.panels import DASHBOARDS, Dashboard, Range, Target, Viewer, panel
from tests.support.environment import AS_SHIPPED, DAYS, Scene, Server, history
from tests.support.prometheus import Labels, Prometheus, find, free_address, served

AHEAD_OF_UTC = timedelta(hours=8)
"""How far UTC is ahead of the dashboards' time zone."""
KNOWN_AFTER_SECONDS = 15 * 60


def day_start(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def month_start(moment: datetime, *, months: int = 0) -> datetime:
    whole = moment.year * 12 + moment.month - 1 + months
    return day_start(moment).replace(year=whole // 12, month=whole % 12 + 1, day=1)


def quick_ranges(now: float) -> dict[str, Range]:
    """Grafana's quick ranges at a moment, by their names; weeks begin on Monday."""
    here = datetime.fromtimestamp(now, UTC) - AHEAD_OF_UTC
    today, month = day_start(here), month_start(here)
    week, year = today - timedelta(days=today.weekday()), today.replace(month=1, day=1)
    one, seven = timedelta(days=1), timedelta(days=7)

    def between(start: datetime, end: datetime) -> Range:
        first, last = ((each + AHEAD_OF_UTC).timestamp() for each in (start, end))
        return Range(first, last - 0.001)

    return {
        **{
            f"Last {seconds} s": Range(now - seconds, now)
            for seconds in (300, 3_600, 6 * 3_600, DAY, 2 * DAY, 7 * DAY, 30 * DAY, 90 * DAY)
        },
        "Today": between(today, today + one),
        "Today so far": Range((today + AHEAD_OF_UTC).timestamp(), now),
        "This week": between(week, week + seven),
        "This month": between(month, month_start(month, months=1)),
        "This year": between(year, year.replace(year=year.year + 1)),
        "Yesterday": between(today - one, today),
        "Day before yesterday": between(today - 2 * one, today - one),
        "This day last week": between(today - seven, today - seven + one),
        "Previous week": between(week - seven, week),
        "Previous month": between(month_start(month, months=-1), month),
    }


def fixed_ranges(now: float) -> dict[str, Range]:
    """Ranges with dates: they end in the past, and in the future."""
    today = billing_day(now).start
    return {
        "ended": Range(today - 20 * DAY, today - 3 * DAY, relative=False),
        "goes on": Range(today - 10 * DAY, today + 5 * DAY, relative=False),
    }


def viewers(prometheus: Prometheus) -> Iterator[tuple[str, Viewer]]:
    now = round(time.time(), 3)
    for name, seen in (quick_ranges(now) | fixed_ranges(now)).items():
        yield name, Viewer(prometheus, seen, now=now)


def known_days(seen: Range, now: float) -> int:
    """The range's whole days whose figures are known by now."""
    newest = billing_day(now - KNOWN_AFTER_SECONDS).start
    first = billing_day(now).start - DAYS * DAY
    days = whole_days(Range(max(seen.start, first), min(seen.end, now)))
    return len([day for day in days if day * DAY < newest])


def with_data(seen: Viewer, dashboard: Dashboard) -> dict[Target, dict[Labels, dict[float, float]]]:
    values = seen.values(dashboard)
    return {target: seen.see(target, values) for target in dashboard.targets}


boards = pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
RECORDED = "user:devin_consumption_yesterday_acus:sum"


def lacking(seen: Viewer, dashboard: Dashboard) -> Iterator[tuple[str, str, str]]:
    """Queries that ought to have data and have none: of the present, and of the range's days."""
    assert seen.now is not None
    goes_on = seen.range.relative or seen.range.end > seen.now  # history lacks some of what was
    knows_days = known_days(seen.range, seen.now) >= 1
    rightly = {each for each, (_, holds) in EMPTY.items() if holds(30, 0)} | FIRING
    shown = with_data(seen, dashboard)
    rightly |= CHANGES | {GATEWAYS_DAYS} | nothing_to_count(shown)
    for target, told in shown.items():
        if told or says_why_empty(target) or target.name in rightly:
            continue
        forecast = target.legend.startswith("Forecast")
        days = "_yesterday_" in target.expr and ", so far" not in target.legend and not forecast
        days_of_all = days and knows_days and dashboard.uid != "devin-people"
        if goes_on if target.time_from else days_of_all:
            yield target.name


@boards
def test_the_present_and_days_are_shown_under_every_range(server: Server, path: Path) -> None:
    if server.setup != AS_SHIPPED:
        pytest.skip("the same as as shipped")
    for name, seen in viewers(server.prometheus):
        lacks = {*lacking(seen, Dashboard(path))}
        assert lacks <= QUEUE, name
        assert not lacks >= QUEUE, name


def of_cards(seen: Viewer, title: str) -> dict[Labels, dict[float, float]]:
    dashboard = Dashboard(next(path for path in DASHBOARDS if path.stem == "devin-overview"))
    return seen.see(panel("devin-overview", title), seen.values(dashboard))


def test_days_that_are_not_over_are_not_counted(server: Server) -> None:
    for name, seen in viewers(server.prometheus):
        assert seen.now is not None
        until_now = Range(seen.range.start, min(seen.range.end, seen.now))
        if not known_days(until_now, seen.now) or seen.range.seconds > DAYS * DAY:
            continue
        over = len(whole_days(until_now))
        ((labels, points),) = of_cards(seen, "Whole days").items()
        assert dict(labels)["line"] == f"known of {over}", name
        assert list(points.values()) == [over], name


@pytest.fixture(scope="module")
def victoria(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """VictoriaMetrics with the history, which scrapes the exporter; no rules record there."""
    binary = find("victoria-metrics", newer=True)
    if binary is None:
        pytest.skip("victoria-metrics is missing: `make test` brings it by apt")
    folder = tmp_path_factory.mktemp("victoria")
    file = history(scene, folder, "--until=now")
    address = free_address()
    scraped = folder / "scrape.yml"
    scraped.write_text(
        "scrape_configs: [{job_name: devin-exporter, scrape_interval: 2s, scrape_timeout: 2s, "
        f'static_configs: [{{targets: ["{scene.exporter}"], '
        "labels: {instance: devin-exporter}}]}]"
    )
    command = [
        binary,
        f"-storageDataPath={folder / 'data'}",
        f"-httpListenAddr={address}",
        "-retentionPeriod=400d",
        "-search.disableCache",
        "-search.latencyOffset=1s",
        "-memory.allowedBytes=256MB",
        f"-promscrape.config={scraped}",
    ]
    with served(command, f"http://{address}/health", folder / "log"):
        with file.open("rb") as content:
            httpx.post(
                f"http://{address}/api/v1/import/prometheus", content=content, timeout=60
            ).raise_for_status()
        httpx.get(f"http://{address}/internal/force_flush", timeout=60).raise_for_status()
        server = Prometheus(f"http://{address}")
        with server.client:
            server.until('devin_exporter_task_up{task="user_consumption"} == 1')
            server.until("devin_recent_session_info")
            server.until("rate(devin_exporter_api_requests_total[1m])")
            yield server


@boards
def test_victoria_metrics_shows_the_same_under_every_range(
    victoria: Prometheus, path: Path
) -> None:
    dashboard = Dashboard(path)
    recorded = {target.name for target in dashboard.targets if RECORDED in target.expr}
    for name, seen in viewers(victoria):
        assert {*lacking(seen, dashboard)} - recorded <= QUEUE, name


@boards
def test_victoria_metrics_answers_every_query(victoria: Prometheus, path: Path) -> None:
    dashboard = Dashboard(path)
    now = round(time.time(), 3)
    shown = with_data(Viewer(victoria, Range(now - 30 * DAY, now), now=now), dashboard)
    rightly = {each for each, (_, holds) in EMPTY.items() if holds(30, 0)} | nothing_to_count(shown)
    empty = {
        target.name
        for target, told in shown.items()
        if not told and not says_why_empty(target) and RECORDED not in target.expr
    }
    assert empty - rightly - QUEUE - CHANGES - FIRING - TOO_YOUNG == set()


TOO_YOUNG = OF_TODAY | {
    GATEWAYS_DAYS,
    ("devin-exporter", "Time of a response", "A"),  # of minutes in which there were any
    ("devin-people", "ACUs by day and product", "B"),  # who has not used anything today
    ("devin-teams", "Cost by day and team", "A"),  # no rules record cost there
    ("devin-teams", "Cost by day and team", "C"),  # the same
}


def test_victoria_metrics_tells_the_same_figures(victoria: Prometheus, server: Server) -> None:
    if server.setup != AS_SHIPPED:
        pytest.skip("the same as as shipped")
    now = round(time.time(), 3)
    for seen in (Range(now - 30 * DAY, now), quick_ranges(now)["This month"]):
        for title in ("Cost", "ACUs", "Sessions", "Whole days"):
            one, other = (
                of_cards(Viewer(each, seen, now=now), title)
                for each in (victoria, server.prometheus)
            )
            assert {dict(labels)["line"] for labels in one} == {
                dict(labels)["line"] for labels in other
            }
            first, second = (
                sum(*[points.values() for points in each.values()]) for each in (one, other)
            )
            assert first == pytest.approx(second, abs=1e-6), title
