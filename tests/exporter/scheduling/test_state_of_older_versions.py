"""A state file of an older version, as SQL, and what this version serves of it.

`UPDATE_GOLDEN=1` writes those of the present format; the ones of older formats stay as they are.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from exporter.demo.people import Size
from exporter.scheduling.state import State
from exporter.scheduling.state_file import FILE_NAME, StateFile
from exporter.scheduling.state_tables import APPLICATION_ID, FORMAT
from tests.support.rig import Clock, Rig, at, rig, simulated_api

NOW = at("2026-03-20 15:30:00")
SIZE = Size(organizations=2, users=4, days=40)
OWNER = b"https://api.test cog_the_key_of_older_versions"
FOLDER = Path(__file__).parents[2] / "payloads" / "state"
FORMATS = range(1, FORMAT + 1)
EMPTY_HERE = {"team_names", "team_session_names", "team_pull_request_states"}
"""There are no teams here."""


def sql_of(number: int) -> Path:
    return FOLDER / f"format_{number}.sql"


def write_file(folder: Path, number: int) -> None:
    with closing(sqlite3.connect(folder / FILE_NAME)) as tables:
        tables.executescript(sql_of(number).read_text())


def dump(folder: Path) -> str:
    with closing(sqlite3.connect(folder / FILE_NAME)) as tables:
        lines = list(tables.iterdump())
    pragmas = f"PRAGMA application_id = {APPLICATION_ID};\nPRAGMA user_version = {FORMAT};\n"
    return pragmas + "\n".join(lines) + "\n"


def write_present_format(folder: Path) -> None:
    clock = Clock(NOW - 300)
    with simulated_api(SIZE, clock) as (_, api), rig(api.url, clock) as polled:
        polled.poll()
        clock.now = NOW
        # Some have moved, and are not requested for their closed days again.
        polled.poll()
        state = state_of(polled, folder)
        state.save()
        state.close()
    sql_of(FORMAT).write_text(dump(folder))


def state_of(polled: Rig, folder: Path) -> State:
    return State(StateFile.open(folder, owner=OWNER), polled.tasks, polled.store)


@contextmanager
def restarted(folder: Path) -> Iterator[Rig]:
    """An exporter whose API is away, on the file."""
    with rig("http://127.0.0.1:9", Clock(NOW + 60)) as again:
        state = state_of(again, folder)
        state.restore()
        again.scheduler.publish_known()
        yield again
        state.save()
        state.close()


def consumption(polled: Rig) -> str:
    lines = polled.store.page.text.decode().splitlines(keepends=True)
    return "".join(line for line in lines if line.startswith("devin_") and "_acus{" in line)


def figures(text: str) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}
    for line in text.splitlines():
        series, _, value = line.rpartition(" ")
        name, _, labels = series.partition("{")
        found[name, labels] = float(value)
    return found


def test_each_part_of_the_present_format_is_in_its_file_and_restored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if os.environ.get("UPDATE_GOLDEN"):
        write_present_format(tmp_path / "written")
    write_file(tmp_path, FORMAT)
    with restarted(tmp_path) as again:
        parts = {part.name for task in again.tasks for part in task.kept}
        polled = [state for state in again.store.states().values() if state.task.poll]
        assert all(state.outcome for state in polled if state.task.kept)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as tables:
        kept = {part for (part,) in tables.execute("SELECT DISTINCT part FROM kept")}
    assert kept >= parts - EMPTY_HERE
    assert "is dropped" not in caplog.text


@pytest.mark.parametrize("number", FORMATS)
def test_what_an_older_version_has_kept_is_served(
    number: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_file(tmp_path, number)
    with restarted(tmp_path) as again:
        served = consumption(again)
    golden = FOLDER / f"format_{number}.txt"
    if os.environ.get("UPDATE_GOLDEN") and number == FORMAT:
        golden.write_text(served)
    expected = figures(golden.read_text())
    then = {name for name, _ in expected}
    now = {key: value for key, value in figures(served).items() if key[0] in then}
    # How sums are rounded depends on the version of Python.
    assert now == pytest.approx(expected, rel=1e-12)
    assert "devin_user_consumption_cycle_acus" in served
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as tables:
        assert tables.execute("PRAGMA user_version").fetchone() == (FORMAT,)
    dropped = [line for line in caplog.messages if "is dropped" in line]
    assert bool(dropped) == (number == 1)
