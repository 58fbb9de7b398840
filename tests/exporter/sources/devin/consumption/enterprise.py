"""An enterprise whose use is set by hand, behind a doubled transport that counts requests."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import unquote

import httpx
import respx

from tests.support.rig import Clock, Rig, at, rig

URL = "https://api.test"
DAILY = "/v3/enterprise/consumption/daily"
DAY = 86_400
CYCLES = [
    {"after": int(at("2026-03-05 08:00:00")), "before": int(at("2026-04-05 08:00:00"))},
    {"after": int(at("2026-02-05 08:00:00")), "before": int(at("2026-03-05 08:00:00"))},
]
Use = defaultdict[tuple[str, int], float]


@dataclass
class Enterprise:
    """Users and organizations with their ACUs by product and day; `hidden` belongs to nobody.

    Paths in `failing` answer with the status of an error; users in `gone` are no longer listed.
    """

    clock: Clock
    users: Mapping[str, Use]
    bots: Mapping[str, Use]
    organizations: Mapping[str, Use]
    hidden: Use = field(default_factory=lambda: defaultdict(float))
    sessions: list[dict[str, object]] = field(default_factory=list)
    failing: set[str] = field(default_factory=set)
    status: int = 422
    gone: set[str] = field(default_factory=set)
    requests: Counter[str] = field(default_factory=Counter)
    sent: list[float] = field(default_factory=list)
    first_days: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    @property
    def today(self) -> int:
        """The running billing day."""
        return int(self.clock() - 8 * 3_600) // DAY

    def uses(self, who: str, acus: float, *, product: str = "devin", days_ago: int = 0) -> None:
        """Use some ACUs; nobody in particular if there is no such user."""
        use = {**self.users, **self.bots}.get(who, self.hidden)
        use[product, self.today - days_ago] += acus
        if who in self.users:
            org = sorted(self.organizations)[int(who.rpartition("-")[2]) % len(self.organizations)]
            self.organizations[org][product, self.today - days_ago] += acus

    def session_of(self, who: str) -> None:
        """Let a session of a user show that it has changed now."""
        self.sessions.append(
            {
                "session_id": f"s{len(self.sessions)}",
                "org_id": "org-0",
                "url": "https://app.example.com/s",
                "status": "running",
                "acus_consumed": 1.0,
                "created_at": int(self.clock()),
                "updated_at": int(self.clock()),
                "user_id": who,
            }
        )

    def asked(self, prefix: str) -> int:
        """The requests so far to paths with this prefix."""
        return sum(n for path, n in self.requests.items() if path.startswith(prefix))

    def answer(self, request: httpx.Request) -> httpx.Response:
        """The response of the API."""
        path = unquote(request.url.raw_path.decode().partition("?")[0])
        self.requests[path] += 1
        self.sent.append(self.clock())
        if path in self.failing:
            return httpx.Response(self.status)
        if not path.startswith(DAILY):
            return httpx.Response(200, json=self._other(path))
        kind, _, entity = path.removeprefix(DAILY).strip("/").partition("/")
        first = int(request.url.params["time_after"])
        self.first_days[path].append(first // DAY)
        return httpx.Response(200, text=json.dumps(_daily(self._use(kind, entity), first)))

    def _use(self, kind: str, entity: str) -> Mapping[tuple[str, int], float]:
        kinds = {
            "users": self.users,
            "service-users": self.bots,
            "organizations": self.organizations,
        }
        if kind:
            return kinds[kind][entity]
        total: Use = defaultdict(float)
        for use in (*self.users.values(), *self.bots.values(), self.hidden):
            for cell, acus in use.items():
                total[cell] += acus
        return total

    def _other(self, path: str) -> object:
        if path.endswith("/self"):
            return {"principal_type": "service_user", "service_user_id": "bot-0"}
        lists: dict[str, object] = {
            "cycles": CYCLES,
            "sessions": self.sessions,
            "organizations": [{"org_id": org, "name": org} for org in self.organizations],
            "users": [
                {"user_id": user, "role_assignments": []}
                for user in self.users
                if user not in self.gone
            ],
            "service-users": [{"service_user_id": bot, "name": bot} for bot in self.bots],
        }
        return _list(lists.get(path.rpartition("/")[2], []))


def _list(items: object) -> dict[str, object]:
    return {"items": items, "end_cursor": None, "has_next_page": False}


def _daily(use: Mapping[tuple[str, int], float], first: int) -> dict[str, object]:
    by_day: dict[int, dict[str, float]] = {}
    for (product, day), acus in use.items():
        if acus and day * DAY + 8 * 3_600 >= first:
            by_day.setdefault(day, {})[product] = acus
    rows = [
        {"date": day * DAY + 8 * 3_600, "acus": sum(split.values()), "acus_by_product": split}
        for day, split in sorted(by_day.items())
    ]
    return {"consumption_by_date": rows}


@contextmanager
def enterprise(
    clock: Clock, *, users: int, bots: int = 2, organizations: int = 2, **settings: str
) -> Iterator[tuple[Enterprise, Rig]]:
    """An enterprise in which nobody has used anything, and the exporter before its first poll."""

    def nobody(kind: str, count: int) -> Mapping[str, Use]:
        return {f"{kind}-{n}": defaultdict(float) for n in range(count)}

    made = Enterprise(
        clock, nobody("user", users), nobody("bot", bots), nobody("org", organizations)
    )
    with rig(URL, clock, **settings) as polled, respx.mock as router:
        router.route().mock(side_effect=made.answer)
        yield made, polled
