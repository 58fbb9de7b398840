"""The teams file: what is accepted, what is refused and by which line, and when it is read."""

import logging
from pathlib import Path

import pytest

from exporter.errors import ConfigurationError
from exporter.sources.devin.derived.teams.document import Document, Rule, Team, TeamsFileError
from exporter.sources.devin.derived.teams.file import TeamsFile, read_document
from exporter.sources.devin.derived.teams.patterns import OwnerGroups, TeamMap
from tests.exporter.sources.devin.consumption.teams.enterprise import write
from tests.support.rig import Clock

YAML = """\
# who pays
teams:
  Payments:
    cost_center: 0042
    budget: 1500.5
    emails: ["*@pay.example.com"]
    users:
      - email|ada
  Platform:
    groups: plat-*
  Nobody:
"""
CSV = """\
\ufeffTeam;email;group;user;cost_center;budget
Payments;*@pay.example.com;;;0042;1500.5
Payments;;;email|ada;;

Platform;;plat-*
"""
TEAMS = {"Payments": Team("Payments", "0042", 1500.5), "Platform": Team("Platform")}


def test_yaml_and_csv_say_the_same(tmp_path: Path) -> None:
    by_yaml = read_document(write(tmp_path / "teams.yml", YAML))
    by_csv = read_document(write(tmp_path / "TEAMS.CSV", CSV))
    assert by_yaml == Document(
        {**TEAMS, "Nobody": Team("Nobody")},
        (
            Rule(6, "email", "*@pay.example.com", "Payments"),
            Rule(8, "user", "email|ada", "Payments"),
            Rule(10, "group", "plat-*", "Platform"),
        ),
    )
    assert by_csv.teams == TEAMS
    assert [rule.line for rule in by_csv.rules] == [2, 3, 5]
    assert [(r.kind, r.pattern, r.team) for r in by_csv.rules] == [
        (r.kind, r.pattern, r.team) for r in by_yaml.rules
    ]


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("", ["is empty"]),
        ("[", ["line 1: is no YAML"]),
        ("a: \x00", ["is no YAML"]),
        ("- x", ["line 1: the file: wants to be a mapping"]),
        ("teams: {}", ["has no team"]),
        ("team: {}", ["line 1: an unknown key or column; is teams meant?"]),
        ("teams:\n  A: 5", ["line 2: team: wants to be a mapping"]),
        ("teams:\n  A: {}\n  A: {}", ["line 3: teams: the same key stands in line 2 already"]),
        ("teams:\n  other: {}", ["line 2: team: `other` is the name of the sum of small teams"]),
        ("teams:\n  '': {}", ["line 2: team: wants a name"]),
        ('teams:\n  "a\\nb": {}', ["line 2: team: wants one line of at most 128"]),
        ("teams:\n  A:\n    email: x", ["line 3: an unknown key or column; is emails meant?"]),
        ("teams:\n  A:\n    zzz: x", ["there are: cost_center, budget, users, emails, groups"]),
        (
            "teams:\n  A:\n    budget: 0\n  B:\n    budget: much\n    cost_center: [x]",
            ["line 3: budget: wants a number of ACUs above 0", "line 5: budget", "line 6: cost_c"],
        ),
        ("teams:\n  A:\n    budget: .inf", ["line 3: budget: wants"]),
        ("teams:\n  A:\n    emails: [[x]]", ["line 3: emails: wants a text"]),
        ("teams:\n  A:\n    emails: ['']", ["line 3: emails: an entry is empty"]),
        ("teams:\n  [a]: {}", ["line 2: teams: a key wants to be a text"]),
        ("teams:\n  A:\n    emails: [*@x]", ["line 3: is no YAML (a pattern that begins with"]),
        ("teams:\n  A:\n    emails:\n    - *secret", ["line 4: is no YAML (a pattern that begins"]),
    ],
)
def test_faults_in_yaml_are_told_by_line(tmp_path: Path, text: str, faults: list[str]) -> None:
    refused(write(tmp_path / "teams.yml", text), faults)


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("", ["line 1: the header wants team"]),
        ("team,email\n", ["has no row below its header"]),
        ("team,email,mail\n", ["line 1: an unknown key or column; is email meant?"]),
        ("team,team,email\n", ["line 1: a column stands twice"]),
        ("email\nx", ["line 1: the header wants team"]),
        ("team,email\n,x", ["line 2: team: wants a name"]),
        ("team,email,user\nA,x,y\nA,,", ["line 2: wants exactly one of", "line 3: wants exactly"]),
        ("team,email\nA,x,y", ["line 2: has 3 columns; the header has 2"]),
        ('team,email\nA,"x', ["is no CSV"]),
        (
            "team,email,cost_center,budget\nA,x,C1,5\nA,y,C2,6",
            ["line 3: cost_center: an earlier row", "line 3: budget: an earlier row"],
        ),
    ],
)
def test_faults_in_csv_are_told_by_line(tmp_path: Path, text: str, faults: list[str]) -> None:
    refused(write(tmp_path / "teams.csv", text), faults)


def refused(path: Path, faults: list[str]) -> None:
    with pytest.raises(TeamsFileError) as broken:
        read_document(path)
    for line, fault in zip(broken.value.lines, faults, strict=True):
        assert fault in line
        assert "secret" not in line


def test_a_file_that_cannot_be_read_is_told_why(tmp_path: Path) -> None:
    (tmp_path / "latin.yml").write_bytes(b"\xff\xfe")
    for name, why in (
        ("missing.yml", "cannot be read: No such file"),
        ("", "is a directory"),
        ("latin.yml", "is no UTF-8 text"),
    ):
        refused(tmp_path / name, [why])


def test_only_the_first_faults_are_told(tmp_path: Path) -> None:
    text = "team,email,budget\n" + "A,x,-1\n" * 25
    with pytest.raises(TeamsFileError) as broken:
        read_document(write(tmp_path / "teams.csv", text))
    assert len(broken.value.lines) == 21
    assert broken.value.lines[-1] == "and 5 more"


def test_the_first_rule_that_matches_decides(tmp_path: Path) -> None:
    text = (
        "team,user,email,group\n"
        "Ids,email|*,,\n"
        "Domain,,*@web.example.com,\n"
        "Exact,,ada@web.example.com,\n"
        "Wild,,c?@*,\n"
        "Groups,,,eng-[ab]*\n"
        "One,,,eng-core\n"
        "All,,*,\n"
    )
    teams = TeamMap(read_document(write(tmp_path / "teams.csv", text)))
    assert teams.team_of("email|*") == "Ids"
    assert teams.team_of("email|x") == ""
    assert teams.team_of("u", email="ADA@Web.Example.com") == "Domain"
    assert teams.team_of("u", email="cy@sub.web.example.com") == "Wild"
    assert teams.team_of("u", groups=["eng-core", "eng-auth"]) == "Groups"
    assert teams.team_of("u", groups=["eng-core"]) == "One"
    assert teams.team_of("u", groups=["ENG-CORE"]) == ""
    assert teams.team_of("u", email="x@y", groups=["eng-core"]) == "One"
    assert teams.team_of("u", email="x@y") == "All"
    assert teams.team_of("u", email="x@y") == "All"


def test_of_groups_that_one_pattern_matches_the_first_by_name_owns() -> None:
    owners = OwnerGroups(("ops", "eng-*"))
    assert owners.owner_of({"eng-b", "eng-a"}) == "eng-a"
    assert owners.owner_of({"eng-a", "ops"}) == "ops"
    assert owners.owner_of({"sales"}) == owners.owner_of(()) == ""


def figures(file: TeamsFile) -> list[float]:
    """What the file itself publishes, without teams."""
    task = file.task("devin", 300)
    return [s.value for s in task.snapshot(0, 0).samples if s.metric.name.startswith("devin_exp")]


def test_a_broken_file_leaves_the_one_before_in_use_until_it_is_mended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    clock, path = Clock(1_000.0), write(tmp_path / "teams.yml", YAML)
    file = TeamsFile(path, clock)
    assert figures(file) == []
    file.poll()
    assert figures(file) == [1, 1_000]
    before = file.teams
    file.poll()
    assert file.teams is before
    write(path, "teams:\n  A:\n    budget: x")
    file.poll()
    with pytest.raises(ConfigurationError, match="the one before stays in use: line 3: budget"):
        file.poll()
    with pytest.raises(ConfigurationError):
        file.poll()
    assert file.teams is before
    assert figures(file) == [0, 1_000]
    clock.now += 5
    path.unlink()
    write(path, "teams: {A: {}}")
    with pytest.raises(ConfigurationError):
        file.poll()
    file.poll()
    assert file.names == ("A",)
    assert figures(file) == [1, 1_005]


def test_a_file_that_is_still_being_written_is_left_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "teams.yml", YAML)
    file = TeamsFile(path, Clock(0.0))
    file.poll()
    for half in ("teams: {A: {}}", "teams: {A: {}, B: {}}"):
        write(path, half)
        file.poll()
        assert "Payments" in file.names
    file.poll()
    assert file.names == ("A", "B")


def test_a_link_that_is_turned_is_a_change(tmp_path: Path) -> None:
    """As Kubernetes replaces the files of a config map."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "teams.yml", f"teams: {{{name}: {{}}}}")
    (tmp_path / "data").symlink_to("one")
    (tmp_path / "teams.yml").symlink_to("data/teams.yml")
    file = TeamsFile(tmp_path / "teams.yml", Clock(0.0))
    file.poll()
    (tmp_path / "new").symlink_to("two")
    (tmp_path / "new").rename(tmp_path / "data")
    file.poll()
    file.poll()
    assert file.names == ("two",)


def test_a_missing_file_is_a_failure_until_it_is_there(tmp_path: Path) -> None:
    file = TeamsFile(tmp_path / "teams.yml", Clock(0.0))
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="no team is known: cannot be read"):
            file.poll()
    assert figures(file) == [0]
    write(tmp_path / "teams.yml", YAML)
    with pytest.raises(ConfigurationError):
        file.poll()
    file.poll()
    assert len(file.names) == 3
