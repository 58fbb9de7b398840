"""The rows of docs/reference/failures.md in which time passes, or is set."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from threading import Event

import apscheduler.executors.base
import apscheduler.schedulers.base
import apscheduler.triggers.interval
import pytest

import exporter.scheduling.scheduler
from exporter.demo.endpoints import GATEWAY, V2, V3
from exporter.scheduling.scheduler import SKIPPED
from exporter.scheduling.store import LAST_SUCCESS
from exporter.sources.devin.consumption.scopes import USER_SCOPE
from exporter.sources.devin.derived import metering, pricing
from exporter.sources.devin.operations.breakdowns import metrics as breakdowns
from tests.failures.assertions import assert_aged_and_back, assert_as_the_row_says, assert_series
from tests.failures.rig import (
    HOUR,
    NOW,
    Course,
    FastClock,
    Figures,
    Look,
    Servers,
    assert_failed,
    course_of,
    families_of,
    live,
    names,
    own_families,
    polled,
    polled_tasks,
    stage,
)
from tests.failures.rows import MAIN, Row
from tests.support.faulty_server import held, slow, status
from tests.support.rig import at

FAST = 10.0


def test_429_for_ten_minutes(of: Servers, row: Row) -> None:
    (sources,) = row.victims
    with stage(of) as staged:
        of.devin.asked.clear()
        before = polled(staged)
        asked_for_everything = len(of.devin.asked)
        staged.logged()
        of.devin.misbehave(status(429, Retry_After="600"), "/v3*")
        tasks = polled_tasks(staged, sources)
        looks: list[Look] = []
        for minutes in (0, 5, 10):
            staged.clock.now = NOW + minutes * 60
            of.devin.asked.clear()
            looks.append(polled(staged))
            assert len(of.devin.asked) <= asked_for_everything
            assert_as_the_row_says(row, looks[-1], tasks)
            assert_failed(looks[-1], tasks, {row.reason})
        assert row.log in staged.logged()
        of.heal()
        healed = polled(staged)
        assert (healed.down(), healed.ready) == (set(), 200)
        # These are polled every minute, and so are too old after three.
        soon_old = {"queue", "sessions"}
        lost = own_families(staged, soon_old)
        course = Course(
            lost=lost,
            follow=families_of(staged, soon_old) - lost,
            before=before.data,
            broken=looks[0].data,
            late=looks[-1].data,
            healed=healed.data,
        )
        assert_series(row, course)


def test_the_api_is_down_for_an_hour__then_back(of: Servers, row: Row) -> None:
    (sources,) = row.victims
    with stage(of) as staged:
        before = polled(staged)
        of.devin.refuse()
        tasks = polled_tasks(staged, sources)
        looks: list[Look] = []
        for minutes in (0, 5, 14, 16, 30, 61):
            staged.clock.now = NOW + minutes * 60
            looks.append(polled(staged))
            assert_as_the_row_says(row, looks[-1], tasks)
            assert_failed(looks[-1], tasks, {row.reason})
            assert looks[-1].data.items() <= before.data.items()
        seen = [len(look.data) for look in looks]
        assert seen == sorted(seen, reverse=True)
        assert row.log in staged.logged()
        of.heal()
        assert_aged_and_back(row, staged, tasks, before=before, broken=looks[0], late=looks[-1])


def names_of_windows(look: Look, *windows: str) -> set[str]:
    """Devin's families over these windows."""
    found = {name for name in names(of_devin(look)) if "limit" not in name}
    return {name for name in found if any(f"_{window}" in name for window in windows)}


def of_devin(look: Look) -> Figures:
    return {key: value for key, value in look.data.items() if not key[0].startswith("aione_")}


def of_the_gateway(look: Look) -> Figures:
    return {key: value for key, value in look.data.items() if key[0].startswith("aione_")}


def across(
    of: Servers,
    row: Row,
    *,
    boundary: str,
    ends: tuple[str, ...],
    stays: tuple[str, ...],
    of_others: tuple[str, ...] = (),
) -> None:
    """Down from shortly before a boundary until long after it.

    Args:
        ends: windows of v3 that end there.
        stays: those that go on.
        of_others: how the names of the other sources' families begin whose windows end there, too.
    """
    (sources,) = row.victims
    end = at(boundary)
    with stage(of, at=end - 100) as staged:
        before = polled(staged)
        assert all(names_of_windows(before, window) for window in (*ends, *stays))
        of.devin.refuse()
        staged.clock.now = end - 0.001
        assert staged.look().data == before.data
        of.clock.now = staged.clock.now = end
        at_the_end = staged.look()
        tasks = polled_tasks(staged, sources)
        for seconds in (5, 600):
            of.clock.now = staged.clock.now = end + seconds
            broken = polled(staged)
            assert of_devin(broken).items() <= of_devin(at_the_end).items()
            assert all(names_of_windows(broken, window) for window in stays)
            assert of_the_gateway(broken)
            assert_as_the_row_says(row, broken, tasks)
        assert row.log in staged.logged()
        of.clock.now = staged.clock.now = end + HOUR + 600
        late = polled(staged)
        assert_as_the_row_says(row, late, tasks)
        of.heal()
        healed = polled(staged)
        assert all(names_of_windows(healed, window) for window in (*ends, *stays))
        assert (healed.down(), healed.ready) == (set(), 200)
        assert of_the_gateway(late) == of_the_gateway(healed)
        course = course_of(
            staged,
            tasks,
            before=before,
            broken=at_the_end,
            late=late,
            healed=healed,
        )
        ended = names_of_windows(before, *ends) - names_of_windows(before, *stays)
        others = {name for name in names(before.data) if name.startswith(of_others)}
        assert_series(row, replace(course, ended=ended | others))


def test_the_api_is_down_across_00_00_utc(of: Servers, row: Row) -> None:
    across(
        of,
        row,
        boundary="2026-03-21 00:00:00",
        ends=("daily_active_users", "previous_day_active_users"),
        stays=("consumption_today", "consumption_yesterday"),
        of_others=("aione_today_", "aione_yesterday_"),
    )


def test_the_api_is_down_across_08_00_utc(of: Servers, row: Row) -> None:
    across(
        of,
        row,
        boundary="2026-03-20 08:00:00",
        ends=("today", "yesterday"),
        stays=("consumption_cycle", "consumption_previous_cycle", "daily_active_users"),
        of_others=("devin_v2_",),
    )


def test_the_api_is_down_across_the_end_of_a_cycle(of: Servers, row: Row) -> None:
    across(
        of,
        row,
        boundary="2026-04-05 08:00:00",
        ends=("today", "yesterday", "cycle", "previous_cycle", "billing_cycle", "code_scan"),
        stays=("daily_active_users",),
    )


def tasks_of(look: Look) -> set[str]:
    """The tasks that poll."""
    return {dict(labels)["task"] for labels in look.page.family(SKIPPED.name)}


def all_up(look: Look) -> bool:
    return all(look.up(task) for task in tasks_of(look))


def test_a_poll_that_takes_longer_than_its_interval(of: Servers, row: Row) -> None:
    task = USER_SCOPE.task
    # Everybody has a turn at every poll.
    settings = {"DEVIN_POLL_INTERVAL": "20", "DEVIN_SWEEP_INTERVAL": "1"}
    with live(of, FastClock(NOW, FAST), settings) as watched:
        before = watched.until(all_up)
        watched.logged()
        of.devin.misbehave(slow(2.2), f"{MAIN[V3][0]}/users/*")
        watched.until(lambda look: bool(look.page.one(SKIPPED.name, task=task)))
        once = watched.look().page.one(LAST_SUCCESS.name, task=task)
        after = watched.until(lambda look: look.page.one(LAST_SUCCESS.name, task=task) != once)
        assert_as_the_row_says(row, after, tasks_of(after))
        assert watched.logged() == row.log
        assert_series(row, Course(lost=frozenset(), before=before.data, broken=after.data))


@contextmanager
def machine_of(clock: FastClock) -> Iterator[None]:
    """Has whoever plans by the time of day see that a clock is set."""
    began = clock.now

    class Set(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(seconds=clock.now - began)

    with pytest.MonkeyPatch.context() as patched:
        for module in (
            apscheduler.executors.base,
            apscheduler.schedulers.base,
            apscheduler.triggers.interval,
            exporter.scheduling.scheduler,
        ):
            patched.setattr(module, "datetime", Set)
        yield


def set_by(of: Servers, row: Row, seconds: float) -> None:
    assert row.victims == ((V3, V2, GATEWAY),)
    clock = FastClock(NOW, FAST)
    with machine_of(clock), live(of, clock) as watched:
        before = watched.until(all_up)
        watched.logged()
        answers = Event()
        of.devin.misbehave(held(answers), "/*")
        of.gateway.misbehave(held(answers), "/*")
        clock.now += seconds
        set_to = clock()
        # The one stays true, the other is a setting.
        lost = names(before.data) - {metering.METERED.name, pricing.LARGE_SESSION.name}
        absent = watched.until(lambda look: not lost & names(look.data))
        answers.set()

        def polled_anew(look: Look) -> bool:
            seen = look.page.family(LAST_SUCCESS.name)
            return all(set_to <= moment < set_to + HOUR / 2 for moment in seen.values())

        after = watched.until(polled_anew)
        assert row.log in watched.logged()
        assert_as_the_row_says(row, after, tasks_of(after))
        assert_series(
            row,
            Course(
                lost=lost,
                # Sessions of the last hours are counted, which are others now, and what they
                # had consumed when the day began is known no more.
                follow={"devin_sessions", *(metric.name for metric in breakdowns.METRICS)},
                before=before.data,
                broken=absent.data,
                healed=after.data,
            ),
        )


def test_the_clock_of_the_machine_is_set_forward_by_an_hour(of: Servers, row: Row) -> None:
    set_by(of, row, HOUR)


def test_the_clock_of_the_machine_is_set_back_by_an_hour(of: Servers, row: Row) -> None:
    set_by(of, row, -HOUR)
