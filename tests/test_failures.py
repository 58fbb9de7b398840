"""Each row of docs/failures.md against real servers that misbehave."""

from collections.abc import Iterator

import pytest
from failing import (
    INTERVAL,
    Servers,
    assert_comes_back_from_nothing,
    assert_failed,
    assert_gone,
    families_of,
    polled_tasks,
    servers,
    stage,
)
from failures import ONE_ENDPOINT, WHOLE_API, OneEndpoint, WholeApi, assert_as_the_row_says

from exporter.demo.endpoints import GATEWAY
from exporter.sources.devin import identity

HOUR = 3_600.0


@pytest.fixture(scope="module")
def of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with servers(tmp_path_factory.mktemp("certificates")) as made:
        yield made


@pytest.mark.parametrize(
    ("row", "source"),
    [
        pytest.param(row, source, id=f"{row.slug}-{source}")
        for row in ONE_ENDPOINT
        for source in row.sources
    ],
)
def test_one_endpoint(of: Servers, row: OneEndpoint, source: str) -> None:
    path, task = row.where(source)
    with stage(of, speed=row.speed) as at:
        at.rig.poll()
        before = at.look()
        assert (before.down(), before.ready, before.failures()) == (set(), 200, {})
        at.logged()
        (of.gateway if source == GATEWAY else of.devin).misbehave(row.behaviour, path)
        at.rig.poll()
        broken = at.look()
        assert broken.data() == before.data()
        assert broken.failures() == {(task, row.reason): 1}
        assert_as_the_row_says(row, broken, {task})
        assert row.log in at.logged()
        at.clock.now += 3 * INTERVAL + 1
        at.rig.poll()
        late = at.look()
        assert_as_the_row_says(row, late, {task})
        assert late.missing(task) == 1
        of.heal()
        at.rig.poll()
        healed = at.look()
        assert_gone(healed.data(), late.data(), families_of(at, {task}))
        assert (healed.down(), healed.ready) == (set(), 200)
        assert "task recovered" in at.logged()


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
        row.breaks(of.gateway if GATEWAY in sources else of.devin, sources)
        at.rig.poll()
        broken = at.look()
        tasks = polled_tasks(at, sources)
        assert_as_the_row_says(row, broken, tasks)
        assert row.log in at.logged()
        assert_failed(broken, tasks, {row.reason, "entities_unknown"})
        assert_comes_back_from_nothing(of, at, broken, tasks)


@whole_apis(from_the_start=False)
def test_a_whole_api_in_the_middle(of: Servers, row: WholeApi, sources: tuple[str, ...]) -> None:
    with stage(of) as at:
        at.rig.poll()
        before = at.look()
        at.logged()
        row.breaks(of.gateway if GATEWAY in sources else of.devin, sources)
        at.rig.poll()
        broken = at.look()
        tasks = polled_tasks(at, sources)
        assert broken.data() == before.data()
        assert_as_the_row_says(row, broken, tasks)
        assert row.log in at.logged()
        assert_failed(broken, tasks, {row.reason})
        at.clock.now += HOUR + 1
        at.rig.poll()
        late = at.look()
        assert_as_the_row_says(row, late, tasks)
        assert all(late.missing(task) for task in tasks - {identity.TASK})
        assert_comes_back_from_nothing(of, at, late, tasks)
