"""`kill -9` at many moments of the exporter that keeps state: no wrong number, no lost day."""

import os
import random
import signal
import sqlite3
import subprocess
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from exporter.demo.api import DemoApi
from exporter.demo.people import Size
from exporter.scheduling.state_file import DAMAGED_SUFFIX, FILE_NAME
from exporter.scheduling.state_tables import CHECK_BYTES
from exporter.sources.devin.consumption.kept import decode_usage
from exporter.sources.devin.consumption.scopes import SCOPES, USER_SCOPE
from tests.support.limits import HANG_SECONDS
from tests.support.processes import BETWEEN_LOOKS, EXPORTER, Running, environment, running
from tests.support.rig import KEY, Clock, Scrape, rig, simulated_api

SIZE = Size(organizations=2, users=20, days=40)
SEED = 20
FIRST_ROUND_REQUESTS = 70
POLL_REQUESTS = 40
"""So many requests each of them has, roughly."""

START_TICKS = 80
"""So much processor time a start takes, roughly, in hundredths of a second."""

STEP_SECONDS = 1_800
"""So much of the simulated enterprise's time passes after every few kills."""

QUIET_SECONDS = 2
"""A poll without a request for this long is taken to be over."""

CONSUMPTION = {metric.name for scope in SCOPES for metric in scope.metrics.values()}
USER_CYCLE = USER_SCOPE.metrics["cycle"].name
Figures = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


@dataclass(frozen=True)
class Moment:
    """When to kill: after so many requests, or in a write that comes after so many others."""

    requests: int = 0
    writes: int | None = None

    def wait(self, api: DemoApi, *, since: int, process: int, journal: Path) -> bool:
        """Wait for it, or until the poll is over.

        Returns:
            Whether the process is in a write; it is stopped then.
        """
        sent, others, written = since, 0, False
        over_at = time.monotonic() + HANG_SECONDS
        while time.monotonic() < over_at:
            before, written = written, has_begun(journal)
            others += before and not written
            if self.writes is None and sent - since >= self.requests:
                return False
            if self.writes is not None and written and others >= self.writes:
                stop(process)
                if has_begun(journal):
                    return True
                os.kill(process, signal.SIGCONT)
            if api.traffic.total() != sent:
                sent, over_at = api.traffic.total(), time.monotonic() + QUIET_SECONDS
            BETWEEN_LOOKS.wait(0.0005 if self.writes is None else 0.0001)
        return False


def has_begun(journal: Path) -> bool:
    """Whether a write has begun and is not committed: the journal is emptied by the commit."""
    return journal.exists() and journal.stat().st_size > 0


def stop(process: int) -> None:
    """Stop a process, and wait until it stands still."""
    os.kill(process, signal.SIGSTOP)
    os.waitid(os.P_PID, process, os.WSTOPPED)


OVER = Moment(requests=1_000_000)


def moments() -> list[Moment]:
    """In the first round, in the polls after it, and while these are written down."""
    draw = random.Random(SEED)
    return [
        *(Moment(requests) for requests in sorted(draw.sample(range(FIRST_ROUND_REQUESTS), 6))),
        OVER,
        *(Moment(requests) for requests in draw.sample(range(POLL_REQUESTS), 5)),
        *(Moment(writes=others) for others in range(4)),
    ]


def consumption(page: str) -> Figures:
    values = Scrape.of(page).values
    return {key: value for key, value in values.items() if key[0] in CONSUMPTION}


def users_with_use(folder: Path) -> set[str]:
    """Those of whom a response with use is kept; the file must be whole."""
    if not (folder / FILE_NAME).exists():
        return set()
    with closing(sqlite3.connect(folder / FILE_NAME)) as tables:
        assert tables.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        if not tables.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            return set()
        rows = tables.execute("SELECT key, value FROM kept WHERE part = ?", (USER_SCOPE.task,))
        usages = {str(user): decode_usage(bytes(value)[CHECK_BYTES:])[0] for user, value in rows}
    return {user for user, usage in usages.items() if any(map(any, usage.products.values()))}


@dataclass
class Enterprise:
    """The simulated enterprise, whose time stands still between steps, and what it has said."""

    api: DemoApi
    clock: Clock
    said: list[Figures]

    def step(self) -> None:
        """Let time pass, and note what is true now."""
        self.clock.now += STEP_SECONDS
        with rig(self.api.url, Clock(time.time())) as polled:
            polled.poll()
            self.said.append(consumption(polled.store.page.text.decode()))

    def has_said_all_of(self, shown: Figures) -> bool:
        """Whether each figure was true at some time."""
        return all(
            any(said.get(key) == pytest.approx(value, abs=1e-6) for said in self.said)
            for key, value in shown.items()
        )

    def wait_until_shown(self, started: Running) -> None:
        """Wait until the page shows what is true now."""
        deadline = time.monotonic() + HANG_SECONDS
        while consumption(started.get().text) != pytest.approx(self.said[-1], abs=1e-6):
            assert time.monotonic() < deadline
            BETWEEN_LOOKS.wait(0.05)


def kill_at_the_start(settings: Mapping[str, str], ticks: int) -> None:
    """Kill the exporter once it has used some processor time."""
    quiet = subprocess.DEVNULL
    with subprocess.Popen(
        [EXPORTER], env=environment(settings), stdout=quiet, stderr=quiet
    ) as process:
        deadline = time.monotonic() + HANG_SECONDS
        while ticks_of(process.pid) < ticks and time.monotonic() < deadline:
            BETWEEN_LOOKS.wait(0.002)
        process.kill()


def ticks_of(process: int) -> float:
    """Hundredths of a second of processor time."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return 100 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_killed_at_20_moments_every_restart_shows_what_was_true_and_has_lost_no_day(
    tmp_path: Path,
) -> None:
    state = tmp_path / "state"
    began = time.time()
    clock = Clock(began - 8 * STEP_SECONDS)
    starts = random.Random(SEED)
    with simulated_api(SIZE, clock) as (_, api):
        enterprise = Enterprise(api, clock, [])
        enterprise.step()
        settings = {
            "DEVIN_API_URL": api.url,
            "DEVIN_SERVICE_USER_TOKEN": KEY,
            "DEVIN_REQUESTS_PER_SECOND": "200",
            # What was kept must not become too old while this runs.
            "DEVIN_POLL_INTERVAL": "3600",
            "STATE_DIR": str(state),
        }
        in_writes = 0
        for number, moment in enumerate(moments()):
            if number % 4 == 3:
                kill_at_the_start(settings, starts.randrange(START_TICKS))
                enterprise.step()
            kept, since = users_with_use(state), api.traffic.total()
            with running(tmp_path, **settings) as started:
                assert_true(enterprise, started, kept)
                if moment is OVER:
                    enterprise.wait_until_shown(started)
                in_writes += moment.wait(
                    api,
                    since=since,
                    process=started.process.pid,
                    journal=state / f"{FILE_NAME}-journal",
                )
                started.process.kill()
        assert in_writes
        kept = users_with_use(state)
        assert kept
        with running(tmp_path, **settings) as started:
            assert_true(enterprise, started, kept)
            enterprise.wait_until_shown(started)
            assert started.end() == 0
    assert not (state / f"{FILE_NAME}{DAMAGED_SUFFIX}").exists()


def assert_true(enterprise: Enterprise, started: Running, kept: set[str]) -> None:
    """The first page has everybody of whom a response was kept, and only what was once true."""
    shown = consumption(started.get().text)
    assert enterprise.has_said_all_of(shown)
    users = {dict(labels)["user_id"] for name, labels in shown if name == USER_CYCLE}
    assert users >= kept & {
        dict(labels)["user_id"] for name, labels in enterprise.said[0] if name == USER_CYCLE
    }
