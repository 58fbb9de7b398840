"""The two pollers: the exporter's, and one that requests everybody at every poll."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from prometheus_client import CollectorRegistry

from bench.polling.world import Api, Clock, Waiting, domain_name, group_name
from exporter.client.fan_out import for_each_entity
from exporter.client.http import Client
from exporter.client.request_metrics import RequestMetrics
from exporter.config.settings import load
from exporter.process import Timing
from exporter.scheduling.scheduler import Scheduler
from exporter.scheduling.state import State
from exporter.scheduling.store import Store
from exporter.scheduling.task import Task
from exporter.sources import devin
from exporter.sources.devin.billing.windows import day_number
from exporter.sources.devin.consumption import daily
from exporter.sources.devin.consumption.ledger import Ledger
from exporter.sources.devin.consumption.scopes import (
    ENTERPRISE_SCOPE,
    ORGANIZATION_SCOPE,
    USER_SCOPE,
    Scope,
)
from exporter.sources.devin.derived.teams.settings import TeamSettings
from exporter.sources.devin.settings import DevinSettings
from exporter.sources.devin_api import DevinApiSettings
from exporter.sources.source import Shared, open_sources, owner_of

URL = "http://127.0.0.1:9"
INTERVAL = 300.0
POLLED = (
    "teams_file",
    "identity",
    "cycles",
    "sessions",
    "organizations",
    "users",
    "service_users",
    "enterprise_consumption",
    "organization_consumption",
    "user_consumption",
    "service_user_consumption",
)


@dataclass
class Exporter:
    """The exporter's own tasks, run at their intervals in simulated time."""

    tasks: list[Task]
    store: Store
    scheduler: Scheduler
    state: State
    client: Client
    clock: Clock

    def first_poll(self) -> None:
        """Poll everything once."""
        for name in POLLED:
            self.poll(name)
        self._due = {
            task.name: self.clock() + task.interval for task in self.tasks if task.name in POLLED
        }

    def until(self, end: float) -> None:
        """Poll what is due until a moment."""
        while (name := min(self._due, key=lambda each: self._due[each])) and self._due[name] < end:
            self.clock.now = max(self.clock.now, self._due[name])
            self.poll(name)
            interval = next(task.interval for task in self.tasks if task.name == name)
            self._due[name] = max(self._due[name] + interval, self.clock.now)
        self.clock.now = max(self.clock.now, end)
        self.scheduler.tick()

    def poll(self, name: str) -> None:
        """Poll one task."""
        self.scheduler.poll(next(task for task in self.tasks if task.name == name))


def _client_of(client: Client, api: Api) -> None:
    # The exporter has no setting for a transport, as it always talks over the network.
    client._http = httpx.Client(base_url=URL, transport=api)  # noqa: SLF001


@contextmanager
def exporter(
    api: Api,
    *,
    per_second: float,
    folder: Path | None,
    user_limit: int | None = None,
    teams_file: str = "",
) -> Iterator[Exporter]:
    """The exporter as it is composed, on a simulated API.

    Args:
        user_limit: users with series of their own; by default all of that API.
        teams_file: who is in which team; none if it is empty.
    """
    clock = api.clock
    timing = Timing(clock, clock)
    registry = CollectorRegistry()
    shared = Shared(RequestMetrics(registry), Waiting(clock), timing)
    settings = load(
        devin.SOURCE.sections,
        {
            DevinApiSettings: {"api_url": URL},
            DevinSettings: {
                "service_user_token": "cog_bench",
                "requests_per_second": str(per_second),
                "poll_interval": str(INTERVAL),
                # Several threads would move the one clock between a slot and its request.
                "concurrency": "1",
                "user_limit": str(user_limit or api.world.users),
            },
            TeamSettings: {"teams_file": teams_file} if teams_file else {},
        },
    )
    with open_sources((devin.SOURCE,), settings, shared) as opened:
        _client_of(opened[0].client, api)
        tasks = list(devin.SOURCE.tasks(opened[0]))
        store = Store(tasks)
        state = State.at(folder, owner=owner_of(opened), tasks=tasks, store=store)
        scheduler = Scheduler(
            tasks, store=store, registry=registry, timing=timing, polled=state.save
        )
        made = Exporter(tasks, store, scheduler, state, opened[0].client, clock)
        yield made
        state.close()


def teams_file(folder: Path, *, teams: int, groups: int) -> str:
    """Write a teams file and return its path; empty for no teams.

    Three quarters of the teams have an e-mail domain, the others a group.
    """
    if not teams:
        return ""
    by_group = teams // 4 if groups else 0
    lines = ["team,email,group,user,cost_center,budget"]
    for number in range(teams):
        email, group = f"*@{domain_name(number)}", ""
        if number < by_group:
            email, group = "", group_name(number)
        lines.append(f"Team {number},{email},{group},,CC-{number},100")
    path = folder / "teams.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


class Naive:
    """Requests the enterprise, every organization and every user at every poll."""

    def __init__(self, client: Client, api: Api) -> None:
        self._client = client
        self._api = api
        self._ledgers = {
            scope.task: Ledger() for scope in (ENTERPRISE_SCOPE, ORGANIZATION_SCOPE, USER_SCOPE)
        }

    def poll(self) -> None:
        """Poll once."""
        self._request_all(ENTERPRISE_SCOPE, [""])
        world = self._api.world
        self._request_all(ORGANIZATION_SCOPE, [f"org-{n}" for n in range(world.organizations)])
        self._request_all(USER_SCOPE, [f"user-{n}" for n in range(world.users)])

    def _request_all(self, scope: Scope, entities: list[str]) -> None:
        def request(entity: str) -> None:
            now = self._api.clock()
            days = range(day_number(now) - 44, day_number(now) + 2)
            response = self._client.get(daily.request(scope, entity, days, org_id=None))
            account = daily.to_usage(response, requested_at=now, days=days)
            self._ledgers[scope.task].record(entity, account)

        for_each_entity(entities, request, threads=self._client.concurrency)


def most_in_a_second(sent: list[float]) -> int:
    """The most requests in any second."""
    ordered, first, most = sorted(sent), 0, 0
    for place, at in enumerate(ordered):
        # Half-open, as the budget is; without the rounding of the sums of waits.
        while at - ordered[first] > 1.0 - 1e-6:
            first += 1
        most = max(most, place - first + 1)
    return most


def quantile(values: list[float], share: float) -> float:
    """The value below which this share of all lies."""
    return sorted(values)[math.ceil(share * len(values)) - 1] if values else math.nan
