"""The list of sessions of the simulated API, in no order of time."""

from collections.abc import Mapping

from exporter.demo.people import PersonDay, Session
from exporter.demo.world import World

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


def sessions(world: World, updated_after: int, at: float, *, org: int | None) -> list[Record]:
    """Sessions of all or one organization that last changed after a moment."""
    number = world.calendar.number
    days = range(number(updated_after) - 1, number(at) + 1)
    rows = [
        _row(world, person_day, number, session, at)
        for person_day in world.person_days(days)
        if org is None or person_day.person.org == org
        for number, session in enumerate(person_day.sessions)
        if session.created <= at and _updated_at(session, at) > updated_after
    ]
    return sorted(rows, key=lambda row: str(row["session_id"]).removeprefix("devin-"))


def _updated_at(session: Session, at: float) -> int:
    changed = min(int(at) // 60 * 60, session.created + session.duration)
    return max(session.created, changed)


def _row(
    world: World, person_day: PersonDay, number: int, session: Session, at: float
) -> dict[str, object]:
    person = person_day.person
    key = f"{person.index:04x}{person_day.day:06x}{number:03x}"
    session_id = (
        f"{int(world.population.chance(60, person.index, person_day.day, number) * 2**48):012x}"
    )
    session_id += key
    running = at < session.created + session.duration
    chance = world.population.chance(61, person.index, person_day.day, number)
    status, detail = next((status, detail) for limit, status, detail in _ENDINGS if chance < limit)
    state = session.pull_request
    org_id, _ = world.organizations[person.org]
    return {
        "session_id": f"devin-{session_id}" if number % 2 else session_id,
        "org_id": org_id,
        "url": f"https://app.example.com/sessions/{session_id}",
        "status": "running" if running else status,
        "status_detail": "working" if running else detail,
        "acus_consumed": session.consumed(at),
        "created_at": session.created,
        "updated_at": _updated_at(session, at),
        "tags": [],
        "pull_requests": []
        if state is None
        else [{"pr_url": f"https://git.example.com/pull/{key}", "pr_state": state}],
        "title": f"Task {number + 1} of {person.name}",
        "user_id": None if person.service else person.id,
        "service_user_id": person.id if person.service else None,
        "origin": session.origin,
        "category": session.category,
    }
