"""The shipped rules in VictoriaMetrics: the same tests, with the same alerts at the same times."""

import subprocess
from pathlib import Path

import pytest

from tests.deploy.vmalert import IN_2000, converted
from tests.support.prometheus import RULE_TESTS, SPARING, find

DIFFERENT = {
    "Requests need nine tenths of the budget, and seven wait at a time": (
        "its rate() counts from the first sample that it sees, so the hour begins a minute earlier"
    ),
}
"""What differs in VictoriaMetrics, and why; the runbook tells of it."""


def passes(program: str, folder: Path, *files: Path) -> tuple[bool, str]:
    """Whether tests pass, and what was printed."""
    done = subprocess.run(
        [program, "unittest", "--disableAlertgroupLabel", *(f"--files={file}" for file in files)],
        env={**SPARING, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode == 0, done.stdout + done.stderr


def beginning(program: str, folder: Path) -> int:
    """When the tool's time begins, in Unix seconds."""
    (folder / "none.yml").write_text("groups: [{name: g, rules: [{record: r, expr: 1}]}]")
    (folder / "when.yml").write_text(
        "{rule_files: [none.yml], tests: [{metricsql_expr_test: "
        "[{expr: vector(time()), eval_time: 1m, exp_samples: [{labels: '{}', value: 60}]}]}]}"
    )
    return 0 if passes(program, folder, folder / "when.yml")[0] else IN_2000


@pytest.mark.parametrize("path", RULE_TESTS, ids=lambda path: path.stem)
def test_the_rules_pass_their_tests_in_victoria_metrics(path: Path, tmp_path: Path) -> None:
    program = find("vmalert-tool", newer=True)
    if program is None:
        pytest.skip("vmalert-tool is missing: `make test` brings it where apt can")
    tests = dict(converted(path, tmp_path, beginning=beginning(program, tmp_path)))
    alike = [file for name, file in tests.items() if name not in DIFFERENT]
    passed, printed = passes(program, tmp_path, *alike)
    assert passed, printed
    for name in tests.keys() & DIFFERENT.keys():
        assert not passes(program, tmp_path, tests[name])[0], f"{name}: it differs no more"
