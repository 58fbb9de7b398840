"""Each row of docs/reference/failures.md against real servers that misbehave."""

import pytest

from exporter.sources import SOURCES
from exporter.sources.devin import identity
from tests.failures.assertions import (
    assert_aged_and_back,
    assert_as_the_row_says,
    assert_never_answered,
    assert_series,
)
from tests.failures.rig import (
    HOUR,
    INTERVAL,
    Course,
    Servers,
    assert_failed,
    families_of,
    own_families,
    polled,
    polled_tasks,
    stage,
)
from tests.failures.rows import ONE_ENDPOINT, WHOLE_API, OneEndpoint, WholeApi
from tests.support.faulty_server import ELSEWHERE, PLAIN_HTTP


@pytest.mark.parametrize(
    ("row", "source"),
    [
        pytest.param(row, source, id=f"{row.slug}-{source}")
        for row in ONE_ENDPOINT
        for (source,) in row.victims
    ],
)
def test_one_endpoint(of: Servers, row: OneEndpoint, source: str) -> None:
    path, task = row.where(source)
    with stage(of, speed=row.speed) as at:
        before = polled(at)
        assert (before.down(), before.ready, before.failures()) == (set(), 200, {})
        at.logged()
        of.of((source,)).misbehave(row.behaviour, path)
        broken = polled(at)
        assert broken.failures() == {(task, row.reason): 1}
        assert_as_the_row_says(row, broken, {task})
        assert row.log in at.logged()
        at.clock.now += 3 * INTERVAL + 1
        everything = polled_tasks(at, [source.name for source in SOURCES])
        # To run out of time once more would take long and tell nothing.
        late = polled(at, *(everything - ({task} if row.speed > 1 else set())))
        assert_as_the_row_says(row, late, {task})
        assert late.missing(task) == 1
        of.heal()
        healed = polled(at)
        assert (healed.down(), healed.ready) == (set(), 200)
        assert "task recovered" in at.logged()
        course = Course(
            lost=own_families(at, {task}),
            follow=families_of(at, {task}) - own_families(at, {task}),
            before=before.data,
            broken=broken.data,
            late=late.data,
            healed=healed.data,
        )
        assert_series(row, course)
        assert not {ELSEWHERE, PLAIN_HTTP} & {*of.devin.asked, *of.gateway.asked}


def whole_apis(*, from_the_start: bool) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("row", "sources"),
        [
            pytest.param(row, sources, id=f"{row.slug}-{'-'.join(sources)}")
            for row in WHOLE_API
            if row.from_the_start == from_the_start
            for sources in row.victims
        ],
    )


@whole_apis(from_the_start=True)
def test_a_whole_api_from_the_start(of: Servers, row: WholeApi, sources: tuple[str, ...]) -> None:
    with stage(of) as at:
        row.breaks(of.of(sources), sources)
        assert_never_answered(row, at, sources, of.heal)


@whole_apis(from_the_start=False)
def test_a_whole_api_in_the_middle(of: Servers, row: WholeApi, sources: tuple[str, ...]) -> None:
    with stage(of) as at:
        before = polled(at)
        at.logged()
        row.breaks(of.of(sources), sources)
        broken = polled(at)
        tasks = polled_tasks(at, sources)
        assert_as_the_row_says(row, broken, tasks)
        assert row.log in at.logged()
        assert_failed(broken, tasks, {row.reason})
        at.clock.now += HOUR + 1
        late = polled(at)
        assert_as_the_row_says(row, late, tasks)
        assert all(late.missing(task) for task in tasks - {identity.TASK})
        of.heal()
        assert_aged_and_back(row, at, tasks, before=before, broken=broken, late=late)
