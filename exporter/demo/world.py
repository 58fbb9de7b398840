"""The simulated enterprise at any moment: consumption, activity, queue. Pure."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import pairwise

from exporter.demo.calendar import DAY, DOCUMENTED
from exporter.demo.people import Person, PersonDay, Population, Session, Size

ORGANIZATION_PRODUCTS = frozenset({"devin", "review", "cascade"})
"""Use in the terminal is tied to users, not to organizations."""

KEPT_PERSON_DAYS = 30_000
"""Cached days of people; enough for all requested days of a small enterprise."""

Use = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Restatement:
    """A change of a billing day's cloud sessions by `factor`, from `at` (Unix seconds) on."""

    at: float
    factor: float


@dataclass(frozen=True, slots=True)
class SessionTotals:
    """The sessions created in an interval, and the ACUs that they have consumed."""

    created: int
    acus: float
    by_origin: Counter[str]
    by_size: Counter[str]
    by_pull_request: Counter[str | None]
    by_category: Counter[tuple[str, str | None]]
    acus_by_category: Mapping[tuple[str, str | None], float]


class World:
    """An enterprise that has used Devin for `size.days` days when the clock shows `start`."""

    def __init__(self, size: Size, *, start: float) -> None:
        self.size = size
        self.calendar = size.calendar
        self.founded = self.calendar.number(start) - size.days
        self.population = Population(size, self.founded)
        self._recent = lru_cache(maxsize=3)(self._person_days)
        self._lived = lru_cache(maxsize=KEPT_PERSON_DAYS)(self._day_of)
        self._finished = lru_cache(maxsize=4 * size.days)(self._finished_day)
        self._finished_sessions = lru_cache(maxsize=4 * size.days)(self._sessions_of_day)
        self._searching = lru_cache(maxsize=4 * size.days)(self._searching_on)
        self._active = lru_cache(maxsize=4 * size.days)(self._active_on)

    @property
    def organizations(self) -> Sequence[tuple[str, str]]:
        """The ids and names of organizations."""
        return self.population.organizations

    @property
    def people(self) -> Sequence[Person]:
        """Users and service users."""
        return self.population.people

    def cycles(self, now: float) -> list[tuple[int, int]]:
        """Billing cycles, the newest first: from a month's day `size.cycle_day` to the next one."""
        first = datetime.fromtimestamp(self.founded * DAY, UTC)
        starts: list[int] = []
        year, month = first.year, first.month - 1
        while not starts or starts[-1] <= now:
            year, month = (year - 1, 12) if month == 0 else (year, month)
            date = datetime(year, month, self.size.cycle_day, tzinfo=UTC)
            starts.append(self.calendar.start_of(int(date.timestamp()) // DAY))
            year, month = (year + 1, 1) if month == 12 else (year, month + 1)
        return list(reversed(list(pairwise(starts))))

    def restatement(self, day: int) -> Restatement | None:
        """How a day was restated, up or down; None for most days."""
        chance = self.population.chance
        if chance(40, day) >= 0.08:
            return None
        at = self.calendar.end_of(day) + 3 * 3_600 + int(chance(41, day) * 40) * 3_600
        return Restatement(at, 0.85 + 0.3 * chance(42, day))

    def consumption(self, days: range, at: float, *, org: int | None = None) -> dict[int, Use]:
        """ACUs by day and product of the enterprise or an organization, as reported at a moment."""
        usage: dict[int, Use] = {}
        for day in self._days_until(days, at):
            restated = self._restated(day, at)
            if at >= self.calendar.end_of(day):
                usage[day] = self._finished(day, restated)[org]
            else:
                usage[day] = self._add_up(self._recent(day), at, restated)[org]
        return {day: use for day, use in usage.items() if any(use.values())}

    def personal_consumption(self, person: Person, days: range, at: float) -> dict[int, Use]:
        """ACUs by day and product of one user or service user, as reported at a moment."""
        usage: dict[int, Use] = {}
        for day in self._days_until(days, at):
            use = self._lived(person.index, day).consumed(at)
            use["devin"] *= self._factor(day, restated=self._restated(day, at))
            if any(use.values()):
                usage[day] = use
        return usage

    def active_users(self, start: float, end: float, at: float, *, org: int | None = None) -> int:
        """The number of users with a session or a search in whole UTC days, until `at`."""
        users: set[int] = set()
        for day in range(int(start) // DAY, min(int(end) // DAY, int(at) // DAY + 1)):
            finished = at >= (day + 1) * DAY
            users |= self._active(day) if finished else self._active_on(day, until=at)
        return sum(1 for user in users if org is None or self.people[user].org == org)

    def sessions(self, start: float, end: float, at: float, *, org: int | None) -> SessionTotals:
        """Sessions created from `start` to before `end`, until `at`."""
        parts: list[SessionTotals] = []
        for day in self._days_between(start, end, at):
            begins, ends = self.calendar.start_of(day), self.calendar.end_of(day)
            if start <= begins and ends <= min(end, at):
                parts.append(self._finished_sessions(day)[org])
            else:
                parts.append(
                    _totals(
                        [
                            session
                            for session in _sessions(self._recent(day), org)
                            if start <= session.created < end and session.created <= at
                        ],
                        at,
                    )
                )
        return _sum(parts)

    def searches(self, start: float, end: float, at: float, *, org: int | None) -> int:
        """Searches made from `start` to before `end`, until `at`."""
        return sum(
            start <= person_day.searched < end and person_day.searched <= at
            for day in self._days_between(start, end, at)
            for person_day in self._searching(day)
            if person_day.searched is not None and org in {None, person_day.person.org}
        )

    def person_days(self, days: range) -> Iterator[PersonDay]:
        """The days of all people, day by day."""
        for day in days:
            yield from self._recent(day)

    def person_day(self, index: int, day: int) -> PersonDay:
        """A day of a person. Raises `IndexError` for nobody."""
        return self._lived(index, day)

    def billed(self, session: Session, day: int, at: float) -> float:
        """ACUs of a session of a billing day, as reported at a moment."""
        return session.consumed(at) * self._factor(day, restated=self._restated(day, at))

    def queue_size(self, at: float) -> int:
        """Waiting sessions: a few, with a peak every hour that exceeds both thresholds."""
        minute = int(at) % 3_600 // 60
        calm = int(self.population.chance(50, int(at) // 60) * 8)
        swell = 72 * max(0.0, 1 - abs(minute - 30) / 12)
        return calm + int(swell)

    def _days_until(self, days: range, at: float) -> range:
        return range(max(days.start, self.founded), min(days.stop, self.calendar.number(at) + 1))

    def _days_between(self, start: float, end: float, at: float) -> range:
        number = self.calendar.number
        return self._days_until(range(number(start), number(min(end, at)) + 1), at)

    def _restated(self, day: int, at: float) -> bool:
        restatement = self.restatement(day)
        return restatement is not None and at >= restatement.at

    def _factor(self, day: int, *, restated: bool) -> float:
        restatement = self.restatement(day)
        return restatement.factor if restated and restatement else 1.0

    def _day_of(self, index: int, day: int) -> PersonDay:
        return self.population.day_of(self.people[index], day)

    def _person_days(self, day: int) -> tuple[PersonDay, ...]:
        return tuple(self._lived(person.index, day) for person in self.people)

    def _finished_day(self, day: int, restated: bool) -> dict[int | None, Use]:  # noqa: FBT001 - a cache key
        return self._add_up(self._person_days(day), self.calendar.end_of(day), restated)

    def _add_up(
        self,
        person_days: Sequence[PersonDay],
        at: float,
        restated: bool,  # noqa: FBT001 - as above
    ) -> dict[int | None, Use]:
        """ACUs by organization, and for the enterprise under None."""
        parts: dict[int | None, dict[str, list[float]]] = {
            org: {"devin": [], "cascade": [], "terminal": [], "review": []}
            for org in (None, *range(len(self.organizations)))
        }
        for person_day in person_days:
            factor = self._factor(person_day.day, restated=restated)
            for product, consumed in person_day.consumed(at).items():
                acus = consumed * factor if product == "devin" else consumed
                parts[None][product].append(acus)
                if product in ORGANIZATION_PRODUCTS:
                    parts[person_day.person.org][product].append(acus)
        return {
            org: {product: math.fsum(acus) for product, acus in by_product.items()}
            for org, by_product in parts.items()
        }

    def _sessions_of_day(self, day: int) -> dict[int | None, SessionTotals]:
        person_days = self._person_days(day)
        return {
            org: _totals(list(_sessions(person_days, org)), self.calendar.end_of(day))
            for org in (None, *range(len(self.organizations)))
        }

    def _searching_on(self, day: int) -> tuple[PersonDay, ...]:
        return tuple(each for each in self._person_days(day) if each.searched is not None)

    def _active_on(self, day: int, until: float = math.inf) -> frozenset[int]:
        end = min(float((day + 1) * DAY), until + 1)
        return frozenset(
            person_day.person.index
            for billing in (day - 1, day)
            for person_day in self._recent(billing)
            if not person_day.person.service
            and any(day * DAY <= moment < end for moment in _moments(person_day))
        )


def billing_day(at: float) -> int:
    """The number of the billing day of a moment, as documented."""
    return DOCUMENTED.number(at)


def end_of(day: int) -> float:
    """When a billing day ends (Unix seconds), as documented."""
    return DOCUMENTED.end_of(day)


def _moments(person_day: PersonDay) -> Iterator[int]:
    yield from (session.created for session in person_day.sessions)
    if person_day.searched is not None:
        yield person_day.searched


def _sessions(person_days: Sequence[PersonDay], org: int | None) -> Iterator[Session]:
    for person_day in person_days:
        if org is None or person_day.person.org == org:
            yield from person_day.sessions


def _sum(parts: Sequence[SessionTotals]) -> SessionTotals:
    acus: Counter[tuple[str, str | None]] = Counter()
    for part in parts:
        acus.update(part.acus_by_category)
    return SessionTotals(
        created=sum(part.created for part in parts),
        acus=math.fsum(part.acus for part in parts),
        by_origin=sum((part.by_origin for part in parts), Counter()),
        by_size=sum((part.by_size for part in parts), Counter()),
        by_pull_request=sum((part.by_pull_request for part in parts), Counter()),
        by_category=sum((part.by_category for part in parts), Counter()),
        acus_by_category=acus,
    )


def _totals(sessions: Sequence[Session], at: float) -> SessionTotals:
    acus: defaultdict[tuple[str, str | None], float] = defaultdict(float)
    for session in sessions:
        acus[session.category, session.subcategory] += session.consumed(at)
    return SessionTotals(
        created=len(sessions),
        acus=math.fsum(session.consumed(at) for session in sessions),
        by_origin=Counter(session.origin for session in sessions),
        by_size=Counter(session.size for session in sessions),
        by_pull_request=Counter(session.pull_request for session in sessions),
        by_category=Counter((session.category, session.subcategory) for session in sessions),
        acus_by_category=acus,
    )
