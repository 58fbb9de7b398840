"""Fixtures that more than one file uses."""

import gc
import os
import shutil
import signal
import time
from collections.abc import Generator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from coverage import Coverage
from hypothesis import settings
from xdist.remote import Producer  # type: ignore[import-untyped]
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]
from xdist.workermanage import WorkerController  # type: ignore[import-untyped]

from tests.support.days_end import (
    BEGUN,
    BRIEF,
    LONG,
    SETTLED,
    pass_a_days_end,
    seconds_to_wait,
)

pytest_plugins = [
    "tests.failures.assertions",
    "tests.support.environment",
    "tests.exporter.web.serving",
]

# The same examples in every run; `HYPOTHESIS_PROFILE=explore` looks for new ones.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("explore", max_examples=1_000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

PREFIXES = ("DEVIN_", "WEB_", "LOG_", "DEMO_", "AIONE_", "STATE_")


ON_SHARED_SERVERS = {
    "test_in_prometheus.py",
    "test_under_every_range.py",
    "test_ledger_in_prometheus.py",
}
"""What asks the Prometheus servers of `scene.py`, which take half a minute each to be filled."""
SHARED_SERVERS = "shared servers"
WAITING = "test_alerts.py"
"""What waits for two minutes and does little."""
LONGEST_FIRST = (
    WAITING,
    SHARED_SERVERS,
    "test_process.py",
    "test_rules.py",
    "test_failures.py",
    "test_compose_up.py",
    "test_over_time.py",
    "test_documented_commands.py",
    "test_healthcheck.py",
    "test_rules_in_vmalert.py",
    "test_backfill.py",
    "test_sources.py",
    "test_locks.py",
    "test_demo.py",
    "test_keys_and_plans.py",
    "test_sessions_and_users.py",
    "test_consumption_equals_the_ledger.py",
    "test_page_over_random_histories.py",
    "test_image.py",
    "test_days_of_the_gateway.py",
    "test_victoria_metrics.py",
    "test_agent.py",
    "test_pair.py",
    "test_notifications.py",
)
"""So that nothing long is left when all else is done; then those of many tests."""


class InTheirPlace(LoadFileScheduling):  # type: ignore[misc]
    """Each file's tests in one process, and those that share servers in the same."""

    def _split_scope(self, nodeid: str) -> str:
        file = Path(super()._split_scope(nodeid)).name
        return SHARED_SERVERS if file in ON_SHARED_SERVERS else file

    def _assign_work_unit(self, node: WorkerController) -> None:
        self.workqueue.move_to_end(min(self.workqueue, key=_place), last=False)
        super()._assign_work_unit(node)
        if WAITING in self.assigned_work[node] and len(self.nodes) > 1:
            node.shutdown()  # when this is done: nothing is to wait behind it


def _place(unit: str) -> int:
    return LONGEST_FIRST.index(unit) if unit in LONGEST_FIRST else len(LONGEST_FIRST)


def pytest_configure() -> None:
    """Have the programs that tests start end at these signals, also under `nohup` or behind `&`."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> list[str]:
    """Say why a run may take longer, where a day is about to end."""
    if seconds := seconds_to_wait(time.time(), before=LONG, after=SETTLED):
        until = datetime.fromtimestamp(time.time() + seconds, UTC)
        return [f"a day ends: the tests of dashboards wait until {until:%H:%M} UTC"]
    return []


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> InTheirPlace:
    """Have the tests distributed so, whatever `--dist` says."""
    return InTheirPlace(config, log)


MEASURED = Path(__file__).parent / "exporter"
"""Whose tests coverage is measured of: they run the product in their own process."""
MEASURED_PROCESSES = (MEASURED / "cli", MEASURED / "web")
"""Whose tests are measured in the processes that they start, too: it doubles what a start costs."""
BY_THE_MACHINES_CLOCK = (
    MEASURED / "cli",
    MEASURED.parent / "docs",
    MEASURED.parent / "e2e",
)
"""Whose tests start processes, which have no other clock."""
REPEATING = {
    "test_breakdowns_over_random_histories.py",
    "test_consumption_equals_the_ledger.py",
    "test_fuzzed_responses.py",
    "test_page_over_random_histories.py",
    "test_random_histories.py",
}
"""What goes thousands of times through lines that others cover; it would take twice as long."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, bool | None, bool | None]:
    """Measure nothing of the other tests, nor what they start: it would take twice as long."""
    measuring = Coverage.current()
    if measuring is None or any(item.path.is_relative_to(place) for place in MEASURED_PROCESSES):
        return (yield)
    measured = item.path.is_relative_to(MEASURED) and item.path.name not in REPEATING
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
        if measured:
            return (yield)
        measuring.stop()
        try:
            return (yield)
        finally:
            measuring.start()


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in os.environ:
        if variable.startswith(PREFIXES):
            monkeypatch.delenv(variable)


@pytest.fixture(scope="module", autouse=True)
def _no_day_ends_in_the_middle(request: pytest.FixtureRequest) -> None:
    if any(request.path.is_relative_to(place) for place in BY_THE_MACHINES_CLOCK):
        pass_a_days_end(before=BRIEF, after=BEGUN)


@pytest.fixture(scope="module", autouse=True)
def _what_a_file_leaves_open_is_told_of_that_file() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture
def promtool() -> str:
    """Where promtool is; the test does not run where there is none."""
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is missing: `make test` brings it where apt can")
    return found


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> "Golden":
    """Compares a text with the committed file that has the test's name."""
    folder = Path(__file__).parent / "golden"
    return Golden(folder / f"{request.node.name.removeprefix('test_')}.txt")


class Golden:
    """A committed text; `UPDATE_GOLDEN=1` writes it anew."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def check(self, text: str) -> None:
        """Compare, or write where asked to."""
        if os.environ.get("UPDATE_GOLDEN"):
            self._path.parent.mkdir(exist_ok=True)
            self._path.write_text(text, encoding="utf-8")
        assert text == self._path.read_text(encoding="utf-8")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly which tests did not run, and tell the figures that tests have measured."""
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped:
        terminalreporter.section("THESE TESTS DID NOT RUN", sep="!", red=True, bold=True)
        for report in skipped:
            terminalreporter.line(f"{report.nodeid}: {report.longrepr[2]}")
    for report in terminalreporter.stats.get("passed", []):
        for what, figure in report.user_properties:
            terminalreporter.line(f"{what}: {figure}")
