"""What `check` says about the teams file."""

from pathlib import Path

import pytest

from exporter.demo.endpoints import DemoKey
from exporter.demo.people import Size
from exporter.sources.devin import SOURCE
from tests.exporter.sources.devin.consumption.teams.enterprise import NOW, write
from tests.support.rig import KEY, Clock, rig, simulated_api

SIZE = Size(organizations=2, users=12, days=20)
FILE = """\
teams:
  Ada:
    emails: ["ada.*"]
  Bots:
    users: [service-user-0000, service-user-9999]
  Rest:
    emails: ["*@example.com"]
    groups: [nobody-is-here]
"""


def checked(path: Path, key: str = KEY) -> tuple[str, bool]:
    """The text of a check, and whether it passed."""
    world_keys = {KEY: DemoKey()}
    with simulated_api(SIZE, Clock(NOW), keys=world_keys) as (world, api):
        world_keys["cog_own"] = DemoKey(org_id=world.organizations[0][0])
        with rig(api.url, Clock(NOW), teams_file=str(path), service_user_token=key) as running:
            report = SOURCE.check(running.opened[0])
    return "\n".join(report.lines), report.passed


def test_it_says_how_many_are_in_a_team_and_which_lines_match_nobody(tmp_path: Path) -> None:
    text, passed = checked(write(tmp_path / "teams.yml", FILE))
    assert "has 3 teams; in one of them are 11 of 12 users and 1 of 3 service users" in text
    assert "first match of nobody: 5, 8" in text
    assert passed
    assert "example.com" not in text


@pytest.mark.parametrize("key", [KEY, "cog_wrong"])
def test_it_names_each_fault_by_its_line_and_fails(tmp_path: Path, key: str) -> None:
    path = write(tmp_path / "teams.yml", "teams:\n  A:\n    budget: x\n    email: y\n")
    text, passed = checked(path, key)
    assert f"teams file {path}: line 3: budget: wants a number of ACUs above 0" in text
    assert "line 4: an unknown key or column; is emails meant?" in text
    assert not passed


def test_it_says_that_an_organizations_key_does_not_do(tmp_path: Path) -> None:
    text, passed = checked(write(tmp_path / "teams.yml", FILE), "cog_own")
    assert "no consumption by group or team is published" in text
    assert passed
