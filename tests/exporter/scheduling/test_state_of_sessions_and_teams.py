"""What a restart makes of the sums over sessions, groups and teams."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.demo.api import DemoApi
from exporter.demo.people import Size
from exporter.demo.world import World
from exporter.scheduling.state_file import FILE_NAME
from tests.exporter.scheduling.restarts import poll_and_keep, restarted, state_of
from tests.exporter.sources.devin.consumption.teams.enterprise import (
    POLLED,
    Enterprise,
    Person,
    polled,
    shown,
    total,
    write,
)
from tests.support.rig import KEY, Clock, Scrape, at, rig, simulated_api

NOW = at("2026-03-20 15:30:00")
SIZE = Size(organizations=2, users=8, days=40)
SESSIONS = ("session_tag", "session_repository", "session_origin", "session_playbook")
MODES: dict[str, dict[str, str]] = {
    "id": {"user_metrics": "id"},
    "hash": {"user_metrics": "hash", "user_hash_key": "k"},
    "off": {"user_metrics": "off"},
}
FILE = """
teams:
  Web: {emails: ["*@web.example.com"]}
  Rest: {groups: [all]}
"""
BY_GROUP = "teams: {Rest: {groups: [all]}}"


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def simulated(clock: Clock) -> Iterator[tuple[World, DemoApi]]:
    with simulated_api(SIZE, clock) as made:
        yield made


def breakdowns(scrape: Scrape) -> dict[object, float]:
    """The series made from sessions."""
    starts = (*SESSIONS, "devin_session_automation", "devin_repository_")
    names = tuple(each if each.startswith("devin") else f"devin_{each}" for each in starts)
    return {key: value for key, value in scrape.values.items() if key[0].startswith(names)}


def assert_add_up(scrape: Scrape) -> None:
    for window in ("today", "cycle"):
        whole = math.fsum(scrape.family(f"devin_consumption_{window}_acus").values())
        for each in SESSIONS:
            rows = scrape.family(f"devin_{each}_{window}_acus")
            assert rows, each
            assert math.fsum(rows.values()) == pytest.approx(whole, abs=1e-6)


def test_after_a_restart_in_the_middle_of_a_day_breakdowns_are_those_of_an_exporter_that_ran_on(
    simulated: tuple[World, DemoApi], clock: Clock, tmp_path: Path
) -> None:
    _, api = simulated
    with rig(api.url, clock) as ran_on:
        ran_on.poll()
        before = breakdowns(poll_and_keep(api, clock, tmp_path).scrape())
        assert before
        clock.now = NOW + 600
        with restarted(api, clock, tmp_path) as again:
            assert breakdowns(again.scrape()) == before
            assert_add_up(again.scrape())
        clock.now = NOW + 2 * 3_600
        with restarted(api, clock, tmp_path) as again:
            assert breakdowns(again.scrape()) == {}
            listings = api.traffic.total()
            again.poll("sessions", "enterprise_consumption", "session_breakdowns")
            # The cycle is known, so that it is not listed again.
            assert api.traffic.total() - listings < 10
            ran_on.poll("sessions", "enterprise_consumption", "session_breakdowns")
            found = breakdowns(again.scrape())
            assert found != before
            assert found == pytest.approx(breakdowns(ran_on.scrape()), abs=1e-9)
            assert_add_up(again.scrape())


def test_the_day_after_a_restart_breakdowns_begin_anew(
    simulated: tuple[World, DemoApi], clock: Clock, tmp_path: Path
) -> None:
    _, api = simulated
    poll_and_keep(api, clock, tmp_path)
    clock.now = at("2026-03-21 09:30:00")
    with restarted(api, clock, tmp_path) as again, rig(api.url, clock) as anew:
        again.poll()
        anew.poll()
        assert_add_up(again.scrape())
        name = "devin_repository_sessions_cycle"
        assert again.scrape().family(name) == anew.scrape().family(name)


@pytest.mark.parametrize("mode", ["hash", "off"])
def test_tags_and_repositories_are_not_even_kept_where_they_are_not_published(
    simulated: tuple[World, DemoApi], clock: Clock, tmp_path: Path, mode: str
) -> None:
    world, api = simulated
    scrape = poll_and_keep(api, clock, tmp_path / "full").scrape()
    secrets = {
        value
        for name, label in (("tag", "tag"), ("repository", "repository"))
        for labels in scrape.family(f"devin_session_{name}_cycle_acus")
        if (value := dict(labels)[label]).startswith(("ABC-", "git"))
    }
    names = [
        text
        for each in world.people
        for text in (each.email, each.name)
        if text and not each.service and text not in each.id
    ]
    kept = (tmp_path / "full" / FILE_NAME).read_bytes()
    assert all(json.dumps(secret).encode() in kept for secret in secrets)
    poll_and_keep(api, clock, tmp_path / mode, **MODES[mode])
    kept = (tmp_path / mode / FILE_NAME).read_bytes()
    assert b"session_breakdowns" in kept
    assert len(secrets) > 5
    for secret in {*secrets, *names, KEY, "/pull/"}:
        assert secret.encode() not in kept


def test_what_was_kept_with_tags_is_neither_served_nor_kept_without_them(
    simulated: tuple[World, DemoApi], clock: Clock, tmp_path: Path
) -> None:
    _, api = simulated
    tags = poll_and_keep(api, clock, tmp_path).scrape().family("devin_session_tag_cycle_acus")
    tickets = [t for labels in tags if (t := dict(labels)["tag"]).startswith("ABC-")]
    assert tickets
    with restarted(api, clock, tmp_path, **MODES["hash"]) as again:
        assert breakdowns(again.scrape()) == {}
        again.poll()
        assert breakdowns(again.scrape())
    poll_and_keep(api, clock, tmp_path, **MODES["hash"])
    kept = (tmp_path / FILE_NAME).read_bytes()
    assert not any(ticket.encode() in kept for ticket in tickets)
    with restarted(api, clock, tmp_path) as again:
        # Nobody is taken to have no tag, as their tags were not kept.
        assert again.scrape().family("devin_session_tag_cycle_acus") == {}
        again.poll()
        assert again.scrape().family("devin_session_tag_cycle_acus") == tags


def enterprise(clock: Clock) -> Enterprise:
    return Enterprise(
        clock,
        {
            f"u{n}": Person({0: {"devin": 2.0**n}}, f"secret-{n}@{domain}.example.com", ["all"])
            for n, domain in enumerate(["web"] * 5 + ["core"] * 6)
        },
    )


@pytest.mark.parametrize("mode", MODES)
def test_teams_by_e_mail_are_absent_after_a_restart_until_the_list_is_read(
    clock: Clock, tmp_path: Path, mode: str
) -> None:
    made = enterprise(clock)
    settings = {"teams_file": str(write(tmp_path / "teams.yml", FILE)), **MODES[mode]}
    with polled(made, **settings) as running:
        running.poll(*POLLED)
        before, groups = shown(running, "team", "today"), shown(running, "group", "today")
        assert (before["Web", "devin"], before["Rest", "devin"]) == (31, 2_016)
        state = state_of(running, tmp_path)
        state.save()
        state.close()
    assert b"secret" not in (tmp_path / FILE_NAME).read_bytes()
    with polled(made, **settings) as again:
        state = state_of(again, tmp_path)
        state.restore()
        again.scheduler.publish_known()
        again.poll("teams_file")
        assert shown(again, "team", "today") == {}
        assert shown(again, "user" if mode == "id" else "group", "today") == (
            shown(running, "user", "today") if mode == "id" else {}
        )
        made.users.pop("u10")
        made.gone["u10"] = Person({0: {"devin": 2.0**10}})
        again.poll("users")
        # Nobody knows yet in which team the one is who may have left.
        assert shown(again, "team", "today") == {}
        again.poll("users")
        after = shown(again, "team", "today")
        if mode == "id":
            assert after["Web", "devin"] == 31
        assert total(after) == total(before)
        assert shown(again, "group", "today") == groups
        state.close()


@pytest.mark.parametrize("mode", ["full", *MODES])
def test_teams_that_do_not_ask_for_e_mail_are_served_at_once(
    clock: Clock, tmp_path: Path, mode: str
) -> None:
    made = enterprise(clock)
    text = FILE if mode == "full" else BY_GROUP
    settings = {"teams_file": str(write(tmp_path / "teams.yml", text)), **MODES.get(mode, {})}
    with polled(made, **settings) as running:
        running.poll(*POLLED)
        before = shown(running, "team", "today")
        state = state_of(running, tmp_path)
        state.save()
        state.close()
    with polled(made, **settings) as again:
        state = state_of(again, tmp_path)
        state.restore()
        again.scheduler.publish_known()
        again.poll("teams_file")
        assert before
        assert shown(again, "team", "today") == before
        state.close()
