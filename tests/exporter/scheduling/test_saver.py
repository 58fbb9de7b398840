"""When the state is saved: beside the polls, one save at a time, and once more at the end."""

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from exporter.process import Timing
from exporter.scheduling.kept import Entry, Kept
from exporter.scheduling.saver import Saver
from exporter.scheduling.scheduler import Scheduler
from exporter.scheduling.state import State
from exporter.scheduling.state_file import FILE_NAME, StateFile
from exporter.scheduling.store import Store
from exporter.scheduling.task import Snapshot, Task
from tests.support.limits import HANG_SECONDS
from tests.support.rig import Clock, at

NOW = at("2026-03-20 15:30:00")
OWNER = b"o"


@dataclass
class Disk:
    """Saves that last until they are released."""

    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    released: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    saves: int = 0

    def save(self) -> None:
        """Wait for the release."""
        self.saves += 1
        self.begun.release()
        assert self.released.acquire(timeout=HANG_SECONDS)

    def await_save(self) -> None:
        """Wait for the next save to begin."""
        assert self.begun.acquire(timeout=HANG_SECONDS)


def test_requests_during_a_save_lead_to_one_further_save() -> None:
    disk = Disk()
    saver = Saver(disk.save)
    saver.request()
    disk.await_save()
    for _ in range(5):
        saver.request()
    disk.released.release()
    disk.await_save()
    assert disk.saves == 2
    disk.released.release(2)
    assert saver.close(within=HANG_SECONDS)
    assert disk.saves == 3


def test_the_end_does_not_wait_for_a_disk_that_hangs() -> None:
    disk = Disk()
    saver = Saver(disk.save)
    saver.request()
    disk.await_save()
    assert not saver.close(within=0)
    disk.released.release(2)
    assert saver.close(within=HANG_SECONDS)


@dataclass
class Counted:
    """A task that counts its polls, and keeps their number."""

    copied: Callable[[], None] = lambda: None
    polls: int = 0

    def _poll(self) -> None:
        self.polls += 1

    def _entries(self) -> Mapping[str, Entry]:
        text = str(self.polls)
        self.copied()
        return {"polls": Entry(text, text.encode)}

    def _restore(self, values: Mapping[str, bytes]) -> None:
        self.polls = int(values["polls"])

    def task(self) -> Task:
        """The task."""
        return Task(
            name="counted",
            source="test",
            interval=60.0,
            metrics=(),
            poll=self._poll,
            snapshot=lambda now, max_age: Snapshot(),  # noqa: ARG005 - called by keyword
            kept=(Kept(name="counted", entries=self._entries, restore=self._restore),),
        )


@dataclass
class Started:
    """A scheduler whose tasks are polled by hand, and the state."""

    counted: Counted
    store: Store
    scheduler: Scheduler
    state: State

    def poll(self) -> None:
        """Poll once."""
        for each in self.store.states().values():
            self.scheduler.poll(each.task)


@contextmanager
def started(folder: Path, counted: Counted) -> Iterator[Started]:
    tasks: Sequence[Task] = (counted.task(),)
    store = Store(tasks)
    state = State(StateFile.open(folder, owner=OWNER), tasks, store)
    scheduler = Scheduler(
        tasks,
        store=store,
        registry=CollectorRegistry(),
        timing=Timing(Clock(NOW)),
        polled=state.changed,
    )
    yield Started(counted, store, scheduler, state)
    state.close()


def rows(folder: Path) -> set[tuple[str, str]]:
    with closing(sqlite3.connect(folder / FILE_NAME)) as tables:
        return set(tables.execute("SELECT part, key FROM kept WHERE part != ''"))


def test_polls_go_on_while_the_disk_hangs_and_the_last_of_them_is_kept(tmp_path: Path) -> None:
    disk = Disk()
    with started(tmp_path, Counted(copied=disk.save)) as run:
        run.state.restore()
        run.poll()
        disk.await_save()
        run.poll()
        run.poll()
        disk.released.release(1_000)
    with started(tmp_path, Counted()) as again:
        again.state.restore()
        assert again.counted.polls == 3


def test_what_is_received_after_the_last_poll_is_kept_at_the_end(tmp_path: Path) -> None:
    with started(tmp_path, Counted()) as run:
        run.state.restore()
        run.counted.polls = 7
    with started(tmp_path, Counted()) as again:
        again.state.restore()
        assert again.counted.polls == 7


def test_an_end_before_everything_is_restored_keeps_what_there_was(tmp_path: Path) -> None:
    with started(tmp_path, Counted(polls=7)) as run:
        run.state.restore()
    with started(tmp_path, Counted()):
        pass
    with started(tmp_path, Counted()) as again:
        again.state.restore()
        assert again.counted.polls == 7


def test_a_poll_that_ends_while_the_state_is_copied_has_not_succeeded_in_it(
    tmp_path: Path,
) -> None:
    counted = Counted()
    with started(tmp_path, counted) as run:
        # What the poll changes comes too late for this save.
        counted.copied = run.poll
        run.state.save()
    assert rows(tmp_path) == {("counted", "polls")}


def test_an_internal_error_of_a_save_is_logged_once_with_its_traceback_and_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    def fail() -> None:
        raise RuntimeError("no such thing")

    counted = Counted(copied=fail)
    with started(tmp_path, counted) as run:
        run.state.restore()
        run.poll()
        run.state.save()
        run.state.save()
        warnings = [each for each in caplog.records if "cannot be kept" in each.getMessage()]
        assert [bool(each.exc_info) for each in warnings] == [True]
        counted.copied = lambda: None
        run.state.save()
        assert "the state is kept again" in caplog.text
    assert ("counted", "polls") in rows(tmp_path)
