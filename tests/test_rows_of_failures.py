"""The rows of docs/failures.md themselves: each has its test, and its alerts fire."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml
from failures import PAGE, ROWS, Alert, Row, Series, page
from prometheus import RULES

from exporter.build import BUILD_INFO
from exporter.scheduler import FAILURES
from exporter.store import ENTITIES_MISSING, TASK_UP

FILES = ("test_failures.py", "test_further_failures.py")
MINUTES = 120
BREAKS, TOO_OLD = 10, 25
"""When it begins, and when data that nobody tells any more is too old, in minutes."""


def test_the_page_is_that_of_the_rows() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()


def test_each_row_has_the_test_of_its_name() -> None:
    folder = Path(__file__).parent
    collected = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", *(folder / f for f in FILES)],
        cwd=folder.parent,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    tests = set(re.findall(r"::(?:test_\w+\[(\w+)-|test_(\w+))", collected))
    named = {parametrized or alone for parametrized, alone in tests}
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
    if row.up == 0 and row.series is not Series.NEVER and not row.lasts:
        missing = f"0x{TOO_OLD - 1} 1x{MINUTES - TOO_OLD}"
        yield f'{ENTITIES_MISSING.name}{{{job}, task="it"}}', missing


def test_the_alerts_that_the_rows_name_fire_and_no_others(promtool: str, tmp_path: Path) -> None:
    shipped = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    groups = [
        {**group, "rules": [rule for rule in group["rules"] if rule.get("alert") in set(Alert)]}
        for group in shipped
    ]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": groups}))
    fires = f'count by (job, alertname) (max_over_time(ALERTS{{alertstate="firing"}}[{MINUTES}m]))'
    expected = [
        {"labels": f'{{job="{row.slug}", alertname="{alert}"}}', "value": 1}
        for row in ROWS
        for alert in row.alerts
    ]
    told = {
        "rule_files": ["rules.yml"],
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
