"""Active users by UTC day, week and month.

`GET /v3/enterprise/metrics/{dau,wau,mau}`, and per organization
`GET /v3/organizations/{org_id}/metrics/{dau,wau,mau}`. That path names the organization. A server
could ignore a filter in the query, and return the enterprise's figure as an organization's.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from pydantic import TypeAdapter

from exporter.client.endpoint import Endpoint, Request
from exporter.client.fan_out import Attempts, for_each_entity, run_all
from exporter.client.http import Client
from exporter.client.models import Count, Listing, ResponseModel, Rows, Timestamp
from exporter.client.response import Response, first_expiry
from exporter.metrics import Metric, Sample
from exporter.scheduling.task import Snapshot, Task
from exporter.sources.devin.activity.windowed import metrics_endpoints
from exporter.sources.devin.billing.windows import (
    DAY,
    Window,
    day_number,
    utc_day,
    utc_month,
    utc_week,
)
from exporter.sources.devin.members import directory

ORGANIZATIONS_INTERVALS = 4
"""The interval for organizations is this many times longer, as each needs three requests."""


class ActiveUsers(ResponseModel):
    """One UTC day, week or month; `start_time` in Unix seconds."""

    start_time: Timestamp
    active_users: Count


@dataclass(frozen=True, slots=True)
class Period:
    """A kind of UTC window, with its endpoints and metrics."""

    name: str
    endpoint: Endpoint[Rows[ActiveUsers]]
    org_endpoint: Endpoint[Rows[ActiveUsers]]
    running: Callable[[float], Window]
    enterprise: Metric
    previous: Metric
    organization: Metric


_RESPONSE: TypeAdapter[Rows[ActiveUsers]] = TypeAdapter(Rows[ActiveUsers])


def _period(name: str, word: str, adverb: str, running: Callable[[float], Window]) -> Period:
    return Period(
        name,
        *metrics_endpoints(name, _RESPONSE, feeds="active users"),
        running,
        Metric(f"devin_{adverb}_active_users", f"Users active in the running UTC {word}."),
        Metric(
            f"devin_previous_{word}_active_users",
            f"Users active in the last complete UTC {word}.",
        ),
        Metric(
            f"devin_organization_{adverb}_active_users",
            f"Users of an organization active in the running UTC {word}.",
            ("org_id",),
        ),
    )


PERIODS = (
    _period("dau", "day", "daily", utc_day),
    _period("wau", "week", "weekly", utc_week),
    _period("mau", "month", "monthly", utc_month),
)

ENTERPRISE_METRICS = tuple(
    metric for period in PERIODS for metric in (period.enterprise, period.previous)
)
ORGANIZATION_METRICS = tuple(period.organization for period in PERIODS)
METRICS = (*ENTERPRISE_METRICS, *ORGANIZATION_METRICS)

ENTERPRISE_ENDPOINTS = tuple(period.endpoint for period in PERIODS)
ORG_ENDPOINTS = tuple(period.org_endpoint for period in PERIODS)
ENDPOINTS = (*ENTERPRISE_ENDPOINTS, *ORG_ENDPOINTS)


_Known = Response[Mapping[int, int]]


class Activity:
    """Active users as last reported: of the enterprise and of each organization."""

    def __init__(
        self, client: Client, clock: Callable[[], float], people: directory.Directory
    ) -> None:
        self._client = client
        self._clock = clock
        self._people = people
        self._enterprise: dict[str, _Known] = {}
        self._organizations: dict[str, dict[str, _Known]] = {}
        self._attempts = Attempts()
        self._lock = threading.Lock()

    def enterprise_task(self, poll_interval: float) -> Task:
        """The task that polls the enterprise's figures."""
        return Task(
            name="activity",
            source=self._client.source,
            interval=poll_interval,
            metrics=ENTERPRISE_METRICS,
            poll=self.poll_enterprise,
            snapshot=self.snapshot_enterprise,
            next_window_end=lambda now: utc_day(now).end,
        )

    def organizations_task(self, poll_interval: float) -> Task:
        """The task that polls the organizations' figures."""
        return Task(
            name="organization_activity",
            source=self._client.source,
            interval=poll_interval * ORGANIZATIONS_INTERVALS,
            metrics=ORGANIZATION_METRICS,
            poll=self.poll_organizations,
            snapshot=self.snapshot_organizations,
            next_window_end=lambda now: utc_day(now).end,
            depends_on=(directory.ORGANIZATIONS_TASK,),
        )

    def poll_enterprise(self) -> None:
        """Request the enterprise's three lists. Raises `PollError`."""
        self._poll_periods(None, self._enterprise)

    def poll_organizations(self) -> None:
        """Request the three lists of every organization. Raises `PollError`."""
        org_ids = self._people.org_ids()
        with self._lock:
            known = self._organizations
            self._organizations = {org_id: known.get(org_id, {}) for org_id in sorted(org_ids)}
        for_each_entity(
            self._attempts.least_recent_first(org_ids),
            self._poll_organization,
            threads=self._client.concurrency,
        )

    def _poll_organization(self, org_id: str) -> None:
        try:
            self._poll_periods(org_id, self._organizations[org_id])
        finally:
            self._attempts.note(org_id, self._clock())

    def _poll_periods(self, org_id: str | None, known: dict[str, _Known]) -> None:
        def poll(period: Period) -> None:
            requested_at = self._clock()
            response = self._client.get(request(period, requested_at, requested_at, org_id=org_id))
            users = by_first_day(response)
            with self._lock:
                known[period.name] = Response(requested_at, users)

        run_all({period.name: partial(poll, period) for period in PERIODS})

    def snapshot_enterprise(self, now: float, max_age: float) -> Snapshot:
        """The running and the last complete window of each kind."""
        with self._lock:
            known = dict(self._enterprise)
        fresh = _fresh(known, now, max_age)
        samples: list[Sample] = []
        for period in PERIODS:
            running = period.running(now)
            before = period.running(running.start - 1)
            response = fresh.get(period.name)
            for window, metric in ((running, period.enterprise), (before, period.previous)):
                users = _users(response, window, now)
                if users is not None:
                    samples.append(metric(users))
        return Snapshot(
            tuple(samples),
            expires=first_expiry((each.requested_at for each in fresh.values()), max_age),
            expired_entities=1 if len(fresh) < len(known) else 0,
        )

    def snapshot_organizations(self, now: float, max_age: float) -> Snapshot:
        """The running window of each kind, for each organization."""
        with self._lock:
            known = {org_id: dict(lists) for org_id, lists in self._organizations.items()}
        attempted = self._attempts.entities()
        samples: list[Sample] = []
        used: list[float] = []
        missing = 0
        for org_id, lists in known.items():
            fresh = _fresh(lists, now, max_age)
            missing += org_id in attempted and len(fresh) < len(PERIODS)
            used += [each.requested_at for each in fresh.values()]
            for period in PERIODS:
                users = _users(fresh.get(period.name), period.running(now), now)
                if users is not None:
                    samples.append(period.organization(users, org_id=org_id))
        return Snapshot(
            tuple(samples), expires=first_expiry(used, max_age), expired_entities=missing
        )


def request(
    period: Period, first: float, last: float, *, org_id: str | None = None
) -> Request[Rows[ActiveUsers]]:
    """The request for the windows from the one before that of `first` to that of `last`.

    Args:
        first: Unix seconds.
        last: Unix seconds.
        org_id: None for the enterprise.
    """
    before = period.running(period.running(first).start - 1)
    return Request(
        endpoint=period.endpoint if org_id is None else period.org_endpoint,
        ids={} if org_id is None else {"org_id": org_id},
        # The API's bounds may be inclusive or not: request a day more on each side.
        params=Window(before.start - DAY, utc_day(last).end + DAY).params,
    )


def by_first_day(response: Rows[ActiveUsers]) -> dict[int, int]:
    """The users of each window, by the number of its first day."""
    return {day_number(item.start_time): item.active_users for item in Listing.of(response)}


def _fresh(known: Mapping[str, _Known], now: float, max_age: float) -> dict[str, _Known]:
    return {name: each for name, each in known.items() if each.is_fresh(now, max_age)}


def _users(response: _Known | None, window: Window, now: float) -> int | None:
    """The users active in a window; None unless the response covers it."""
    if response is None or not window.covers(response.requested_at, now):
        return None
    return response.value.get(day_number(window.start))
