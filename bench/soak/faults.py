"""What goes wrong in a soak, where and when: pure, from a seed. All moments are Unix seconds."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from exporter.client.endpoint import expand_path
from exporter.demo.endpoints import endpoints
from exporter.demo.people import DAY, DAY_START, Size
from exporter.demo.responses import Responses
from exporter.demo.world import World

DEVIN, AIONE = "devin", "aione"
HOSTS = (DEVIN, AIONE)
SIZE = Size(organizations=3, users=30, days=100)

EVERYTHING = "*"
SOURCES = ("/v3*", "/v2/*")
OF_ONE_USER = "/v3/enterprise/consumption/daily/users/{user_id}"
NEVER_ASKED = ("/v3beta1/organizations/*",)
"""By the key of an enterprise."""
TOLD_BY_ABSENCE = (
    "/v2/enterprise/metrics/usage",
    "/v3/enterprise/hypervisors",
    "/v3beta1/enterprise/guardrail-violations",
    "/v3/enterprise/consumption/cycles",
)
"""Where 403 and 404 are no fault: the data set is off for a day, or a calendar month stands in."""

MEMBER_LISTS = (
    "/v3/enterprise/organizations",
    "/v3/enterprise/members/users",
    "/v3/enterprise/members/idp-users",
    "/v3/enterprise/members/service-users",
)
REFUSED = "refused"
KEY_REFUSED = "401"
NOBODY_ONCE = "nobody, once"
OF_ROWS = ("numbers as text", "NaN", "Infinity", "negative numbers")
"""They cost the rows with numbers and all that needs them, but the request succeeds."""
ANYWHERE = (
    KEY_REFUSED, "422", "429", "429 for seconds", "429 until a date", "500", "502", "503",
    "504 with HTML", "200 with HTML", "200 with nothing", "half of the JSON", "cut off",
    "another shape", *OF_ROWS, "a byte a second", "reset", "half-open", "redirect",
)  # fmt: skip
OF_ONE_PATH = ("403", "404")
OF_LISTS = ("a cursor that repeats", "a page that fails")
HEAVY = ("a huge body", "a gzip bomb")
"""Only where few requests are made, as two processors have other work to do, too."""
OF_CONNECTIONS = (
    REFUSED,
    "expired certificate",
    "self-signed certificate",
    "another's certificate",
)

FIRST_PAUSE = 1_500.0
EACH_ONCE = (330.0, 60.0)
"""How long a fault lasts and the pause after it, while each is met once: more than an interval."""
LASTS = (400.0, 3_600.0)
"""More than an interval, so that a list in which nobody is once is whole again at the next poll."""
PAUSES = (120.0, 1_200.0)
CALM = 3_000.0
"""The pauses after each was met once and before the restarts."""
UNDISTURBED = 0.74
"""Share of the soak before the restarts, so that one process lives long enough to show a leak."""
LIVES = (300.0, 1_500.0)
"""From one restart to the next: less than an outage lasts, so that one falls into it."""


OUTAGES = (REFUSED, "503", "half-open", "reset")
"""In which nobody is answered."""
OUTAGE = (120.0, 1_500.0)
"""From how long before the end of a day at 00:00 and 08:00 UTC to how long after it."""


@dataclass(frozen=True)
class Fault:
    """What a host does wrong on some paths, and from when to when."""

    kind: str
    host: str
    where: tuple[str, ...]
    begins: float
    ends: float

    def meets(self, other: "Fault") -> bool:
        """Whether both befall a host at one time."""
        apart = self.ends < other.begins or other.ends < self.begins
        return self.host == other.host and not apart

    def silences(self, since: float, until: float) -> bool:
        """Whether nobody is answered in all of a stretch of time."""
        total = self.kind in OUTAGES and EVERYTHING in self.where
        return total and self.begins <= since and until <= self.ends


@dataclass(frozen=True)
class Restart:
    """When the exporter ends and starts again, and whether it is killed."""

    at: float
    kills: bool


@dataclass(frozen=True)
class Life:
    """What happens from the soak's start to its end.

    Attributes:
        warm: when the first pause after each fault was met once begins.
        calm: when the last pause begins.
        restarts: in order, all after the last pause.
    """

    faults: tuple[Fault, ...]
    restarts: tuple[Restart, ...]
    start: float
    warm: float
    calm: float
    end: float

    def at(self, since: float, until: float, *hosts: str) -> list[Fault]:
        """The faults of these hosts, or of all, in a stretch of time."""
        return [
            each
            for each in self.faults
            if each.host in (hosts or HOSTS) and each.begins <= until and each.ends >= since
        ]


def live(seed: int, start: float, end: float) -> Life:
    """Each fault once on all that it can befall, then random ones, and an outage as days end.

    The last random ones befall an exporter that is restarted again and again.
    """
    chance = random.Random(seed)  # noqa: S311 - for variety
    once = [fault for host in HOSTS for fault in _each_once(chance, host, start)]
    last = start + UNDISTURBED * (end - start)
    calm = last - CALM
    warm = min(max(fault.ends for fault in once), calm - CALM)
    first = warm + CALM
    days_ends = [*_days_ends(first, calm), *_days_ends(last, end)]
    outages = [fault for at in days_ends for fault in _outage(chance, at)]
    at_random = [
        fault
        for host in HOSTS
        for fault in _at_random(chance, host, first)
        if not any(fault.meets(outage) for outage in outages)
    ]
    faults = [fault for fault in once if fault.ends <= warm]
    faults += [
        fault
        for fault in outages + at_random
        if fault.ends <= calm or last <= fault.begins < fault.ends <= end
    ]
    faults.sort(key=lambda fault: fault.begins)
    return Life(tuple(faults), tuple(_restarts(chance, last, end)), start, warm, calm, end)


def _restarts(chance: random.Random, since: float, until: float) -> Iterator[Restart]:
    at, kills = since, True
    while (at := at + _between(chance, *LIVES)) < until:
        yield Restart(at, kills=kills)
        kills = not kills


def _days_ends(since: float, until: float) -> list[float]:
    """When UTC days and billing days end."""
    days = range(int(since) // DAY, int(until) // DAY + 1)
    ends = (float(day * DAY + offset) for day in days for offset in (0, DAY_START))
    before, after = OUTAGE
    return [at for at in ends if since <= at - before and at + after <= until]


def _outage(chance: random.Random, at: float) -> Iterator[Fault]:
    before, after = OUTAGE
    for host in HOSTS:
        yield Fault(chance.choice(OUTAGES), host, (EVERYTHING,), at - before, at + after)


def _each_once(chance: random.Random, host: str, start: float) -> Iterator[Fault]:
    begins = start + FIRST_PAUSE
    lasts, pause = EACH_ONCE
    for kind in chance.sample(kinds := list(_kinds(host)), len(kinds)):
        yield Fault(kind, host, _widest(kind, host), begins, begins + lasts)
        begins += lasts + pause


def _at_random(chance: random.Random, host: str, begins: float) -> Iterator[Fault]:
    kinds = list(_kinds(host))
    for _ in range(100):
        for kind in chance.sample(kinds, len(kinds)):
            ends = begins + _between(chance, *LASTS)
            where = chance.choice(list(_places(kind, host)))
            yield Fault(kind, host, where, begins, ends)
            begins = ends + _between(chance, *PAUSES)


def _between(chance: random.Random, low: float, high: float) -> float:
    """Short ones are as likely as long ones."""
    return float(low * (high / low) ** chance.random())


def _kinds(host: str) -> Iterator[str]:
    yield from (*ANYWHERE, *OF_ONE_PATH, *HEAVY, *OF_CONNECTIONS)
    if host == DEVIN:
        yield from (*OF_LISTS, NOBODY_ONCE)


def _places(kind: str, host: str) -> Iterator[tuple[str, ...]]:
    """One path or its like, one source, the whole host: each of the three as often."""
    if host == AIONE or kind in OF_CONNECTIONS:
        yield (EVERYTHING,)
        return
    paths = [(path,) for path in _paths(kind)]
    yield from paths
    if kind in ANYWHERE:
        for source in SOURCES:
            yield from [(source,)] * (len(paths) // len(SOURCES))
        yield from [(EVERYTHING,)] * len(paths)


def _widest(kind: str, host: str) -> tuple[str, ...]:
    if host == AIONE or kind in {*ANYWHERE, *OF_CONNECTIONS}:
        return (EVERYTHING,)
    return tuple(_paths(kind))[: 1 if kind in HEAVY else None]


def _paths(kind: str) -> list[str]:
    """The paths of Devin's APIs that a fault can befall; one that ends in `*` stands for many."""
    world = World(SIZE, start=0.0)
    asked = [
        each
        for each in endpoints(Responses(world, lambda: 0.0))
        if each.api != AIONE and _pattern(each.path) not in NEVER_ASKED
    ]
    if kind == NOBODY_ONCE:
        return list(MEMBER_LISTS)
    if kind in OF_LISTS:
        return [each.path for each in asked if each.paged and "{" not in each.path]
    one_user = expand_path(OF_ONE_USER, {"user_id": world.people[0].id})
    patterns = dict.fromkeys([_pattern(each.path) for each in asked] + [one_user])
    if kind in HEAVY:
        return [path for path in patterns if not path.endswith("*")]
    if kind in OF_ONE_PATH:
        return [path for path in patterns if path not in TOLD_BY_ABSENCE]
    return list(patterns)


def _pattern(path: str) -> str:
    fixed, parameter, _ = path.partition("{")
    return f"{fixed}*" if parameter else fixed
