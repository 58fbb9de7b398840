"""An enterprise over time: what happens in it, what is polled, and who is in which team."""

import fnmatch
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import strategies as st

from tests.exporter.sources.devin.consumption.teams.enterprise import (
    DAY,
    Enterprise,
    Person,
    write,
)
from tests.support.rig import Rig

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
STEPS = (
    st.tuples(st.just("wait"), st.sampled_from([60, 5 * 3_600, 20 * 3_600])),
    st.tuples(st.just("boundary"), st.sampled_from([-1, 0, 5])),
    st.tuples(st.just("groups"), st.tuples(who, st.sets(st.sampled_from(GROUPS)))),
    st.tuples(st.just("rename"), st.tuples(who, st.sampled_from(["web", "core", ""]))),
    st.tuples(st.just("file"), st.integers(0, len(FILES))),
    st.tuples(st.just("leave"), who),
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
