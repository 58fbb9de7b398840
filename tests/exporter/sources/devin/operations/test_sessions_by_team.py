"""Sessions and their pull requests by the team of whoever runs them."""

import json
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.scheduling.state_file import FILE_NAME
from tests.exporter.scheduling.restarts import state_of
from tests.exporter.sources.devin.consumption.teams.enterprise import (
    DAY,
    NOW,
    POLLED,
    Enterprise,
    Person,
    polled,
    write,
)
from tests.exporter.sources.devin.consumption.teams.history import (
    ALWAYS,
    BOTS,
    EVERYBODY,
    FILES,
    GROUPS,
    PEOPLE,
    STEPS,
    History,
    text_of,
)
from tests.support.rig import Clock, Rig

SESSIONS = ("sessions", "session_breakdowns")
EVERYTHING = (*POLLED, *SESSIONS)
FILE = (
    "teams: {Web: {users: [u0, u1, u2, u3, u4]}, Rest: {users: [u5, u6, bot]}, Idle: {users: [x]}}"
)
RENAMED = FILE.replace("Web", "Site")
HASHED = {"user_metrics": "hash", "user_hash_key": "k"}
MODES: dict[str, dict[str, str]] = {
    "full": {"user_metrics": "full"},
    "id": {"user_metrics": "id"},
    "hash": HASHED,
    "off": {"user_metrics": "off"},
}
Counts = dict[str, float]


def sessions(running: Rig, window: str = "cycle") -> Counts:
    """Sessions by team."""
    found = running.scrape().family(f"devin_team_sessions_{window}")
    return {dict(labels)["team"]: value for labels, value in found.items()}


def pull_requests(running: Rig, window: str = "cycle") -> dict[tuple[str, str], float]:
    """Pull requests by team and state."""
    found = running.scrape().family(f"devin_team_prs_{window}")
    return {(dict(ls)["team"], dict(ls)["state"]): value for ls, value in found.items()}


@pytest.fixture
def made() -> Enterprise:
    users = {f"u{number}": Person({0: {"devin": 1.0}}) for number in range(9)}
    return Enterprise(Clock(NOW), users, {"bot": Person({0: {"devin": 1.0}})})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "teams.yml", FILE)


def test_sessions_and_pull_requests_are_those_of_the_owners_team(
    made: Enterprise, path: Path
) -> None:
    made.begin_session("merged", "open", user_id="u0")
    made.begin_session("merged", user_id="u1")
    made.begin_session("closed", None, service_user_id="bot")
    made.begin_session(user_id="u8")
    made.begin_session("open")
    with polled(made, teams_file=str(path)) as running:
        running.poll(*EVERYTHING)
        for window in ("today", "cycle"):
            assert sessions(running, window) == {"Web": 2, "Rest": 1, "Idle": 0, "": 2}
            found = pull_requests(running, window)
            assert {key: count for key, count in found.items() if count} == {
                ("Web", "merged"): 2,
                ("Web", "open"): 1,
                ("Rest", "closed"): 1,
                ("Rest", ""): 1,
                ("", "open"): 1,
            }
            # What is 0 is known to be 0.
            assert {team for team, _ in found} == {"Web", "Rest", "Idle", ""}
            assert found["Web", "closed"] == 0


def test_a_session_of_yesterday_is_of_the_cycle_and_not_of_today(
    made: Enterprise, path: Path
) -> None:
    made.clock.now = NOW - DAY
    made.begin_session("merged", user_id="u0")
    made.clock.now = NOW
    made.begin_session("merged", user_id="u5")
    made.sessions[0]["updated_at"] = int(NOW)
    with polled(made, teams_file=str(path)) as running:
        running.poll(*EVERYTHING)
        assert sessions(running, "today") == {"Web": 0, "Rest": 1, "Idle": 0, "": 0}
        assert sessions(running, "cycle") == {"Web": 1, "Rest": 1, "Idle": 0, "": 0}


def test_a_renamed_team_takes_its_sessions_along_and_the_old_name_is_0_until_the_windows_end(
    made: Enterprise, path: Path
) -> None:
    made.begin_session("merged", user_id="u0")
    with polled(made, teams_file=str(path)) as running:
        running.poll(*EVERYTHING)
        write(path, RENAMED)
        running.poll("teams_file")
        running.poll("teams_file")
        for window in ("today", "cycle"):
            assert sessions(running, window) == {"Web": 0, "Site": 1, "Rest": 0, "Idle": 0, "": 0}
            found = pull_requests(running, window)
            assert (found["Web", "merged"], found["Site", "merged"]) == (0, 1)
        made.clock.now = NOW + DAY
        running.poll(*EVERYTHING)
        assert "Web" not in sessions(running, "today")
        assert sessions(running, "cycle")["Web"] == 0


def test_a_state_that_no_pull_request_has_any_more_is_0_until_the_windows_end(
    made: Enterprise, path: Path
) -> None:
    made.begin_session("open", user_id="u0")
    with polled(made, teams_file=str(path)) as running:
        running.poll(*EVERYTHING)
        made.sessions[0]["pull_requests"] = [
            {"pr_url": "https://git.example.com/a/b/pull/0-0", "pr_state": "merged"}
        ]
        running.poll(*EVERYTHING)
        found = pull_requests(running, "today")
        assert (found["Web", "open"], found["Web", "merged"]) == (0, 1)


def test_sessions_by_team_are_absent_while_a_session_cannot_be_read(
    made: Enterprise, path: Path
) -> None:
    made.begin_session("merged", user_id="u0")
    made.begin_session("merged", user_id="u1")
    made.sessions[0]["acus_consumed"] = "many"
    with polled(made, teams_file=str(path)) as running:
        running.poll(*EVERYTHING)
        assert sessions(running) == {}
        assert pull_requests(running) == {}


def test_sessions_by_team_are_absent_while_the_teams_are_unknown(
    made: Enterprise, path: Path
) -> None:
    made.begin_session("merged", user_id="u0")
    with polled(made, teams_file=str(path)) as running:
        running.poll(*(task for task in EVERYTHING if task != "users"))
        assert sessions(running) == {}
        running.poll("users", "user_consumption")
        assert sessions(running)["Web"] == 1
    with polled(made) as running:
        running.poll(*EVERYTHING)
        assert sessions(running) == {}


def test_sessions_by_team_end_when_the_list_of_sessions_is_too_old(
    made: Enterprise, path: Path
) -> None:
    made.begin_session(user_id="u0")
    with polled(made, teams_file=str(path)) as running:
        running.poll(*EVERYTHING)
        assert sessions(running)["Web"] == 1
        made.clock.now += 3 * 3_600
        running.poll(*POLLED)
        assert sessions(running) == {}


@pytest.mark.parametrize("mode", ["hash", "off"])
def test_small_teams_are_summed_where_users_are_not_shown(
    made: Enterprise, path: Path, mode: str
) -> None:
    made.users |= {"u9": Person({0: {"devin": 1.0}})}
    for owner in ("u0", "u5", "u9"):
        made.begin_session("merged", user_id=owner)
    made.begin_session("open", user_id="who-left-before")
    with polled(made, teams_file=str(path), **MODES[mode]) as running:
        running.poll(*EVERYTHING)
        assert sessions(running) == {"Web": 1, "other": 3, "Idle": 0}
        assert pull_requests(running) == {
            ("Web", "merged"): 1,
            ("Web", "open"): 0,
            ("other", "merged"): 2,
            ("other", "open"): 1,
            ("Idle", "merged"): 0,
            ("Idle", "open"): 0,
        }
        text = running.store.page.text.decode()
        assert "devin_repository_" not in text
        assert "who-left-before" not in text


def test_who_cannot_be_hidden_in_a_crowd_is_in_no_row(made: Enterprise, path: Path) -> None:
    for owner in ("u0", "u8", "who-left-before"):
        made.begin_session(user_id=owner)
    for number in range(4, 9):
        del made.users[f"u{number}"]
    with polled(made, teams_file=str(path), **HASHED) as running:
        running.poll(*EVERYTHING)
        assert sessions(running) == {"Rest": 0, "Idle": 0}


@pytest.mark.parametrize("mode", MODES)
def test_after_a_restart_sessions_by_team_are_those_of_before(
    made: Enterprise, path: Path, mode: str
) -> None:
    made.users |= {"u9": Person({0: {"devin": 1.0}}, "secret@web.example.com")}
    made.begin_session("merged", user_id="u0")
    made.begin_session("open", service_user_id="bot")
    chosen = {"teams_file": str(path), **MODES[mode]}
    with polled(made, **chosen) as running:
        running.poll(*EVERYTHING)
        before = sessions(running), pull_requests(running)
        assert before[0]["Web"] == 1
        state = state_of(running, path.parent)
        state.save()
        state.close()
    kept = (path.parent / FILE_NAME).read_bytes()
    if mode != "full":
        assert b"secret" not in kept
    if mode in {"hash", "off"}:
        assert b"git.example.com" not in kept
    with polled(made, **chosen) as again:
        state = state_of(again, path.parent)
        state.restore()
        again.scheduler.publish_known()
        again.poll("teams_file")
        assert (sessions(again), pull_requests(again)) == before
        state.close()


def test_sessions_kept_by_a_version_without_owners_are_listed_again_at_once(
    made: Enterprise, path: Path
) -> None:
    made.begin_session("merged", user_id="u0")
    made.begin_session("open")
    with polled(made, teams_file=str(path)) as running:
        running.poll(*EVERYTHING)
        before = sessions(running), pull_requests(running)
        kept = {
            part.name: {key: entry.encode() for key, entry in part.entries().items()}
            for task in running.tasks
            for part in task.kept
        }
    readings = {
        key: json.dumps({**json.loads(value), "owner": None} if key else json.loads(value)).encode()
        for key, value in kept["session_breakdowns"].items()
    }
    assert len(readings) == 3
    with polled(made, teams_file=str(path)) as again:
        for part in (part for task in again.tasks for part in task.kept):
            values = {**kept, "session_breakdowns": readings}[part.name]
            if values:
                part.restore(values)
        again.poll(*(task for task in EVERYTHING if task not in SESSIONS))
        assert sessions(again) == {}
        assert again.scrape().family("devin_repository_sessions_cycle")
        again.poll("sessions", "session_breakdowns")
        assert (sessions(again), pull_requests(again)) == before


HISTORIES = st.lists(
    st.one_of(
        *STEPS,
        st.tuples(
            st.just("session"),
            st.tuples(
                st.sampled_from([*EVERYBODY, "who-left-before", ""]),
                st.lists(st.sampled_from(["open", "merged", None]), max_size=3),
            ),
        ),
        st.tuples(st.just("merge"), st.integers(0, 9)),
    ),
    min_size=2,
    max_size=10,
)


def play(played: History, what: str, argument: object) -> None:
    """Let something happen with sessions, or with those who run them."""
    made = played.made
    match what, argument:
        case "session", (str(owner), list(states)):
            key = "service_user_id" if owner in BOTS else "user_id"
            made.begin_session(*states, **({key: owner} if owner else {}))
        case "merge", int(number) if number < len(made.sessions):
            row = made.sessions[number]
            old = row["pull_requests"]
            assert isinstance(old, list)
            row["pull_requests"] = [{**each, "pr_state": "merged"} for each in old]
            row["updated_at"] = int(made.clock())
        case _:
            played.play(what, argument)
    played.running.poll(*EVERYTHING)


def judge(played: History) -> None:
    """Every session of a window counts once, in the present team of its owner."""
    team_of = {
        entity: team for team, members in played.members("team").items() for entity in members
    }
    now = played.made.clock()
    today = (now - 8 * 3_600) // DAY * DAY + 8 * 3_600
    cycle = next(c["after"] for c in played.made.cycles if c["after"] <= now)
    for window, start in (("today", today), ("cycle", cycle)):
        rows = [row for row in played.made.sessions if float(str(row["created_at"])) >= start]
        expected: Counter[str] = Counter()
        requests: Counter[tuple[str, str]] = Counter()
        for row in rows:
            team = team_of.get(str(row.get("user_id") or row.get("service_user_id")), "")
            expected[team] += 1
            listed = row["pull_requests"]
            assert isinstance(listed, list)
            requests.update((team, each["pr_state"] or "") for each in listed)
        found = sessions(played.running, window)
        assert {team: count for team, count in found.items() if count} == expected
        assert sum(found.values()) == pytest.approx(len(rows), abs=1e-6)
        assert {team for team in found if team} >= {team for *_, team in played.rules}
        shown = pull_requests(played.running, window)
        assert {key: count for key, count in shown.items() if count} == +requests


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
@given(HISTORIES)
def test_teams_and_nobodys_add_up_to_all_sessions_whatever_happens_to_people_and_the_file(
    history: list[tuple[str, object]],
) -> None:
    users = {
        user_id: Person({**ALWAYS, 0: {"devin": 1.0}}, None, [GROUPS[number % 3]])
        for number, user_id in enumerate(PEOPLE)
    }
    made = Enterprise(Clock(NOW), users, {bot: Person(dict(ALWAYS)) for bot in BOTS})
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "teams.csv", text_of(FILES[0]))
        with polled(made, teams_file=str(path), poll_interval="14400") as running:
            running.poll(*EVERYTHING)
            played = History(made, running, path)
            for what, argument in history:
                play(played, what, argument)
                judge(played)
