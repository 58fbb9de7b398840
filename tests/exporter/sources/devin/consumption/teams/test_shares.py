"""Consumption by group and by team."""

from pathlib import Path

import pytest

from exporter.sources.devin.billing.windows import Window
from exporter.sources.devin.derived.teams.sums import ShownNames
from tests.exporter.sources.devin.consumption.teams.enterprise import (
    MEMBERS,
    NOW,
    POLLED,
    Enterprise,
    Person,
    names,
    polled,
    shown,
    total,
    write,
)
from tests.support.rig import Clock, Rig, at

TEAMS = """
teams:
  Payments:
    cost_center: CC-1
    budget: 500
    emails: ["*@pay.example.com"]
    users: [bot-1]
  Platform:
    cost_center: CC-2
    groups: ["plat-*"]
"""


def devin(acus: float, *, yesterday: float = 0.0) -> dict[int, dict[str, float]]:
    """Use of the running day, and of the one before."""
    return {0: {"devin": acus}, -1: {"devin": yesterday}}


@pytest.fixture
def made() -> Enterprise:
    return Enterprise(
        Clock(NOW),
        users={
            "ada": Person(devin(1, yesterday=10), "Ada@Pay.example.com", ["plat-core", "all"]),
            "bob": Person(devin(2, yesterday=20), "bob@example.com", ["plat-core", "all"]),
            "cy": Person(devin(4, yesterday=40), None, ["all"]),
            "dee": Person(devin(8, yesterday=80), "dee@example.com", by_group=False),
        },
        bots={"bot-1": Person(devin(16)), "bot-2": Person(devin(32))},
    )


@pytest.fixture
def teams(tmp_path: Path) -> Path:
    return write(tmp_path / "teams.yml", TEAMS)


def used(running: Rig, kind: str, window: str = "today") -> dict[str, float]:
    """The ACUs of `devin` by name."""
    page = shown(running, kind, window)
    return {name: acus for (name, product), acus in page.items() if product == "devin"}


def test_a_user_in_several_groups_counts_in_each_and_one_in_none_has_no_name(
    made: Enterprise,
) -> None:
    with polled(made) as running:
        running.poll(*POLLED)
        assert used(running, "group") == {"all": 7, "plat-core": 3, "": 8}
        assert used(running, "group", "yesterday") == {"all": 70, "plat-core": 30, "": 80}
        assert used(running, "group", "cycle") == {"all": 77, "plat-core": 33, "": 88}
        assert set(used(running, "group", "previous_cycle").values()) == {0}
        infos = running.scrape().family("devin_user_group_info")
        assert sorted((dict(labels)["user_id"], dict(labels)["group"]) for labels in infos) == [
            ("ada", "all"),
            ("ada", "plat-core"),
            ("bob", "all"),
            ("bob", "plat-core"),
            ("cy", "all"),
        ]


def test_owner_groups_are_a_partition_in_which_the_first_pattern_wins(made: Enterprise) -> None:
    with polled(made, owner_groups="plat-*, a*") as running:
        running.poll(*POLLED)
        assert used(running, "group") == {"plat-core": 3, "all": 4, "": 8}
        assert total(shown(running, "group", "cycle")) == total(shown(running, "user", "cycle"))


def test_who_is_in_no_owner_group_has_no_name(made: Enterprise) -> None:
    with polled(made, owner_groups="plat-*") as running:
        running.poll(*POLLED)
        assert used(running, "group") == {"plat-core": 3, "": 12}


def test_teams_are_by_the_first_match_and_hold_service_users(made: Enterprise, teams: Path) -> None:
    with polled(made, teams_file=str(teams)) as running:
        running.poll(*POLLED)
        assert used(running, "team") == {"Payments": 17, "Platform": 2, "": 44}
        scrape = running.scrape()
        assert scrape.one("devin_team_info", team="Payments", cost_center="CC-1") == 1
        assert scrape.one("devin_team_info", team="Platform", cost_center="CC-2") == 1
        assert scrape.one("devin_team_budget_acus", team="Payments") == 500
        assert scrape.one("devin_team_budget_acus", team="Platform") is None
        members = scrape.family("devin_team_member_info")
        assert {tuple(sorted(dict(labels).items())) for labels in members} == {
            (("team", "Payments"), ("user_id", "ada")),
            (("team", "Platform"), ("user_id", "bob")),
        }


def test_a_team_without_members_has_used_nothing(made: Enterprise, teams: Path) -> None:
    write(teams, TEAMS + "  Nobody: {}\n")
    with polled(made, teams_file=str(teams)) as running:
        running.poll(*POLLED)
        assert used(running, "team")["Nobody"] == 0


def test_a_team_that_is_renamed_has_used_nothing_until_the_windows_end_in_which_it_was_shown(
    made: Enterprise, teams: Path
) -> None:
    others = {"Payments": 27, "": 164}
    with polled(made, teams_file=str(teams)) as running:
        running.poll(*POLLED)
        write(teams, TEAMS.replace("Platform", "Core"))
        running.poll("teams_file")
        running.poll("teams_file")
        assert used(running, "team") == {"Payments": 17, "Platform": 0, "Core": 2, "": 44}
        for window in ("yesterday", "cycle", "previous_cycle"):
            assert used(running, "team", window)["Platform"] == 0
        made.clock.now = at("2026-03-21 08:00:10")
        running.poll(*POLLED)
        assert used(running, "team") == {"Payments": 0, "Core": 0, "": 0}
        assert used(running, "team", "yesterday") == {"Payments": 17, "Core": 2, "": 44}
        assert used(running, "team", "cycle") == {**others, "Platform": 0, "Core": 22}
        write(teams, TEAMS)
        running.poll("teams_file")
        running.poll("teams_file")
        assert used(running, "team", "cycle") == {**others, "Platform": 22, "Core": 0}


def test_a_group_that_nobody_is_in_any_more_has_used_nothing_that_day(made: Enterprise) -> None:
    with polled(made) as running:
        running.poll(*POLLED)
        for user_id in ("ada", "bob"):
            made.users[user_id].groups = ["core", "all"]
        running.poll("users")
        assert used(running, "group") == {"all": 7, "plat-core": 0, "core": 3, "": 8}


def test_names_that_are_gone_are_known_after_a_restart() -> None:
    windows = {"today": Window(NOW, NOW + 86_400)}
    before, after = ShownNames("names"), ShownNames("names")
    assert before.gone([("old", "today")], windows) == []
    entries = before.kept().entries()
    after.kept().restore({key: entry.encode() for key, entry in entries.items()})
    assert after.gone([("new", "today")], windows) == [("old", "today")]
    following = {"today": Window(NOW + 86_400, NOW + 2 * 86_400)}
    assert after.gone([], following) == []


def test_without_a_teams_file_there_is_nothing_of_teams(made: Enterprise) -> None:
    with polled(made) as running:
        running.poll(*POLLED)
        assert not any("team" in name for name in running.scrape().names())


def test_a_group_is_absent_while_the_use_of_one_member_is_unknown(
    made: Enterprise, teams: Path
) -> None:
    made.fail("bob")
    with polled(made, teams_file=str(teams)) as running:
        running.poll(*POLLED)
        assert used(running, "group") == {"": 8}
        assert used(running, "team") == {"Payments": 17, "": 44}
        made.failing.clear()
        running.poll("user_consumption")
        assert used(running, "group") == {"all": 7, "plat-core": 3, "": 8}


def test_a_team_is_absent_while_the_use_of_its_service_user_is_unknown(
    made: Enterprise, teams: Path
) -> None:
    made.fail("bot-1")
    with polled(made, teams_file=str(teams)) as running:
        running.poll(*POLLED)
        assert used(running, "team") == {"Platform": 2, "": 44}


@pytest.mark.parametrize("lacking", ["users", "idp-users"])
def test_nothing_is_shown_while_one_list_of_users_is_unknown(
    made: Enterprise, teams: Path, lacking: str
) -> None:
    made.failing = {f"{MEMBERS}/{lacking}"}
    with polled(made, teams_file=str(teams)) as running:
        running.poll(*POLLED)
        assert shown(running, "group", "today") == shown(running, "team", "today") == {}
        made.failing.clear()
        running.poll(*POLLED)
        assert used(running, "group") == {"all": 7, "plat-core": 3, "": 8}


def test_teams_are_absent_while_service_users_are_unknown(made: Enterprise, teams: Path) -> None:
    made.failing = {f"{MEMBERS}/service-users"}
    with polled(made, teams_file=str(teams)) as running:
        running.poll(*POLLED)
        assert shown(running, "team", "today") == {}
        assert used(running, "group") == {"all": 7, "plat-core": 3, "": 8}


def test_a_group_without_a_name_makes_groups_unknown_and_teams_that_read_groups(
    made: Enterprise, teams: Path
) -> None:
    made.users["cy"].groups = [None]
    with polled(made, teams_file=str(teams)) as running:
        running.poll(*POLLED)
        assert shown(running, "group", "today") == shown(running, "team", "today") == {}
        write(teams, "teams: {Payments: {users: [cy]}}")
        running.poll("teams_file")
        running.poll("teams_file")
        assert used(running, "team") == {"Payments": 4, "": 59}


def test_a_day_that_has_ended_is_absent_until_all_members_are_known_again(
    made: Enterprise, teams: Path
) -> None:
    with polled(made, teams_file=str(teams), poll_interval="86400") as running:
        running.poll(*POLLED)
        made.clock.now = NOW // 86_400 * 86_400 + 86_400 + 8 * 3_600
        assert shown(running, "team", "today") == shown(running, "group", "yesterday") == {}
        assert used(running, "team", "cycle")["Payments"] == 27
        made.fail("ada")
        made.users["ada"].use[0] = {"devin": 3}
        running.poll("user_consumption", "service_user_consumption")
        assert used(running, "team", "yesterday") == {"Platform": 2, "": 44}
        made.failing.clear()
        running.poll("user_consumption")
        assert used(running, "team", "yesterday") == {"Payments": 19, "Platform": 2, "": 44}


def test_what_is_too_old_is_absent(made: Enterprise, teams: Path) -> None:
    with polled(made, teams_file=str(teams)) as running:
        running.poll(*POLLED)
        made.clock.now += 899
        assert names(shown(running, "team", "today")) == {"Payments", "Platform", ""}
        made.clock.now += 1
        assert shown(running, "team", "today") == shown(running, "group", "today") == {}
        assert not running.scrape().family("devin_user_group_info")


def test_who_has_left_stays_in_the_team_and_groups_last_known(
    made: Enterprise, teams: Path
) -> None:
    with polled(made, teams_file=str(teams)) as running:
        running.poll(*POLLED)
        made.gone["bob"] = made.users.pop("bob")
        for _ in range(3):
            made.clock.now += 300
            running.poll(*POLLED)
        assert used(running, "group") == {"all": 7, "plat-core": 3, "": 8}
        assert used(running, "team") == {"Payments": 17, "Platform": 2, "": 44}
        infos = running.scrape().family("devin_user_group_info")
        assert "bob" not in {dict(labels)["user_id"] for labels in infos}


def test_who_has_left_counts_in_the_previous_cycle_until_the_running_one_ends(
    made: Enterprise, teams: Path
) -> None:
    next_cycle = {
        "after": int(at("2026-04-05 08:00:00")),
        "before": int(at("2026-05-05 08:00:00")),
    }
    with polled(made, teams_file=str(teams)) as running:
        running.poll(*POLLED)
        made.gone |= {user_id: made.users.pop(user_id) for user_id in ("ada", "bob")}
        made.gone_bots["bot-1"] = made.bots.pop("bot-1")
        made.cycles.insert(0, next_cycle)
        # A list believes only the second response that people have left.
        made.clock.now = at("2026-04-05 15:25:00")
        running.poll(*POLLED)
        for moment in ("2026-04-05 15:30:00", "2026-04-06 15:30:00", "2026-05-05 07:59:00"):
            made.clock.now = at(moment)
            running.poll(*POLLED)
            assert used(running, "team", "previous_cycle") == {
                "Payments": 27,
                "Platform": 22,
                "": 164,
            }
            assert used(running, "team", "cycle") == {"Payments": 0, "Platform": 0, "": 0}
            assert used(running, "group", "previous_cycle") == {"all": 77, "plat-core": 33, "": 88}


def test_who_changes_group_or_address_takes_all_use_along(made: Enterprise, teams: Path) -> None:
    with polled(made, teams_file=str(teams)) as running:
        running.poll(*POLLED)
        made.users["bob"].groups = ["all"]
        made.users["cy"].email = "cy@pay.example.com"
        running.poll("users")
        assert used(running, "group") == {"all": 7, "plat-core": 1, "": 8}
        assert used(running, "team") == {"Payments": 21, "Platform": 0, "": 42}


def test_beyond_the_limit_of_users_groups_and_teams_are_whole(
    made: Enterprise, teams: Path
) -> None:
    with polled(made, teams_file=str(teams), user_limit="1") as running:
        running.poll(*POLLED)
        assert used(running, "group") == {"all": 7, "plat-core": 3, "": 8}
        members = running.scrape().family("devin_team_member_info")
        assert len(members) <= 1


def test_an_unmetered_plan_has_no_consumption_of_groups_or_teams(
    made: Enterprise, teams: Path
) -> None:
    for person in (*made.users.values(), *made.bots.values()):
        person.use = devin(0)
    with polled(made, teams_file=str(teams)) as running:
        running.poll(*POLLED)
        assert shown(running, "team", "today") == shown(running, "group", "today") == {}
