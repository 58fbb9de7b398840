"""Whether what the exporter shows is what a row of docs/reference/failures.md says."""

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet

import pytest

from exporter.errors import EntitiesUnknownError
from tests.failures.rig import (
    Course,
    Look,
    Servers,
    Stage,
    assert_aged,
    assert_aged_for_one,
    assert_ended,
    assert_failed,
    assert_kept,
    assert_never_there,
    assert_nobody_tells,
    assert_told_anew,
    course_of,
    polled,
    polled_tasks,
    servers,
)
from tests.failures.rows import BY_SLUG, Row, Series


@pytest.fixture(scope="module")
def of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """The servers of all tests of a file."""
    with servers(tmp_path_factory.mktemp("certificates")) as made:
        yield made


@pytest.fixture
def row(request: pytest.FixtureRequest) -> Row:
    """The row that has the test's name."""
    return BY_SLUG[request.node.name.removeprefix("test_")]


def assert_as_the_row_says(row: Row, look: Look, tasks: AbstractSet[str]) -> None:
    """These tasks, and no others, fare as the row says, and so do the health checks."""
    assert {look.up(task) for task in tasks} == {row.up}
    assert look.down() == (tasks if row.up == 0 else set())
    assert {task for task, _ in look.failures()} == (tasks if row.reason else set())
    reasons = {reason for _, reason in look.failures()} - {EntitiesUnknownError.reason}
    assert reasons == ({row.reason} if row.reason else set())
    assert look.ready == row.ready
    assert look.healthy == 200


WHAT_BECOMES: dict[Series, Callable[[Course], None]] = {
    Series.AGE: assert_aged,
    Series.NEVER: assert_never_there,
    Series.KEPT: assert_kept,
    Series.ENTITY: assert_aged_for_one,
    Series.ROW: assert_kept,
    Series.WINDOWS: assert_ended,
    Series.ANEW: assert_told_anew,
    Series.OFF: assert_aged,
    Series.NOBODY: assert_nobody_tells,
}


def assert_series(row: Row, course: Course) -> None:
    """What was published is what the row says becomes of the series."""
    assert (row.series in (Series.OFF, Series.NOBODY)) == (row.up is None)
    WHAT_BECOMES[row.series](course)


def assert_aged_and_back(
    row: Row, at: Stage, tasks: AbstractSet[str], *, before: Look, broken: Look, late: Look
) -> None:
    """Once these tasks have answers again, it has gone as the row says."""
    healed = polled(at)
    assert (healed.down(), healed.ready) == (set(), 200)
    course = course_of(
        at,
        tasks,
        before=before,
        broken=broken,
        late=late,
        healed=healed,
    )
    assert_series(row, course)


def assert_never_answered(
    row: Row, at: Stage, sources: Sequence[str], heal: Callable[[], object]
) -> None:
    """All goes as the row says from the start, and when it has been healed."""
    broken = polled(at)
    tasks = polled_tasks(at, sources)
    assert_as_the_row_says(row, broken, tasks)
    assert_failed(broken, tasks, {row.reason, EntitiesUnknownError.reason})
    assert row.log in at.logged()
    heal()
    healed = polled(at)
    assert (healed.down(), healed.ready) == (set(), 200)
    assert_series(row, course_of(at, tasks, before=None, broken=broken, healed=healed))
