"""The people of the simulated enterprise and their use on each day. Pure, from a seed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property

from exporter.demo.calendar import DAY, DAY_START, DOCUMENTED, Calendar

__all__ = [
    "DAY",
    "DAY_START",
    "Person",
    "PersonDay",
    "Population",
    "Session",
    "Size",
    "in_mid_cycle",
]

_MASK = (1 << 64) - 1
_FIRST = ("Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Frances", "Ken", "Radia", "Tony")
_LAST = ("Amari", "Berg", "Costa", "Dietz", "Endo", "Faye", "Garcia", "Hale", "Ito", "Juhl")
_ORGANIZATIONS = ("Payments", "Platform", "Mobile", "Data", "Search", "Security", "Growth", "Labs")
_ORIGINS = ("webapp", "slack", "api", "linear", "jira", "automation", "desktop", "teams")
_CATEGORIES = (
    "bug_fixing",
    "feature_development",
    "unit_test_generation",
    "migrations_and_upgrades",
    "documentation_and_content",
)
_SUBCATEGORIES = ("sub-1", "sub-2", "named only", None)
_SIZES = ((1.0, "xs"), (3.0, "s"), (6.0, "m"), (8.0, "l"))

LATE_SHARE = 0.05
LATE_SECONDS = 300
"""`LATE_SHARE` of a day's IDE and terminal use arrives in the last `LATE_SECONDS`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large the simulated enterprise is, and the day of the month on which cycles start."""

    organizations: int = 6
    users: int = 200
    days: int = 400
    seed: int = 1
    cycle_day: int = 5
    calendar: Calendar = DOCUMENTED


def in_mid_cycle(size: Size, now: float) -> Size:
    """The same with a cycle that began ten days before `now` or more: it has something to show."""
    has_begun_lately = 5 <= datetime.fromtimestamp(now, UTC).day <= 15
    return replace(size, cycle_day=20 if has_begun_lately else 5)


@dataclass(frozen=True, slots=True)
class Person:
    """A user or a service user; `rate` is the sessions per working day at full growth."""

    index: int
    id: str
    name: str
    email: str | None
    org: int
    service: bool
    rate: float
    joined: int
    cascade: float
    terminal: float
    review: float | None
    direct: bool
    by_group: bool


@dataclass(frozen=True, slots=True)
class Session:
    """One cloud session; times in Unix seconds."""

    created: int
    duration: int
    acus: float
    origin: str
    size: str
    pull_request: str | None
    category: str
    subcategory: str | None

    @property
    def merged(self) -> bool:
        """Whether its pull request is merged."""
        return self.pull_request == "merged"

    def consumed(self, at: float) -> float:
        """The ACUs consumed until a moment (Unix seconds), in steps of a minute."""
        minutes = int(at - self.created) // 60
        return self.acus * min(1.0, max(0.0, minutes * 60 / self.duration))


@dataclass(frozen=True, slots=True)
class PersonDay:
    """The use of a person on a billing day; ACUs are those at its end."""

    person: Person
    day: int
    sessions: tuple[Session, ...]
    cascade: float
    terminal: float
    review: float
    searched: int | None
    calendar: Calendar = DOCUMENTED

    def consumed(self, at: float) -> dict[str, float]:
        """ACUs by product until a moment of the day (Unix seconds)."""
        elapsed = int(at - self.calendar.start_of(self.day)) // 60 * 60
        ramp = min(1.0, max(0.0, (elapsed - 4 * 3_600) / (12 * 3_600)))
        late = elapsed >= self.calendar.length_of(self.day) - LATE_SECONDS
        share = (1 - LATE_SHARE) * ramp + (LATE_SHARE if late else 0.0)
        use = {
            "devin": sum(session.consumed(at) for session in self.sessions),
            "cascade": self.cascade * share,
            "terminal": self.terminal * share,
        }
        if self.person.review is not None:
            use["review"] = self.review * share
        return use


@dataclass(frozen=True)
class Population:
    """All people and their use; `founded` is the number of the first billing day."""

    size: Size
    founded: int

    @property
    def calendar(self) -> Calendar:
        """When billing days start."""
        return self.size.calendar

    def chance(self, *keys: int) -> float:
        """A number in [0, 1) that depends on the seed and the keys only."""
        mixed = self.size.seed + 0x9E3779B97F4A7C15
        for key in keys:
            mixed = ((mixed ^ (key & _MASK)) * 0xBF58476D1CE4E5B9 + 0x94D049BB133111EB) & _MASK
            mixed ^= mixed >> 31
        mixed = (mixed * 0x94D049BB133111EB) & _MASK
        return (mixed ^ (mixed >> 29)) / (_MASK + 1)

    @cached_property
    def organizations(self) -> Sequence[tuple[str, str]]:
        """The ids and names of organizations."""
        return tuple(
            (
                f"org-{int(self.chance(7, index) * 2**32):08x}{index:04x}",
                _ORGANIZATIONS[index % len(_ORGANIZATIONS)]
                + (f" {index // len(_ORGANIZATIONS) + 1}" if index >= len(_ORGANIZATIONS) else ""),
            )
            for index in range(self.size.organizations)
        )

    @cached_property
    def people(self) -> Sequence[Person]:
        """Users first, then a service user for every fifty of them, at least three."""
        users = [self._user(index) for index in range(self.size.users)]
        bots = max(3, self.size.users // 50)
        return (*users, *(self._service_user(self.size.users + n, n) for n in range(bots)))

    def _user(self, index: int) -> Person:
        first = _FIRST[index % 10]
        last = _LAST[index // 10 % 10]
        mail = f"{first}.{last}{index}@example.com".lower()
        ids = (
            f"email|{mail.partition('@')[0]}",
            f"okta|Acme|{first} {last}/{index}",
            f"google-oauth2|{10**20 + index}",
            f"user-{index:08x}",
        )
        which = self.chance(1, index)
        idle = self.chance(2, index) < 0.12 and index not in {0, 1}
        early = self.chance(3, index) < 0.4 or index in {0, 1}
        return Person(
            index=index,
            id="email|Ü n/ï" if index == 0 else ids[index % len(ids)],
            name=f"{first} {last}",
            email=None if index % 17 == 5 else mail,
            org=int(self.chance(4, index) ** 1.5 * self.size.organizations),
            service=False,
            rate=0.0 if idle else 0.2 + 2.5 * self.chance(5, index) ** 3,
            joined=self.founded
            + (0 if early else int(self.chance(6, index) * self.size.days * 0.8)),
            cascade=0.0 if idle or self.chance(8, index) < 0.4 else 3 * self.chance(9, index),
            terminal=0.0 if idle or self.chance(10, index) < 0.6 else 2 * self.chance(11, index),
            review=None if idle or self.chance(12, index) < 0.7 else self.chance(13, index),
            direct=which < 0.6,
            by_group=which >= 0.4,
        )

    def _service_user(self, index: int, number: int) -> Person:
        return Person(
            index=index,
            id=f"service-user-{number:04d}",
            name=f"automation-{number}",
            email=None,
            org=number % self.size.organizations,
            service=True,
            rate=0.5 + 3 * self.chance(14, index),
            joined=self.founded,
            cascade=0.0,
            terminal=0.0,
            review=None,
            direct=False,
            by_group=False,
        )

    def groups_of(self, person: Person) -> Sequence[str]:
        """The groups of a person: everybody's, the organization's, and of some a third one."""
        if not person.by_group:
            return ()
        _, name = self.organizations[person.org]
        on_call = ("on-call",) if self.chance(15, person.index) < 0.15 else ()
        return ("engineering", f"eng-{name.lower().replace(' ', '-')}", *on_call)

    @property
    def runaway(self) -> Person:
        """The user whose sessions got out of hand in the last three days of the history."""
        return self.people[1]

    def day_of(self, person: Person, day: int) -> PersonDay:
        """The use of a person on a billing day."""
        if not self.founded <= person.joined <= day:
            return PersonDay(person, day, (), 0.0, 0.0, 0.0, None, self.calendar)
        key = person.index
        weekend = (day + 3) % 7 >= 5 and not person.service
        growth = 0.5 + 0.5 * min(1.0, (day - self.founded) / self.size.days)
        busy = growth * (0.12 if weekend else 1.0)
        count = int(person.rate * busy + self.chance(20, key, day))
        if person.rate == 0.0:
            count = 0
        runaway = person is self.runaway and day >= self.founded + self.size.days - 2
        count = count * 12 + 40 if runaway else count
        mood = 2 * self.chance(21, key, day) * (1.0 if self.chance(22, key, day) < busy else 0.0)
        searched = None
        if person.rate and not person.service and self.chance(23, key, day) < 0.3 * busy:
            late = int(self.chance(24, key, day) * self.calendar.length_of(day))
            searched = self.calendar.start_of(day) + late
        return PersonDay(
            person,
            day,
            tuple(self._session(key, day, number) for number in range(count)),
            person.cascade * mood,
            person.terminal * mood,
            (person.review or 0.0) * mood,
            searched,
            self.calendar,
        )

    def _session(self, key: int, day: int, number: int) -> Session:
        late = self.chance(30, key, day, number) < 0.02
        hours = self.chance(31, key, day, number)
        length = self.calendar.length_of(day)
        offset = length - 600 if late else int(5 * 3_600 + hours * 12 * 3_600)
        acus = 0.3 + 9 * self.chance(32, key, day, number) ** 2
        size = next((name for limit, name in _SIZES if acus < limit), "xl")
        return Session(
            created=self.calendar.start_of(day) + offset,
            duration=max(60, min(int(acus * 900), length - offset)),
            acus=acus,
            origin=_ORIGINS[int(self.chance(33, key, day, number) ** 2 * len(_ORIGINS))],
            size=size,
            pull_request=self._pull_request(self.chance(34, key, day, number)),
            category=_CATEGORIES[int(self.chance(35, key, day, number) * len(_CATEGORIES))],
            subcategory=_SUBCATEGORIES[
                int(self.chance(36, key, day, number) * len(_SUBCATEGORIES))
            ],
        )

    @staticmethod
    def _pull_request(chance: float) -> str | None:
        states = ((0.35, "merged"), (0.45, "closed"), (0.6, "open"))
        return next((state for limit, state in states if chance < limit), None)


def next_day(start: float) -> float:
    """The end of a UTC day."""
    return start + DAY


def next_week(start: float) -> float:
    """The end of the UTC week of a day."""
    return start + (7 - datetime.fromtimestamp(start, UTC).weekday()) * DAY


def next_month(start: float) -> float:
    """The end of the UTC month of a day."""
    month = datetime.fromtimestamp(start, UTC).replace(day=1)
    return (month + timedelta(days=31)).replace(day=1).timestamp()
