"""An enterprise whose people, groups and use are set by hand, behind a doubled transport."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import httpx
import respx

from tests.support.rig import Clock, Rig, Scrape, at, rig

URL = "https://api.test"
NOW = at("2026-03-20 15:30:00")
DAY = 86_400
DAILY = "/v3/enterprise/consumption/daily"
MEMBERS = "/v3/enterprise/members"
CYCLES = [
    {"after": int(at("2026-03-05 08:00:00")), "before": int(at("2026-04-05 08:00:00"))},
    {"after": int(at("2026-02-05 08:00:00")), "before": int(at("2026-03-05 08:00:00"))},
]
POLLED = (
    "identity",
    "cycles",
    "teams_file",
    "users",
    "service_users",
    "user_consumption",
    "service_user_consumption",
)
Use = dict[int, dict[str, float]]
"""ACUs by billing day, counted from the running one at the start, and product."""

Page = dict[tuple[str, str], float]
"""ACUs by the first label and the product."""


@dataclass
class Person:
    """A user, or a service user."""

    use: Use = field(default_factory=dict)
    email: str | None = None
    groups: list[str | None] = field(default_factory=list)
    by_group: bool = True


@dataclass
class Enterprise:
    """Its users, also those who are gone, and service users; polls see changes."""

    clock: Clock
    users: dict[str, Person] = field(default_factory=dict)
    bots: dict[str, Person] = field(default_factory=dict)
    gone: dict[str, Person] = field(default_factory=dict)
    gone_bots: dict[str, Person] = field(default_factory=dict)
    failing: set[str] = field(default_factory=set)
    cycles: list[dict[str, int]] = field(default_factory=lambda: list(CYCLES))
    sessions: list[dict[str, object]] = field(default_factory=list)

    def answer(self, request: httpx.Request) -> httpx.Response:
        """What the API says."""
        path = unquote(request.url.raw_path.decode().partition("?")[0])
        if path in self.failing:
            return httpx.Response(422)
        if path == "/v3/self":
            found: object = {
                "principal_type": "service_user",
                "service_user_id": "b",
                "org_id": None,
            }
            return httpx.Response(200, json=found)
        lists: Mapping[str, list[dict[str, object]]] = {
            "/v3/enterprise/consumption/cycles": [dict(cycle) for cycle in self.cycles],
            f"{MEMBERS}/users": [
                {"user_id": user_id, "email": user.email, "role_assignments": []}
                for user_id, user in self.users.items()
                if not user.by_group
            ],
            f"{MEMBERS}/idp-users": [
                {
                    "user_id": user_id,
                    "email": user.email,
                    "idp_role_assignments": [{"idp_group_name": each} for each in user.groups],
                }
                for user_id, user in self.users.items()
                if user.by_group
            ],
            f"{MEMBERS}/service-users": [{"service_user_id": bot} for bot in self.bots],
        }
        if path in lists:
            return httpx.Response(200, json={"items": lists[path], "has_next_page": False})
        if path == "/v3/enterprise/sessions":
            return self._changed(request.url.params)
        return self._use(path)

    def _use(self, path: str) -> httpx.Response:
        """The ACUs of everybody, or of one."""
        if path == DAILY:
            everybody = (*self.gone.values(), *self.gone_bots.values())
            everybody += (*self.users.values(), *self.bots.values())
            return httpx.Response(200, json=_days(_summed(each.use for each in everybody)))
        kind, _, entity = path.removeprefix(f"{DAILY}/").partition("/")
        users, bots = {**self.gone, **self.users}, {**self.gone_bots, **self.bots}
        people = {"users": users, "service-users": bots}[kind]
        if entity not in people:
            return httpx.Response(404)
        return httpx.Response(200, json=_days(people[entity].use))

    def _changed(self, query: httpx.QueryParams) -> httpx.Response:
        """The sessions that last changed within the bounds."""
        bounds = float(query["updated_after"]), float(query.get("updated_before", "inf"))
        items = [
            row for row in self.sessions if bounds[0] < float(str(row["updated_at"])) < bounds[1]
        ]
        return httpx.Response(200, json={"items": items, "has_next_page": False})

    def begin_session(self, *states: str | None, **owner: str) -> None:
        """A session that is created now, with a pull request in each of some states."""
        number, now = len(self.sessions), int(self.clock())
        requests = [
            {"pr_url": f"https://git.example.com/a/b/pull/{number}-{place}", "pr_state": state}
            for place, state in enumerate(states)
        ]
        fields = {"session_id": str(number), "org_id": "o", "url": "", "status": "running"}
        times = {"created_at": now, "updated_at": now, "acus_consumed": 1.0}
        self.sessions.append({**fields, **times, "tags": [], "pull_requests": requests, **owner})

    def fail(self, entity: str) -> None:
        """Have the requests for one user's or service user's use fail."""
        self.failing |= {f"{DAILY}/users/{entity}", f"{DAILY}/service-users/{entity}"}


def _summed(uses: Iterable[Use]) -> Use:
    sums: Use = {}
    for use in uses:
        for day, by_product in use.items():
            of_day = sums.setdefault(day, {})
            for product, acus in by_product.items():
                of_day[product] = of_day.get(product, 0.0) + acus
    return sums


def _days(use: Use) -> dict[str, object]:
    return {
        "consumption_by_date": [
            {
                "date": int(NOW // DAY * DAY + day * DAY + 8 * 3_600),
                "acus": sum(by_product.values()),
                "acus_by_product": by_product,
            }
            for day, by_product in use.items()
        ]
    }


@contextmanager
def polled(made: Enterprise, **settings: str) -> Iterator[Rig]:
    """The source beside it."""
    with rig(URL, made.clock, **settings) as running, respx.mock as router:
        router.route().mock(side_effect=made.answer)
        yield running


def shown(running: Rig | Scrape, kind: str, window: str) -> Page:
    """The ACUs by group, team, user or service user."""
    scrape = running.scrape() if isinstance(running, Rig) else running
    label = {"user": "user_id", "service_user": "service_user_id"}.get(kind, kind)
    return {
        (labels[label], labels["product"]): acus
        for labels, acus in (
            (dict(pairs), acus)
            for pairs, acus in scrape.family(f"devin_{kind}_consumption_{window}_acus").items()
        )
    }


def total(page: Page) -> dict[str, float]:
    """The sums by product, without products that nobody used."""
    sums: dict[str, float] = {}
    for (_, product), acus in page.items():
        sums[product] = sums.get(product, 0.0) + acus
    return {product: acus for product, acus in sums.items() if abs(acus) > 1e-9}


def names(page: Page) -> set[str]:
    """The groups or teams that are shown."""
    return {name for name, _ in page}


def write(path: Path, text: str) -> Path:
    """Write a teams file as editors do: it is there at once, and another file than before."""
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    return new.rename(path)
