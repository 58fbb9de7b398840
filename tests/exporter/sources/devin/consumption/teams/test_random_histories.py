"""Groups and teams over random polls, failures, renames, changes of groups and of the teams file.

What users and service users are shown to have used is the measure: a row is the sum of its members
where the use of each of them is known, and else absent.
"""

import fnmatch
import math
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.exporter.sources.devin.consumption.teams.enterprise import (
    DAY,
    NOW,
    POLLED,
    Enterprise,
    Person,
    polled,
    shown,
    total,
    write,
)
from tests.support.rig import Clock, Rig

WINDOWS = ("today", "yesterday", "cycle")
GROUPS = ("eng-web", "eng-core", "ops")
OWNERS = ("ops", "eng-*")
FILES = (
    (("email", "*@web.example.com", "Web"), ("group", "ops", "Ops"), ("user", "bot-0", "Ops")),
    (("group", "eng-*", "Core"), ("email", "u[01]@*", "Web")),
    (("user", "u2", "Web"), ("user", "bot-1", "Core"), ("email", "*", "Rest")),
)
PEOPLE = [f"u{number}" for number in range(5)]
BOTS = ["bot-0", "bot-1"]

EVERYBODY = PEOPLE + BOTS
ALWAYS = {day: {"terminal": 0.25} for day in range(-30, 5)}
"""Use on every day: who has no series in a window is unknown there."""

who = st.sampled_from(PEOPLE)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.sampled_from([60, 5 * 3_600, 20 * 3_600])),
        st.tuples(st.just("boundary"), st.sampled_from([-1, 0, 5])),
        st.tuples(st.just("use"), st.tuples(st.sampled_from(EVERYBODY), st.integers(-2, 1))),
        st.tuples(st.just("groups"), st.tuples(who, st.sets(st.sampled_from(GROUPS)))),
        st.tuples(st.just("rename"), st.tuples(who, st.sampled_from(["web", "core", ""]))),
        st.tuples(st.just("file"), st.integers(0, len(FILES))),
        st.tuples(st.just("poll"), st.sets(st.sampled_from(EVERYBODY), max_size=2)),
        st.tuples(st.just("leave"), who),
    ),
    min_size=1,
    max_size=8,
)


@dataclass
class History:
    """The enterprise, and what the exporter can know of it."""

    made: Enterprise
    running: Rig
    path: Path
    rules: tuple[tuple[str, str, str], ...] = FILES[0]
    once: set[tuple[str, str]] = field(default_factory=set)
    """Groups and teams that had a row at some time."""

    def play(self, what: str, argument: object) -> None:
        """Let something happen, and have it seen."""
        users = self.made.users
        match what, argument:
            case "wait", int(pause):
                self.made.clock.now += pause
            case "boundary", int(offset):
                end = (self.made.clock.now - 8 * 3_600) // DAY * DAY + DAY + 8 * 3_600
                self.made.clock.now = max(self.made.clock.now, end + offset)
            case "use", (str(entity), int(day)):
                person = {**self.made.gone, **users, **self.made.bots}[entity]
                of_day = person.use[day] = dict(person.use.get(day, {}))
                of_day["devin"] = of_day.get("devin", 0.0) + 0.1 * (1 + len(entity))
            case "groups", (str(user_id), set(groups)) if user_id in users:
                users[user_id].groups = sorted(groups)
            case "rename", (str(user_id), str(domain)) if user_id in users:
                users[user_id].email = f"{user_id}@{domain}.example.com" if domain else None
            case "leave", str(user_id) if user_id in users:
                self.made.gone[user_id] = users.pop(user_id)
        self.poll(what, argument)

    def poll(self, what: str, argument: object) -> None:
        """Poll what a step wants to be polled."""
        match what, argument:
            case "file", int(number):
                self.change_file(number)
            case "poll", set(failing):
                for entity in failing:
                    self.made.fail(str(entity))
                self.running.poll("users", "service_users", "cycles")
                self.running.poll("user_consumption", "service_user_consumption")
                self.made.failing.clear()
            case (("groups" | "rename" | "leave"), _):
                self.running.poll("users")
                self.running.poll("users")

    def change_file(self, number: int) -> None:
        """Replace the teams file; the last number stands for one that is broken."""
        good = number < len(FILES)
        self.rules = FILES[number] if good else self.rules
        write(self.path, text_of(self.rules) if good else "team,email")
        self.running.poll("teams_file")
        self.running.poll("teams_file")
        up = self.running.scrape().one("devin_exporter_task_up", task="teams_file")
        assert up == (1 if good else 0)

    def members(self, kind: str) -> dict[str, set[str]]:
        """Everybody who counts, by group or team."""
        everybody = {**self.made.gone, **self.made.users}
        name_of = self.owner if kind == "group" else self.team
        if kind == "team":
            everybody |= self.made.bots
        rows: dict[str, set[str]] = {}
        for entity, person in everybody.items():
            rows.setdefault(name_of(entity, person), set()).add(entity)
        return rows

    def team(self, entity: str, person: Person) -> str:
        """The team by the rules, read one after the other."""
        for kind, pattern, team in self.rules:
            texts: list[str | None] = {"email": [person.email], "group": person.groups}.get(
                kind, []
            )
            if entity == pattern or any(fnmatch.fnmatchcase(t, pattern) for t in texts if t):
                return team
        return ""

    def owner(self, _: str, person: Person) -> str:
        """The owner group."""
        for pattern in OWNERS:
            for group in sorted(map(str, person.groups)):
                if fnmatch.fnmatchcase(group, pattern):
                    return group
        return ""


def text_of(rules: tuple[tuple[str, str, str], ...]) -> str:
    """The rules as CSV."""
    kinds = ("user", "email", "group")
    rows = (
        [*(pattern if kind == each else "" for each in kinds), team]
        for kind, pattern, team in rules
    )
    return "".join(f"{','.join(row)}\n" for row in ((*kinds, "team"), *rows))


def judge(played: History, what: str) -> None:
    """A row is there if all its members are known, and then it is their sum."""
    scrape = played.running.scrape()
    fresh = bool(scrape.family("devin_users"))
    for window in WINDOWS:
        users, bots = (shown(scrape, kind, window) for kind in ("user", "service_user"))
        for kind, use in (("group", users), ("team", {**users, **bots})):
            found = shown(scrape, kind, window)
            known = {entity for entity, _ in use}
            rows = {name: ids for name, ids in played.members(kind).items() if ids <= known}
            teams = {team for *_, team in played.rules} if kind == "team" else set()
            once = {name for each, name in played.once if each == kind}
            empty = (teams | once) - played.members(kind).keys()
            played.once |= {(kind, name) for name, _ in found}
            place = (what, window, kind)
            assert {name for name, _ in found} - empty == (rows.keys() if fresh else set()), place
            for (name, product), acus in found.items():
                of_row = [use.get((entity, product), 0.0) for entity in rows.get(name, ())]
                assert acus == pytest.approx(math.fsum(of_row), abs=1e-6), (*place, name, product)
            if fresh and rows == played.members(kind):
                assert total(found) == pytest.approx(total(use), abs=1e-6), place


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
@given(STEPS)
def test_a_row_is_the_sum_of_its_members_or_absent_while_one_is_unknown(
    history: list[tuple[str, object]],
) -> None:
    users = {
        user_id: Person({**ALWAYS, 0: {"devin": 1.0 + n, "terminal": 0.1}}, None, [GROUPS[n % 3]])
        for n, user_id in enumerate(PEOPLE)
    }
    made = Enterprise(Clock(NOW), users, {bot: Person(dict(ALWAYS)) for bot in BOTS})
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "teams.csv", text_of(FILES[0]))
        options = {"owner_groups": ",".join(OWNERS), "poll_interval": "14400"}
        with polled(made, teams_file=str(path), **options) as running:
            running.poll(*POLLED)
            played = History(made, running, path)
            judge(played, "start")
            for what, argument in history:
                played.play(what, argument)
                judge(played, what)
