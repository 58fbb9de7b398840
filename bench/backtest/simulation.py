"""An invented enterprise's ordinary life, with incidents in it, as an exporter would publish it."""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, cached_property

from exporter.demo.people import DAY, DAY_START, Person, PersonDay, Population, Session, Size
from exporter.demo.world import ORGANIZATION_PRODUCTS, Use, World, billing_day, end_of

DAYS = 120
END = datetime(2026, 1, 31, 8, 5, tzinfo=UTC).timestamp()
LONG_AFTER = END + 400 * DAY
BEFORE = 65
"""Days before the first that is looked at: the enterprise is not founded on that day."""
EVERY = 900
"""Seconds between samples."""
FIRST_AFTER = 300
"""Seconds after a day's end at which its first sample stands."""
MONTH_END_DAYS, MONTH_END_PUSH = 3, 1.3
HOLIDAYS = {
    **dict.fromkeys(
        [(11, 27), (11, 28), (12, 24), (12, 25), (12, 26), (12, 31), (1, 1), (1, 2)], 0.05
    ),
    **dict.fromkeys([(12, 22), (12, 23), (12, 29), (12, 30)], 0.4),
    (1, 19): 0.3,
}
"""What share of the usual work is done on a month's day."""

Labels = tuple[tuple[str, str], ...]
TARGET: Labels = (("instance", "devin-exporter"), ("job", "devin-exporter"))


def number(year: int, month: int, day: int) -> int:
    """The number of a billing day by its date."""
    return billing_day(datetime(year, month, day, 12, tzinfo=UTC).timestamp())


def date(day: int) -> str:
    """A billing day's date."""
    return f"{datetime.fromtimestamp(day * DAY + DAY_START, UTC):%a %d %b}"


@dataclass(frozen=True)
class Incident:
    """Something that is not ordinary: so many further sessions on each of these days.

    `person` is the index of somebody, `org` that of an organization all of whose people have
    `times` as many sessions; with neither it is everybody. `is_surge` is what the forecast is for.
    """

    what: str
    days: range
    sessions: int = 0
    times: float = 1
    person: int | None = None
    org: int | None = None
    is_surge: bool = False

    def befalls(self, person: Person) -> bool:
        """Whether it is this person's, too."""
        if self.person is not None:
            return person.index == self.person
        return self.org in {None, person.org}


def incidents(people: Iterable[Person]) -> list[Incident]:
    """On ordinary days, weekends, after holidays, at a month's end and a cycle's end."""
    users = [p for p in people if not p.service and p.rate and p.joined < number(2025, 10, 1)]
    quiet, busy = min(users, key=lambda p: p.rate), max(users, key=lambda p: p.rate)
    bot = next(p for p in people if p.service)

    def on(year: int, month: int, day: int, days: int = 1) -> range:
        first = number(year, month, day)
        return range(first, first + days)

    def user(what: str, days: range, person: Person, sessions: int = 40) -> Incident:
        return Incident(what, days, sessions=sessions, person=person.index)

    return [
        user("a user before any such weekday is known", on(2025, 10, 7), quiet),
        user("a user on a Wednesday", on(2025, 10, 29), quiet),
        user("a busy user on a month's last day", on(2025, 10, 31), busy),
        user("a user on a Saturday", on(2025, 11, 8), users[3]),
        user("the same user on the Saturday after", on(2025, 11, 15), users[3]),
        user("a user at a cycle's end", on(2025, 12, 4), users[5]),
        user("a user on the Thursday after Thanksgiving", on(2025, 12, 4), users[7]),
        user("a user on Christmas Day", on(2025, 12, 25), users[9]),
        user("a busy user on the third day after New Year", on(2026, 1, 8), busy),
        user("a user for three days", on(2026, 1, 20, 3), users[11]),
        Incident("a service user that loops", on(2025, 11, 19), sessions=80, person=bot.index),
        Incident("an organization, three times as much", on(2025, 11, 11), times=3, org=0),
        Incident("everybody, three times as much", on(2025, 12, 10), times=3),
        Incident(
            "everybody, 70 % more for twelve days", on(2026, 1, 12, 12), times=1.7, is_surge=True
        ),
    ]


@dataclass(frozen=True)
class Life(Population):
    """People who keep holidays and month ends, and whom incidents befall."""

    incidents: tuple[Incident, ...] = ()

    @cached_property
    def runaway(self) -> Person:
        """Nobody: incidents are injected."""
        return replace(self.people[1])

    def day_of(self, person: Person, day: int) -> PersonDay:
        """What a person does on a billing day."""
        usual = super().day_of(person, day)
        share = self.share(person, day)
        more = 0
        for incident in self.incidents:
            if day in incident.days and incident.befalls(person):
                share *= incident.times
                more += incident.sessions
        kept = tuple(
            copy
            for number, session in enumerate(usual.sessions)
            for copy in self._times(share, usual, number, session)
        )
        extra = tuple(self._session(person.index, day, 500 + n) for n in range(more))
        return replace(
            usual,
            sessions=(*kept, *extra),
            cascade=usual.cascade * share,
            terminal=usual.terminal * share,
            review=usual.review * share,
        )

    def share(self, person: Person, day: int) -> float:
        """How much of the usual a day has."""
        on = datetime.fromtimestamp(day * DAY + DAY_START, UTC)
        tomorrow = datetime.fromtimestamp((day + MONTH_END_DAYS) * DAY + DAY_START, UTC)
        if (on.month, on.day) in HOLIDAYS and not person.service:
            return HOLIDAYS[on.month, on.day]
        return MONTH_END_PUSH if tomorrow.month != on.month else 1.0

    def _times(
        self, share: float, usual: PersonDay, number: int, session: Session
    ) -> Iterator[Session]:
        person, day = usual.person.index, usual.day
        for copy in range(int(share + self.chance(70, person, day, number))):
            yield session if copy == 0 else self._session(person, day, 100 * copy + number)


class Enterprise(World):
    """The simulated enterprise that lives such a life."""

    def __init__(self, seed: int) -> None:
        size = Size(organizations=5, users=120, days=DAYS + BEFORE, seed=seed)
        super().__init__(size, start=END)
        plain = Population(size, self.founded)
        self.injected = tuple(incidents(plain.people))
        self.population = Life(size, self.founded, self.injected)
        self.ordinary = Life(size, self.founded)
        self._days = cache(self._uncached_days)

    @property
    def first(self) -> int:
        """The first day that is looked at."""
        return self.founded + BEFORE

    def _uncached_days(self, day: int, life: Life) -> tuple[PersonDay, ...]:
        return tuple(life.day_of(person, day) for person in self.people)

    def use(
        self, day: int, at: float, life: Life | None = None
    ) -> dict[Person, Mapping[str, float]]:
        """ACUs by person and product of a day, as told at a moment."""
        restatement = self.restatement(day)
        factor = restatement.factor if restatement and at >= restatement.at else 1.0
        told: dict[Person, Use] = {}
        for person_day in self._days(day, life or self.population):
            use = person_day.consumed(at)
            use["devin"] *= factor
            if any(use.values()):
                told[person_day.person] = use
        return told

    def total(self, days: range, life: Life) -> float:
        """ACUs of whole days."""
        of_days = (self.use(day, LONG_AFTER, life).values() for day in days)
        return sum(acus for of_day in of_days for use in of_day for acus in use.values())


def by_scope(
    enterprise: Enterprise, window: str, use: Mapping[Person, Use]
) -> Iterator[tuple[str, Labels, float]]:
    """What an exporter publishes of a window: metric, labels, ACUs."""
    total: dict[str, float] = dict.fromkeys(("devin", "cascade", "terminal", "review"), 0.0)
    of_orgs = [dict.fromkeys(sorted(ORGANIZATION_PRODUCTS), 0.0) for _ in enterprise.organizations]
    for person, told in use.items():
        kind = "service_user" if person.service else "user"
        for product, acus in told.items():
            total[product] += acus
            if product in ORGANIZATION_PRODUCTS:
                of_orgs[person.org][product] += acus
            if acus:
                labels = ((f"{kind}_id", person.id), ("product", product))
                yield f"devin_{kind}_consumption_{window}_acus", labels, acus
    for product, acus in total.items():
        yield f"devin_consumption_{window}_acus", (("product", product),), acus
    for (org_id, _), products in zip(enterprise.organizations, of_orgs, strict=True):
        for product, acus in products.items():
            labels = (("org_id", org_id), ("product", product))
            yield f"devin_organization_consumption_{window}_acus", labels, acus


def published(enterprise: Enterprise, pool: float) -> Iterator[tuple[float, str, Labels, float]]:
    """All samples of the 120 days, in the order of time."""
    sums: dict[int, dict[tuple[str, Labels], float]] = {}

    def whole(day: int, window: str) -> dict[tuple[str, Labels], float]:
        if day not in sums:
            told = by_scope(enterprise, "cycle", enterprise.use(day, LONG_AFTER))
            sums[day] = {(m, labels): a for m, labels, a in told if "user" not in m}
        return {(m.replace("cycle", window), labels): a for (m, labels), a in sums[day].items()}

    moment = end_of(enterprise.first - 1) + FIRST_AFTER
    running: list[tuple[str, Labels, float]] = []
    while moment < END:
        today = billing_day(moment)
        if moment - end_of(today - 1) < EVERY:
            # No text tells Prometheus that a series ended; what is no number is no spike either.
            yield from ((end_of(today - 1), m, labels, math.nan) for m, labels, _ in running)
        cycle, previous = enterprise.cycles(moment)[:2]
        running = list(by_scope(enterprise, "today", enterprise.use(today, moment)))
        yield from ((moment, *told) for told in running)
        yesterday = enterprise.use(today - 1, moment)
        yield from ((moment, *told) for told in by_scope(enterprise, "yesterday", yesterday))
        added: defaultdict[tuple[str, Labels], float] = defaultdict(float)
        for metric, labels, acus in running:
            if "user" not in metric:
                added[metric.replace("today", "cycle"), labels] += acus
        for (start, end), window in ((cycle, "cycle"), (previous, "previous_cycle")):
            first = max(billing_day(start), enterprise.founded)
            for day in range(first, min(billing_day(end), today)):
                for key, acus in whole(day, window).items():
                    added[key] += acus
        yield from ((moment, *key, acus) for key, acus in added.items())
        yield moment, "devin_billing_cycle_end_timestamp_seconds", (), float(cycle[1])
        yield moment, "devin_pool_acus", (), pool
        moment += EVERY
