"""An enterprise in which a small share of users is active at a time, and its API as a transport.

Every user has used all products on many days before. From the start on, users are active in spells
of half an hour, and use grows by the minute. Most spells are cloud sessions, which the list of
sessions shows; the rest is use of the IDE by some regulars, which only their ACUs show.
"""

import json
import math
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

import httpx

DAY = 86_400
EIGHT = 8 * 3_600
DAILY = "/v3/enterprise/consumption/daily"
PRODUCTS = ("devin", "cascade", "terminal")
SPELL_SECONDS = 1_800.0
DOMAINS = 250
REGULARS = 20
"""One of so many users has used the IDE in the last days; nobody else does."""
CYCLES = ((1_772_697_600, 1_775_376_000), (1_770_278_400, 1_772_697_600))
"""From 5 March to 5 April 2026, and the one before."""

START = 1_773_982_800.0
"""20 March 2026, 05:00 UTC: a billing day ends three hours later."""


class Clock:
    """Simulated Unix seconds. They pass only where somebody waits."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        """The present moment."""
        return self.now


class Waiting(threading.Event):
    """A stop signal on which waiting moves the clock."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        """Let that time pass."""
        self._clock.now += timeout or 0.0
        return self.is_set()


@dataclass(frozen=True, slots=True)
class Spell:
    """Use of one product without a break; it grows by the minute."""

    user: int
    start: float
    minutes: int
    rate: float
    product: str

    @property
    def end(self) -> float:
        """When it last grows."""
        return self.start + 60.0 * self.minutes

    def acus(self, at: float) -> float:
        """ACUs until a moment."""
        return self.rate * min(self.minutes, max(0, int(at - self.start) // 60))

    def on_day(self, day: int, at: float) -> float:
        """ACUs on one billing day until a moment."""
        begins = day * DAY + EIGHT
        return self.acus(min(at, begins + DAY)) - self.acus(min(at, begins))

    def first_growth_after(self, at: float) -> float:
        """When it next grows after a moment; inf if it does not."""
        minutes = max(0, math.floor((at - self.start) / 60.0)) + 1
        return self.start + 60.0 * minutes if minutes <= self.minutes else math.inf


class World:
    """The enterprise. Spells of `hidden` users belong to nobody who is listed."""

    def __init__(
        self,
        *,
        users: int,
        organizations: int,
        hours: float,
        hidden: int,
        ide: float,
        seed: int,
        groups: int,
    ) -> None:
        self.users = users
        self.organizations = organizations
        self.groups = groups
        self.hidden = hidden
        self.days = range(int(START - EIGHT) // DAY - 50, int(START - EIGHT) // DAY + 1)
        chance = random.Random(seed)  # noqa: S311 - a simulation
        self.spells: dict[int, list[Spell]] = defaultdict(list)
        per_second = 0.03 * users / (SPELL_SECONDS + 300.0)
        at = START - 4 * SPELL_SECONDS
        while at < START + hours * 3_600:
            at += chance.expovariate(per_second)
            minutes = 1 + int(chance.expovariate(60.0 / SPELL_SECONDS))
            product = "cascade" if chance.random() < ide else "devin"
            user = chance.randrange(users)
            if product == "cascade":
                user -= user % REGULARS
            self.spells[user].append(Spell(user, at, minutes, chance.uniform(0.01, 0.1), product))
        for user in range(users, users + hidden):
            whole = Spell(user, START - 3_600, int(hours * 60) + 120, 0.05, "devin")
            self.spells[user].append(whole)
        self._all = [spell for spells in self.spells.values() for spell in spells]
        self._base_of_all: dict[int | None, dict[tuple[str, int], float]] = defaultdict(
            lambda: defaultdict(float)
        )
        for user in range(users):
            for day in self.days:
                for product, acus in self.base(user, day).items():
                    self._base_of_all[None][product, day] += acus
                    if product == "devin":
                        self._base_of_all[user % organizations][product, day] += acus

    def base(self, user: int, day: int) -> Mapping[str, float]:
        """What a user had used on a day before the start; nothing on the first running day."""
        is_off = (user * 7 + day * 3) % 5 in {0, 1}
        if is_off or day >= self.days[-1]:
            return {}
        return {
            product: ((user * 31 + day * 17 + place * 7) % 50 + 1) / 10
            for place, product in enumerate(PRODUCTS)
            if product == "devin" or day < self.days[-1] - 10 or user % REGULARS == 0
        }

    def use_of(self, user: int, at: float) -> dict[tuple[str, int], float]:
        """ACUs of a user by product and day until a moment."""
        use: dict[tuple[str, int], float] = defaultdict(float)
        for day in self.days:
            for product, acus in self.base(user, day).items():
                use[product, day] = acus
        self._add(use, self.spells.get(user, ()), at)
        return use

    def use_of_all(self, org: int | None, at: float) -> dict[tuple[str, int], float]:
        """ACUs of the enterprise (None) or an organization."""
        use = defaultdict(float, self._base_of_all[org])
        chosen = (
            spell
            for spell in self._all
            if org is None or (spell.product == "devin" and spell.user % self.organizations == org)
        )
        self._add(use, chosen, at)
        return use

    def _add(self, use: dict[tuple[str, int], float], spells: Iterable[Spell], at: float) -> None:
        today = int(at - EIGHT) // DAY
        for spell in spells:
            if spell.start > at:
                continue
            for day in {int(spell.start - EIGHT) // DAY, int(min(at, spell.end) - EIGHT) // DAY}:
                if day <= today:
                    use[spell.product, day] += spell.on_day(day, at)

    def sessions(self, since: float, at: float) -> Iterator[Spell]:
        """Cloud sessions that have changed since a moment."""
        for spell in self._all:
            is_listed = spell.product == "devin" and spell.user < self.users
            if is_listed and spell.start <= at and min(at, spell.end) > since:
                yield spell

    def first_change(self, user: int, since: float) -> float:
        """When a user's use first grew after a moment; inf if it did not."""
        spells = self.spells.get(user, ())
        return min((spell.first_growth_after(since) for spell in spells), default=math.inf)


class Api(httpx.BaseTransport):
    """The API. It notes what is asked when, and how late each change is seen."""

    def __init__(self, world: World, clock: Clock) -> None:
        self.world = world
        self.clock = clock
        self.sent: list[float] = []
        self.paths: Counter[str] = Counter()
        self.told: dict[int, float] = {}
        self.told_organizations: dict[int | None, float] = {}
        """When the use of each organization was last told, and of the enterprise (None)."""
        self.delays: list[float] = []
        self.seconds = 0.0
        self._lock = threading.Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        began = time.thread_time()
        path = unquote(request.url.raw_path.decode().partition("?")[0])
        with self._lock:
            self.sent.append(self.clock.now)
            self.paths[DAILY if path.startswith(DAILY) else path] += 1
            body = json.dumps(self._answer(path, request.url.params)).encode()
            self.seconds += time.thread_time() - began
        return httpx.Response(
            200, stream=httpx.ByteStream(body), headers={"Content-Type": "application/json"}
        )

    def forget(self) -> None:
        """Begin to measure anew."""
        self.sent.clear()
        self.paths.clear()
        self.delays.clear()

    def late(self) -> list[float]:
        """How long changes have not been seen that are not seen yet."""
        now = self.clock.now
        firsts = (self.world.first_change(user, at) for user, at in self.told.items())
        return [now - first for first in firsts if first < now]

    def _answer(self, path: str, query: httpx.QueryParams) -> object:
        if path.startswith(DAILY):
            kind, _, entity = path.removeprefix(DAILY).strip("/").partition("/")
            return _daily(self._use(kind, entity), int(query["time_after"]))
        name = path.rpartition("/")[2]
        if name == "self":
            return {"principal_type": "service_user", "service_user_id": "bot"}
        return self._list(self._rows(name, query), query)

    def _rows(self, name: str, query: httpx.QueryParams) -> Sequence[object]:
        world = self.world
        if name == "sessions":
            since = float(query["updated_after"])
            now = self.clock.now
            return [_session(spell, world, now) for spell in world.sessions(since, now)]
        if name == "cycles":
            return [{"after": after, "before": before} for after, before in CYCLES]
        if name == "organizations":
            return [{"org_id": f"org-{n}", "name": f"Org {n}"} for n in range(world.organizations)]
        if name == "users":
            return [_member(n, world.organizations) for n in range(world.users)]
        if name == "idp-users" and world.groups:
            return [_grouped(n, world.organizations, world.groups) for n in range(world.users)]
        return []

    def _use(self, kind: str, entity: str) -> Mapping[tuple[str, int], float]:
        number = int(entity.rpartition("-")[2]) if entity else None
        if kind in {"", "organizations"}:
            self.told_organizations[number] = self.clock.now
        if kind != "users" or number is None:
            return self.world.use_of_all(number, self.clock.now)
        told = self.told.get(number)
        if told is not None:
            first = self.world.first_change(number, told)
            if first <= self.clock.now:
                self.delays.append(self.clock.now - first)
        self.told[number] = self.clock.now
        return self.world.use_of(number, self.clock.now)

    def _list(self, rows: Sequence[object], query: httpx.QueryParams) -> object:
        first = int(query.get("after", "0"))
        end = first + int(query.get("first", "200"))
        return {"items": rows[first:end], "end_cursor": str(end), "has_next_page": end < len(rows)}


def _member(number: int, organizations: int) -> object:
    return {**_who(number), "role_assignments": [{"org_id": f"org-{number % organizations}"}]}


def _grouped(number: int, organizations: int, groups: int) -> object:
    """A user who is in one to three groups."""
    org_id = f"org-{number % organizations}"
    names = [group_name((number * 7 + place * 13) % groups) for place in range(1 + number % 3)]
    roles = [{"idp_group_name": name, "org_id": org_id} for name in names]
    return {**_who(number), "idp_role_assignments": roles}


def group_name(number: int) -> str:
    """A group's name."""
    return f"group-{number:03}"


def domain_name(number: int) -> str:
    """Of one of `DOMAINS`, what stands behind the @."""
    return f"unit-{number % DOMAINS}.example.com"


def _who(number: int) -> Mapping[str, str]:
    return {
        "user_id": f"user-{number}",
        "email": f"user.{number}@{domain_name(number)}",
        "name": f"User Number {number}",
    }


def _session(spell: Spell, world: World, now: float) -> object:
    return {
        "session_id": f"s-{spell.user}-{spell.start:.0f}",
        "org_id": f"org-{spell.user % world.organizations}",
        "url": "https://app.example.com/s",
        "status": "running",
        "acus_consumed": 1.0,
        "created_at": int(spell.start),
        "updated_at": int(min(now, spell.end)),
        "user_id": f"user-{spell.user}",
    }


def _daily(use: Mapping[tuple[str, int], float], first: int) -> object:
    by_day: dict[int, dict[str, float]] = {}
    for (product, day), acus in use.items():
        if acus and day * DAY + EIGHT >= first:
            by_day.setdefault(day, {})[product] = acus
    return {
        "consumption_by_date": [
            {"date": day * DAY + EIGHT, "acus": math.fsum(split.values()), "acus_by_product": split}
            for day, split in sorted(by_day.items())
        ]
    }
