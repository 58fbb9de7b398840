"""The rows of docs/reference/failures.md themselves: each has its test, and its alerts fire."""

import subprocess
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import yaml

from exporter.exposition.build_info import BUILD_INFO
from exporter.scheduling.scheduler import FAILURES
from exporter.scheduling.store import ENTITIES_MISSING, TASK_UP
from exporter.sources.devin.derived.unreadable import UNREADABLE
from tests.failures.page import PAGE, page
from tests.failures.rows import ROWS, Row, Series
from tests.support.prometheus import RULES

FILES = (
    "tests.exporter.cli.test_printing",
    "tests.exporter.client.test_proxies_and_authorities",
    "tests.exporter.client.test_authorities",
    "tests.exporter.config.test_environment",
    "tests.exporter.config.test_proxies",
    "tests.exporter.exposition.test_text",
    "tests.failures.test_failures",
    "tests.failures.test_further_failures",
    "tests.failures.test_keys",
    "tests.failures.test_over_time",
    "tests.exporter.web.test_connections",
)
MINUTES = 120
BREAKS, TOO_OLD = 10, 25
"""When it begins, and when data that nobody tells any more is too old, in minutes."""


def test_the_page_is_that_of_the_rows() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()


def names_of_tests(file: str) -> Iterator[str]:
    """What each test is named after: its row where there is one, else what it says itself."""
    for name, test in vars(import_module(file)).items():
        if name.startswith("test_"):
            marks = getattr(test, "pytestmark", [])
            yield name.removeprefix("test_")
            yield from (
                parameter.values[0].slug
                for mark in marks
                if mark.name == "parametrize"
                for parameter in mark.args[1]
                if getattr(parameter, "values", ()) and isinstance(parameter.values[0], Row)
            )


def test_each_row_has_the_test_of_its_name() -> None:
    named = {name for file in FILES for name in names_of_tests(file)}
    assert {row.slug for row in ROWS} <= named
    assert len({row.slug for row in ROWS}) == len(ROWS) > 40


def series(row: Row) -> Iterator[tuple[str, str]]:
    """What a job shows that lives through a row, each minute, as promtool writes it."""
    job = f'job="{row.slug}"'
    after = MINUTES - BREAKS - (row.lasts or 0)
    back = f" 1x{after}" if row.lasts else ""
    broken = (row.lasts or MINUTES - BREAKS) - 1
    begins = 0 if row.series is Series.NEVER else BREAKS
    good = f"1x{begins - 1} " if begins else ""
    alive = f"1x{BREAKS - 1} _x{MINUTES}" if row.series is Series.NOBODY else f"1x{MINUTES}"
    yield f"{BUILD_INFO.name}{{{job}}}", alive
    up = {0: f"{good}0x{broken}{back}", 1: f"1x{MINUTES}", None: f"{good}_x{MINUTES}"}[row.up]
    yield f'{TASK_UP.name}{{{job}, task="it"}}', up
    if row.reason:
        labels = f'{job}, task="it", reason="{row.reason}"'
        before = f"0x{begins - 1} " if begins else ""
        stays = f" {1 + broken // 5}x{after}" if row.lasts else ""
        failures = " ".join(f"{1 + minute // 5}" for minute in range(broken + 1))
        yield f"{FAILURES.name}{{{labels}}}", f"{before}{failures}{stays}"
    if row.series is Series.ROW:
        yield f'{UNREADABLE.name}{{{job}, path="it"}}', f"{'0 ' * begins}1x{MINUTES - begins}"
    yield f'{ENTITIES_MISSING.name}{{{job}, task="it"}}', missing(row)


def missing(row: Row) -> str:
    """How many entities have expired, each minute."""
    if row.up is None:
        return f"0x{BREAKS - 1} _x{MINUTES}"
    mended = BREAKS + (row.lasts or MINUTES)
    if row.up == 1 or row.series is Series.NEVER or mended <= TOO_OLD:
        return f"0x{MINUTES}"
    back = f" 0x{MINUTES - mended}" if row.lasts else ""
    return f"0x{TOO_OLD - 1} 1x{min(mended, MINUTES) - TOO_OLD - 1}{back}"


def test_the_alerts_that_the_rows_name_fire_and_no_others(promtool: str, tmp_path: Path) -> None:
    fires = f'count by (job, alertname) (max_over_time(ALERTS{{alertstate="firing"}}[{MINUTES}m]))'
    expected = [
        {"labels": f'{{job="{row.slug}", alertname="{alert}"}}', "value": 1}
        for row in ROWS
        for alert in row.alerts
    ]
    told = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": name, "values": values}
                    for row in ROWS
                    for name, values in series(row)
                ],
                "promql_expr_test": [
                    {"expr": fires, "eval_time": f"{MINUTES}m", "exp_samples": expected}
                ],
            }
        ],
    }
    test = tmp_path / "test.yml"
    test.write_text(yaml.safe_dump(told))
    done = subprocess.run(
        [promtool, "test", "rules", test], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
