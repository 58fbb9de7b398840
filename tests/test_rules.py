"""The shipped rules, judged by promtool."""

import subprocess

import pytest
from prometheus import CONFIGURATION, RULES, find

RULES_TEST = RULES.with_name("rules_test.yml")
COMMANDS = (
    ("check", "config", str(CONFIGURATION)),
    ("check", "rules", str(RULES)),
    ("test", "rules", str(RULES_TEST)),
)


@pytest.mark.parametrize("newer", [False, True], ids=["stable", "newer"])
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command[:2]))
def test_promtool_accepts_them(command: tuple[str, ...], *, newer: bool) -> None:
    promtool = find("promtool", newer=newer)
    if promtool is None:
        pytest.skip("promtool is missing: `make test` brings it where apt can")
    done = subprocess.run([promtool, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
