"""The rows of docs/reference/failures.md about the file of a key."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from exporter.demo.endpoints import V3
from tests.failures.assertions import assert_aged_and_back, assert_as_the_row_says, assert_series
from tests.failures.rig import (
    HOUR,
    KEYS,
    NEW_KEY,
    Servers,
    assert_failed,
    course_of,
    polled,
    polled_tasks,
    stage,
)
from tests.failures.rows import Row
from tests.support.faulty_server import only

NOBODY = 65_534


def from_file(file: Path) -> dict[str, str | None]:
    return {"DEVIN_SERVICE_USER_TOKEN": None, "DEVIN_SERVICE_USER_TOKEN_FILE": str(file)}


def test_the_file_of_a_key_is_rewritten(of: Servers, row: Row, tmp_path: Path) -> None:
    (sources,) = row.victims
    file = tmp_path / "key"
    file.write_text(KEYS[V3])
    with stage(of, from_file(file)) as staged:
        before = polled(staged)
        staged.logged()
        file.write_text(f"{NEW_KEY}\n")
        of.devin.misbehave(only(NEW_KEY), "/v3*")
        after = polled(staged)
        tasks = polled_tasks(staged, sources)
        assert_as_the_row_says(row, after, tasks)
        assert staged.logged() == row.log
        assert_series(row, course_of(staged, tasks, before=before, broken=after))


def test_the_file_of_a_key_is_emptied(of: Servers, row: Row, tmp_path: Path) -> None:
    broken_key_file(of, row, tmp_path / "key", lambda file: file.write_text(""))


def test_the_file_of_a_key_is_deleted(of: Servers, row: Row, tmp_path: Path) -> None:
    broken_key_file(of, row, tmp_path / "key", Path.unlink)


def test_the_file_of_a_key_is_unreadable(of: Servers, row: Row, tmp_path: Path) -> None:
    with without_the_rights_of_root() as forbid:
        broken_key_file(of, row, tmp_path / "key", forbid)


def test_the_file_of_a_key_becomes_a_pipe(of: Servers, row: Row, tmp_path: Path) -> None:
    def replace(file: Path) -> None:
        file.unlink()
        os.mkfifo(file)

    broken_key_file(of, row, tmp_path / "key", replace)


def broken_key_file(of: Servers, row: Row, file: Path, break_: Callable[[Path], object]) -> None:
    (sources,) = row.victims
    file.write_text(KEYS[V3])
    with stage(of, from_file(file)) as staged:
        before = polled(staged)
        break_(file)
        broken = polled(staged)
        tasks = polled_tasks(staged, sources)
        assert_as_the_row_says(row, broken, tasks)
        assert_failed(broken, tasks, {row.reason})
        assert row.log in staged.logged()
        staged.clock.now += HOUR + 1
        late = polled(staged)
        assert_as_the_row_says(row, late, tasks)
        os.seteuid(os.getuid())
        file.unlink(missing_ok=True)
        file.write_text(KEYS[V3])
        assert_aged_and_back(row, staged, tasks, before=before, broken=broken, late=late)


@contextmanager
def without_the_rights_of_root() -> Iterator[Callable[[Path], None]]:
    """Gives a way to forbid a file, from root itself, too, who reads everything otherwise."""

    def forbid(file: Path) -> None:
        file.chmod(0)
        if os.getuid() == 0:
            os.seteuid(NOBODY)

    try:
        yield forbid
    finally:
        os.seteuid(os.getuid())
