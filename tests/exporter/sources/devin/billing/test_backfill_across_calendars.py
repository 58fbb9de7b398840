"""The history on a server whose days start at midnight in Los Angeles, and on a documented one."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import chain
from typing import get_args

import pytest

from exporter.client.checkpoint import Checkpoint
from exporter.demo.calendar import DAY, Calendar, DayStart
from exporter.demo.people import Size
from exporter.demo.world import World
from exporter.exposition.openmetrics import BackfillRange, Segment
from exporter.sources.devin.backfill.plan import backfill
from tests.support.rig import Clock, at, rig, simulated_api

DAYS = 12
UNTIL = {
    "the clocks went forward": "2026-03-15 15:00:00",
    "summer, and a cycle's end": "2026-07-09 15:00:00",
    "the clocks went back, and a cycle's end": "2026-11-08 15:00:00",
    "in the hour of doubt": "2026-07-09 07:30:00",
}


@contextmanager
def written(day_start: DayStart, now: float) -> Iterator[tuple[World, list[Segment]]]:
    size = Size(organizations=2, users=8, days=100, calendar=Calendar(day_start))
    clock = Clock(now)
    with simulated_api(size, clock) as (world, api), rig(api.url, clock) as polled:
        planned = backfill(polled.opened[0], BackfillRange(days=DAYS, until=now))
        with closing(Checkpoint.temporary()) as checkpoint:
            for request in chain.from_iterable(planned.requests):
                checkpoint.add(request, planned.client.get_json(request))
            yield world, list(planned.stretches(checkpoint))


def of(segments: list[Segment], name: str, product: str | None = None) -> list[Segment]:
    labels = () if product is None else (product,)
    return [
        each
        for each in segments
        if each.sample.metric.name == name and each.sample.labels == labels
    ]


@pytest.mark.parametrize("until", UNTIL.values(), ids=UNTIL)
@pytest.mark.parametrize("day_start", get_args(DayStart))
def test_each_day_has_its_own_figures_while_it_certainly_was_yesterday(
    day_start: DayStart, until: str
) -> None:
    now = at(until)
    with written(day_start, now) as (world, segments):
        calendar = world.calendar
        finished = Calendar().number(now)
        shown = of(segments, "devin_consumption_yesterday_acus", "devin")
        sessions = of(segments, "devin_sessions_created_yesterday")
        prs = of(segments, "devin_prs_created_yesterday")
        days = range(finished - DAYS, finished)
        assert [s.start for s in shown] == [Calendar().end_of(day) for day in days]
        for day, acus, created, opened in zip(days, shown, sessions, prs, strict=True):
            told = world.consumption(range(day, day + 1), now)
            assert acus.sample.value == pytest.approx(told.get(day, {}).get("devin", 0.0))
            # As the page shows it live: absent once the next day may have ended.
            assert acus.end == min(calendar.end_of(day + 1), int(now) + 1)
            start, end = calendar.start_of(day), calendar.end_of(day)
            counted = world.sessions(start, end, now, org=None)
            assert created.sample.value == counted.created
            states = counted.by_pull_request
            assert opened.sample.value == states.total() - states[None]


@pytest.mark.parametrize("day_start", get_args(DayStart))
def test_a_cycles_total_is_shown_from_when_the_cycle_has_certainly_ended(
    day_start: DayStart,
) -> None:
    now = at(UNTIL["summer, and a cycle's end"])
    with written(day_start, now) as (world, segments):
        before, after = of(segments, "devin_consumption_previous_cycle_acus", "devin")
        (start, end), _ = world.cycles(now)[1:3]
        assert (before.end, after.start) == (float(end), at("2026-07-05 08:00:00"))
        days = range(start // DAY, end // DAY)
        told = world.consumption(days, now)
        assert after.sample.value == pytest.approx(sum(use["devin"] for use in told.values()))
