"""Prometheus, filled with 90 days and scraping since, tells what the simulated ledger holds."""

import math
from collections.abc import Mapping
from itertools import pairwise

import pytest

from exporter.sources.devin.billing.windows import DAY, billing_day, billing_day_start, day_number
from tests.support.environment import AS_SHIPPED, DAYS, SCOPES, Scene, Server, ledger, used

ANY_INSTANCE = "max without (instance, pod, endpoint)"


def daily(metric: str) -> str:
    """ACUs of the day that starts at the evaluation time."""
    return f"{ANY_INSTANCE} (last_over_time({metric}[23h50m] offset -47h59m))"


def of_last_days(metric: str, days: int) -> str:
    """ACUs of the last complete days, ten minutes after the last one ended at the earliest."""
    each_day = f"{ANY_INSTANCE} (last_over_time({metric}[23h50m] offset -31h59m))"
    return f"sum_over_time(({each_day})[{days - 1}d23h59m59s:1d] offset 8h10m)"


def keyed(
    values: Mapping[frozenset[tuple[str, str]], float], scope: str
) -> dict[tuple[str, ...], float]:
    """Values by the labels that tell them apart; those without use left out."""
    found: dict[tuple[str, ...], float] = {}
    for labels, value in values.items():
        key = tuple(dict(labels)[name] for name in SCOPES[scope])
        assert key not in found, f"{key} stands twice"
        found[key] = value
    return {key: value for key, value in found.items() if value}


@pytest.mark.parametrize("scope", SCOPES)
def test_every_day_of_ninety_and_the_running_one_equal_the_ledger(
    server: Server, scene: Scene, scope: str
) -> None:
    expected = ledger(scene, scope)
    *finished, today = expected
    course = server.prometheus.course(
        daily(f"devin_{scope}consumption_yesterday_acus"),
        start=billing_day_start(finished[0]),
        end=billing_day_start(today),
        step=DAY,
    )
    for day in finished:
        moment = billing_day_start(day)
        told = {labels: points[moment] for labels, points in course.items() if moment in points}
        assert keyed(told, scope) == pytest.approx(used(expected[day]), abs=1e-6), day
    assert not any(billing_day_start(today) in points for points in course.values())
    running = server.prometheus.instant(f"{ANY_INSTANCE} (devin_{scope}consumption_today_acus)")
    assert keyed(running, scope) == pytest.approx(used(expected[today]), abs=1e-6)
    assert len(finished) == DAYS
    assert any(expected[finished[0]].values())


@pytest.mark.parametrize("days", [1, 30, 85])
@pytest.mark.parametrize("scope", SCOPES)
def test_the_sum_over_whole_days_equals_the_ledger_at_any_hour(
    server: Server, scene: Scene, scope: str, days: int
) -> None:
    expected = ledger(scene, scope)
    today = max(expected)
    query = of_last_days(f"devin_{scope}consumption_yesterday_acus", days)
    asked = 0
    for moment in _moments(scene.now, today, every_hour=scope == ""):
        last = day_number(billing_day(moment - 600).start) - 1
        if last - days + 1 < min(expected):
            continue
        asked += 1
        summed: dict[tuple[str, ...], list[float]] = {}
        for day in range(last - days + 1, last + 1):
            for key, acus in expected[day].items():
                summed.setdefault(key, []).append(acus)
        told = keyed(server.prometheus.instant(query, at=moment), scope)
        whole = used({key: math.fsum(parts) for key, parts in summed.items()})
        assert told == pytest.approx(whole, abs=1e-6), (moment, last)
    assert asked >= 3


def _moments(now: float, today: int, *, every_hour: bool) -> list[float]:
    """Now, and around the ends of billing days, UTC days, and in turn a month and a cycle."""
    back = (1, 2, 15, 16, 17, 18, 19, 20, 31) if every_hour else (2, 20)
    hours = (0.0, 3.97, 8.0, 8.1, 8.17, 12.0, 23.9997) if every_hour else (8.1, 8.17)
    return [now, *((today - days) * DAY + hour * 3_600 for days in back for hour in hours)]


def test_history_and_scrapes_meet_without_a_gap_or_a_jump(server: Server, scene: Scene) -> None:
    courses: dict[frozenset[tuple[str, str]], dict[float, float]] = {}
    told = server.prometheus.samples(
        '{__name__=~"devin_.*_yesterday_acus|devin_previous_.*_users|devin_organization_info|'
        'devin_sessions_created_yesterday|devin_acu_price"}[8h]'
    )
    for labels, points in told.items():
        fact = frozenset((k, v) for k, v in labels if k not in {"instance", "job"})
        courses.setdefault(fact, {}).update(points)
    day = billing_day(scene.now).start
    for fact, course in courses.items():
        # Of who last had use on the day before, the window may hold one hour's sample alone.
        gaps = (later - earlier for earlier, later in pairwise(sorted(course)))
        assert max(gaps, default=0) <= server.longest_gap, fact
        if "_acus" in dict(fact)["__name__"]:
            # Who had no use on the last complete day has a series of earlier days alone.
            least = 0 if {"user_id", "service_user_id"} & dict(fact).keys() else 1
            # Sums over people are the same but for the order in which they were added.
            values = {round(value, 9) for moment, value in course.items() if moment > day}
            assert least <= len(values) <= 1, fact
    assert len(courses) > 50
    if server.setup == AS_SHIPPED:
        assert len(told) == len(courses)
        assert {(dict(s)["job"], dict(s)["instance"]) for s in told} == {("devin-exporter",) * 2}
