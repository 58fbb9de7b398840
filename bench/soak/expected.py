"""What the soak's world says of every figure that is judged: pure. All moments are Unix seconds."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from bench.soak.faults import AIONE, DEVIN, SIZE
from exporter.demo.gateway import Gateway, TeamDay
from exporter.demo.people import DAY, Person
from exporter.demo.responses import ELEVATED_ABOVE, HIGH_ABOVE
from exporter.demo.world import ORGANIZATION_PRODUCTS, Use, World, billing_day, end_of
from exporter.sources.devin.billing.windows import Window, utc_day, utc_month, utc_week

POLL_INTERVAL = 300.0
QUEUE_INTERVAL = 60.0
ORGANIZATIONS_INTERVAL = 4 * POLL_INTERVAL
AIONE_DAYS = 30
PRODUCTS = ("devin", "cascade", "terminal", "review")

Series = tuple[str, frozenset[tuple[str, str]]]
Figures = Mapping[Series, float]
Billing = tuple[str, range, float]
"""A window's name, its billing days, and from when on a request tells it."""


def series(name: str, **labels: str) -> Series:
    """A series as a scrape names it."""
    return name, frozenset(labels.items())


@dataclass(frozen=True)
class Expected:
    """Figures that a task reads in one answer.

    Attributes:
        task: that publishes them.
        since: only what was asked for from this moment on tells them now.
        at: what an answer says of them at a moment.
        interval: seconds between two polls.
        step: seconds at whose multiples they may fall; None if they only rise.
        of_cycle: whether the cycle must be known.
    """

    task: str
    since: float
    at: Callable[[float], Figures]
    interval: float = POLL_INTERVAL
    step: float | None = None
    of_cycle: bool = False
    host: str = DEVIN


class Ledger:
    """The world of the simulated APIs, from the same seed."""

    def __init__(self, start: float) -> None:
        self.world = World(SIZE, start=start)
        self._gateway = Gateway(self.world.population.chance)
        self._finished = cache(self._personal_day)
        restated = map(self.world.restatement, range(self.world.founded, billing_day(start) + 2))
        self._restated = sorted(each.at for each in restated if each)

    def expected(self, now: float) -> Iterator[Expected]:
        """All that can be expected at a moment."""
        for window in self._windows(now):
            yield from self._consumption(window)
            yield from self._counts(window)
        yield from self._activity(now)
        yield from self._lists()
        yield from self._of_aione(now)
        cycle = self.world.cycles(now)[0]
        bounds = {
            series("devin_billing_cycle_start_timestamp_seconds"): float(cycle[0]),
            series("devin_billing_cycle_end_timestamp_seconds"): float(cycle[1]),
        }
        yield Expected("cycles", -math.inf, _always(bounds), of_cycle=True)
        yield Expected("queue", -math.inf, self._queue, QUEUE_INTERVAL, step=60.0)
        usage = self._usage(cycle)
        # Its days may end at 07:00 too, as the API does not say.
        seven = (now - 7 * 3_600) // DAY * DAY + 7 * 3_600
        yield Expected("devin_v2_usage", max(seven, end_of(billing_day(now) - 1)), usage)

    def moments(self, since: float, until: float, *, step: float | None = None) -> list[float]:
        """Moments between each two of which figures only rise, with the first and the last."""
        breaks = [at for at in (*self._restated, until // DAY * DAY) if since < at <= until]
        if step:
            first, last = int(since // step) + 1, int(until // step)
            breaks += [number * step for number in range(first, last + 1)]
        around = (moment for at in breaks for moment in (at - 1e-3, at))
        return [since, *around, until]

    def in_cycle(self, now: float, at: float, *, of_users_alone: bool = False) -> float:
        """The enterprise's ACUs of the running cycle as expected at a moment, or users' alone."""
        first, end = self.world.cycles(now)[0]
        expected = self.world.consumption(range(first // DAY, end // DAY), at)
        left_out = ORGANIZATION_PRODUCTS if of_users_alone else frozenset[str]()
        return math.fsum(
            acus
            for use in expected.values()
            for product, acus in use.items()
            if product not in left_out
        )

    def _windows(self, now: float) -> Iterator[Billing]:
        today = billing_day(now)
        begun = end_of(today - 1)
        (first, end), (before, _) = self.world.cycles(now)[:2]
        yield "today", range(today, today + 1), begun
        yield "yesterday", range(today - 1, today), begun
        yield "cycle", range(first // DAY, end // DAY), float(first)
        yield "previous_cycle", range(before // DAY, first // DAY), float(first)

    def _consumption(self, window: Billing) -> Iterator[Expected]:
        name, days, since = window
        of_cycle = "cycle" in name
        yield Expected(
            "enterprise_consumption", since, self._of_enterprise(name, days), of_cycle=of_cycle
        )
        for org, (org_id, _) in enumerate(self.world.organizations):
            use = self._of_organization(name, days, org, org_id)
            yield Expected("organization_consumption", since, use, of_cycle=of_cycle)
        for person in self.world.people if name != "previous_cycle" else ():
            task = "service_user_consumption" if person.service else "user_consumption"
            yield Expected(task, since, self._of_person(name, days, person), of_cycle=of_cycle)

    def _of_enterprise(self, window: str, days: range) -> Callable[[float], Figures]:
        name = f"devin_consumption_{window}_acus"
        return lambda at: _by_product(name, self.world.consumption(days, at))

    def _of_organization(
        self, window: str, days: range, org: int, org_id: str
    ) -> Callable[[float], Figures]:
        name = f"devin_organization_consumption_{window}_acus"
        return lambda at: _by_product(
            name, self.world.consumption(days, at, org=org), org_id=org_id
        )

    def _of_person(self, window: str, days: range, person: Person) -> Callable[[float], Figures]:
        kind = "service_user" if person.service else "user"
        name = f"devin_{kind}_consumption_{window}_acus"
        label = {f"{kind}_id": person.id}
        return lambda at: _by_product(name, self._personal(person, days, at), **label)

    def _personal(self, person: Person, days: range, at: float) -> Mapping[int, Use]:
        expected: dict[int, Use] = {}
        for day in days:
            restatement = self.world.restatement(day)
            if at < end_of(day):
                expected[day] = self._personal_day(person, day, at)
                break
            restated = restatement is not None and at >= restatement.at
            expected[day] = self._finished(
                person, day, restatement.at if restatement and restated else end_of(day)
            )
        return expected

    def _personal_day(self, person: Person, day: int, at: float) -> Use:
        return self.world.personal_consumption(person, range(day, day + 1), at).get(day, {})

    def _counts(self, window: Billing) -> Iterator[Expected]:
        name, days, since = window
        start, end = end_of(days.start - 1), end_of(days.stop - 1)

        def sessions(at: float, org: int | None) -> int:
            return self.world.sessions(start, end, at, org=org).created

        def pull_requests(at: float, org: int | None) -> int:
            states = self.world.sessions(start, end, at, org=org).by_pull_request
            return states.total() - states[None]

        def merged(at: float, org: int | None) -> int:
            return self.world.sessions(start, end, at, org=org).by_pull_request["merged"]

        def searches(at: float) -> Figures:
            return {series("devin_searches_cycle"): self.world.searches(start, end, at, org=None)}

        if name == "previous_cycle":
            yield from self._counted(name, since, "pull_requests", "prs_merged", merged)
            return
        yield from self._counted(name, since, "session_metrics", "sessions_created", sessions)
        if name != "today":
            yield from self._counted(name, since, "pull_requests", "prs_created", pull_requests)
        if name == "cycle":
            yield Expected("searches", since, searches, of_cycle=True)

    def _counted(
        self,
        window: str,
        since: float,
        task: str,
        what: str,
        count: Callable[[float, int | None], int],
    ) -> Iterator[Expected]:
        """A count of the enterprise, and of each organization but for the running day."""
        of_cycle = "cycle" in window
        name, of_one = f"devin_{what}_{window}", f"devin_organization_{what}_{window}"
        yield Expected(task, since, lambda at: {series(name): count(at, None)}, of_cycle=of_cycle)
        if window != "today":
            yield Expected(
                "organization_metrics",
                since,
                lambda at: {
                    series(of_one, org_id=org_id): count(at, org)
                    for org, (org_id, _) in enumerate(self.world.organizations)
                },
                ORGANIZATIONS_INTERVAL,
                of_cycle=of_cycle,
            )

    def _activity(self, now: float) -> Iterator[Expected]:
        kinds = (("daily", "day", utc_day), ("weekly", "week", utc_week))
        for adverb, word, window in (*kinds, ("monthly", "month", utc_month)):
            running = window(now)
            before = window(running.start - 1)
            for name, each in (
                (f"devin_{adverb}_active_users", running),
                (f"devin_previous_{word}_active_users", before),
            ):
                yield Expected("activity", running.start, self._active(name, each))
            of_organizations = self._active_by_organization(adverb, running)
            yield Expected(
                "organization_activity", running.start, of_organizations, ORGANIZATIONS_INTERVAL
            )

    def _active(self, name: str, window: Window) -> Callable[[float], Figures]:
        return lambda at: {series(name): self.world.active_users(window.start, window.end, at)}

    def _active_by_organization(self, adverb: str, window: Window) -> Callable[[float], Figures]:
        name = f"devin_organization_{adverb}_active_users"
        return lambda at: {
            series(name, org_id=org_id): self.world.active_users(
                window.start, window.end, at, org=org
            )
            for org, (org_id, _) in enumerate(self.world.organizations)
        }

    def _lists(self) -> Iterator[Expected]:
        infos: dict[str, dict[Series, float]] = {
            "organizations": {},
            "users": {},
            "service_users": {},
        }
        for org_id, name in self.world.organizations:
            info = series("devin_organization_info", org_id=org_id, org_name=name)
            infos["organizations"][info] = 1
        for who in self.world.people:
            labels = {"user_id": who.id, "user_email": who.email or "", "user_name": who.name}
            info = series("devin_user_info", **labels)
            if who.service:
                labels = {"service_user_id": who.id, "service_user_name": who.name}
                info = series("devin_service_user_info", **labels)
            infos["service_users" if who.service else "users"][info] = 1
        for task, listed in infos.items():
            figures = {**listed, series(f"devin_{task}"): float(len(listed))}
            yield Expected(task, -math.inf, _always(figures))

    def _queue(self, at: float) -> Figures:
        return {series("devin_queue_size"): self.world.queue_size(at)}

    def _usage(self, cycle: tuple[int, int]) -> Callable[[float], Figures]:
        return lambda at: {
            series("devin_v2_sessions_cycle"): self.world.sessions(*cycle, at, org=None).created,
            series("devin_v2_searches_cycle"): self.world.searches(*cycle, at, org=None),
        }

    def _of_aione(self, now: float) -> Iterator[Expected]:
        midnight = now // DAY * DAY

        def of_day(word: str, day: int, at: float) -> Figures:
            used = self._gateway.team_days(range(day, day + 1), at)
            tokens = sum(each.tokens for each in used)
            return {**_used(f"aione_{word}", used), series(f"aione_{word}_tokens"): tokens}

        def by_day(at: float) -> Figures:
            day = int(midnight) // DAY
            return {**of_day("today", day, at), **of_day("yesterday", day - 1, at)}

        def recent(at: float) -> Figures:
            today = int(at) // DAY
            used = self._gateway.team_days(range(today - AIONE_DAYS + 1, today + 1), at)
            by_type = {
                "prompt": sum(each.prompt for each in used),
                "completion": sum(each.completion for each in used),
                "other": sum(each.cached for each in used),
            }
            tokens = {series("aione_tokens", type=kind): n for kind, n in by_type.items()}
            return {**_used("aione", used), **tokens}

        for since, figures in ((-math.inf, recent), (midnight, by_day)):
            yield Expected("aione_dashboard", since, figures, host=AIONE)


def queue_status(size: float) -> str:
    """What the simulated API says of a queue."""
    if size > HIGH_ABOVE:
        return "high"
    return "elevated" if size > ELEVATED_ABOVE else "normal"


def _used(prefix: str, used: Sequence[TeamDay]) -> Figures:
    return {
        series(f"{prefix}_requests"): sum(each.requests for each in used),
        series(f"{prefix}_cost_rmb"): float(sum(each.cost for each in used)),
    }


def _always(figures: Figures) -> Callable[[float], Figures]:
    return lambda _: figures


def _by_product(name: str, expected: Mapping[int, Use], **labels: str) -> Figures:
    return {
        series(name, product=product, **labels): math.fsum(
            use.get(product, 0.0) for use in expected.values()
        )
        for product in PRODUCTS
    }
