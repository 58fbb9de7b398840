"""The list of sessions of the simulated API, in no order of time, and what each was billed.

The list says 0 ACUs of some sessions that worked, as some deployments do; their bill does not.
"""

import math
from collections.abc import Mapping, Sequence

from exporter.demo.people import PersonDay, Session
from exporter.demo.world import Use, World

Record = Mapping[str, object]

_ENDINGS = (
    (0.55, "running", "finished"),
    (0.7, "exit", None),
    (0.8, "running", "waiting_for_user"),
    (0.85, "running", "waiting_for_approval"),
    (0.93, "suspended", "inactivity"),
    (0.96, "suspended", "usage_limit_exceeded"),
    (1.0, "error", "error"),
)
WITHOUT_ACUS_SHARE = 0.25
"""The share of sessions whose ACUs the list does not know."""

_TAGS = ("backend", "frontend", "migration", "flaky-tests", "security", "docs", "on-call", "infra")
_REPOSITORIES = ("web", "api", "billing", "mobile-app", "pipelines", "search", "infra", "docs")
_HOSTS = ("git.example.com", "Git.Example.com")
_PLAYBOOKS = ("playbook-upgrade", "playbook-triage", "playbook-docs")
TAGGED_SHARE = 0.7
TICKETS = 60
"""The tickets that sessions are tagged with, besides what they are about."""

BILLED_AFTER_SECONDS = 600
"""A session has no bill before."""


def sessions(
    world: World, updated_after: int, at: float, *, org: int | None, before: float = math.inf
) -> list[Record]:
    """Sessions of all or one organization that last changed between two moments."""
    number = world.calendar.number
    days = range(number(updated_after) - 1, number(min(at, before)) + 1)
    rows = [
        _row(world, person_day, number, session, at)
        for person_day in world.person_days(days)
        if org is None or person_day.person.org == org
        for number, session in enumerate(person_day.sessions)
        if session.created <= at and updated_after < _updated_at(session, at) < before
    ]
    return sorted(rows, key=lambda row: str(row["session_id"]).removeprefix("devin-"))


def bill(world: World, session_id: str, at: float, *, org: int | None) -> dict[int, Use]:
    """ACUs by day and product of a session; empty if there is no bill of it."""
    found = _find(world, session_id)
    if found is None:
        return {}
    person_day, session = found
    if at < session.created + BILLED_AFTER_SECONDS or org not in {None, person_day.person.org}:
        return {}
    acus = world.billed(session, person_day.day, at)
    return {person_day.day: {"devin": acus, "cascade": 0.0, "terminal": 0.0}}


def _find(world: World, session_id: str) -> tuple[PersonDay, Session] | None:
    bare = session_id.removeprefix("devin-")
    try:
        index, day, number = (int(part, 16) for part in (bare[12:-9], bare[-9:-3], bare[-3:]))
        person_day = world.person_day(index, day)
        session = person_day.sessions[number]
    except (ValueError, IndexError):
        return None
    return (person_day, session) if bare == _id_of(world, person_day, number) else None


def _id_of(world: World, person_day: PersonDay, number: int) -> str:
    index, day = person_day.person.index, person_day.day
    random = int(world.population.chance(60, index, day, number) * 2**48)
    return f"{random:012x}{index:04x}{day:06x}{number:03x}"


def _is_without_acus(world: World, person_day: PersonDay, number: int) -> bool:
    chance = world.population.chance(62, person_day.person.index, person_day.day, number)
    return chance < WITHOUT_ACUS_SHARE


def _updated_at(session: Session, at: float) -> int:
    changed = min(int(at) // 60 * 60, session.created + session.duration)
    return max(session.created, changed)


def _row(
    world: World, person_day: PersonDay, number: int, session: Session, at: float
) -> dict[str, object]:
    person = person_day.person
    session_id = _id_of(world, person_day, number)
    running = at < session.created + session.duration
    chance = world.population.chance(61, person.index, person_day.day, number)
    status, detail = next((status, detail) for limit, status, detail in _ENDINGS if chance < limit)
    consumed = session.consumed(at)
    org_id, _ = world.organizations[person.org]
    return {
        "session_id": f"devin-{session_id}" if number % 2 else session_id,
        "org_id": org_id,
        "url": f"https://app.example.com/sessions/{session_id}",
        "status": "running" if running else status,
        "status_detail": "working" if running else detail,
        "acus_consumed": 0.0 if _is_without_acus(world, person_day, number) else consumed,
        "created_at": session.created,
        "updated_at": _updated_at(session, at),
        **_purpose(world, person_day, number),
        "title": f"Task {number + 1} of {person.name}",
        "user_id": None if person.service else person.id,
        "service_user_id": person.id if person.service else None,
        "origin": session.origin,
        "category": session.category,
    }


def _purpose(world: World, person_day: PersonDay, number: int) -> Mapping[str, object]:
    """The fields of a session that say what it was for."""
    session, org = person_day.sessions[number], person_day.person.org

    def chance(what: int) -> float:
        return world.population.chance(what, person_day.person.index, person_day.day, number)

    playbook = int(chance(65) * 5 * len(_PLAYBOOKS))
    return {
        "tags": _tags(chance(63), chance(64)),
        "pull_requests": _pull_requests(session, org, chance(66), chance(67)),
        "playbook_id": _PLAYBOOKS[playbook] if playbook < len(_PLAYBOOKS) else None,
        "automation_id": f"automation-{org}-{int(chance(68) * 3)}"
        if session.origin == "automation"
        else None,
    }


def _tags(about: float, ticket: float) -> Sequence[str]:
    """None, one, or one and a ticket."""
    if about >= TAGGED_SHARE:
        return ()
    tag = _TAGS[int(about / TAGGED_SHARE * len(_TAGS))]
    return (tag, f"ABC-{100 + int(ticket * 2 * TICKETS)}") if ticket < 1 / 2 else (tag,)


def _pull_requests(
    session: Session, org: int, where: float, number: float
) -> Sequence[Mapping[str, object]]:
    """None, one, or one in each of two repositories; written in several ways."""
    if session.pull_request is None:
        return ()
    first = int(where * len(_REPOSITORIES))
    names = [_REPOSITORIES[first]]
    if number < 1 / 8:
        names.append(_REPOSITORIES[first - 1])
    host = _HOSTS[int(number * 10) % len(_HOSTS)]
    return tuple(
        {
            "pr_url": f"https://{host}/team-{org}/{name}/pull/{1 + int(number * 9_000)}",
            "pr_state": session.pull_request,
        }
        for name in names
    )
