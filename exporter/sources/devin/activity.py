"""Active users by UTC day, week and month.

`GET /v3/enterprise/metrics/{dau,wau,mau}` and the organizations' own
`/v3/organizations/{org_id}/metrics/{dau,wau,mau}`: their path names the organization, where a
filter that a server ignored would pass the enterprise's figure off as an organization's.
"""

import math
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from pydantic import TypeAdapter

from exporter.http import Client
from exporter.metrics import Metric, Sample
from exporter.shapes import ApiModel, Count
from exporter.sources.devin import directory
from exporter.sources.devin.fields import Timestamp
from exporter.sources.devin.windows import (
    DAY,
    Window,
    day_number,
    utc_day,
    utc_month,
    utc_week,
)
from exporter.sweep import ask_each, sweep
from exporter.tasks import Answer, Snapshot, Task

ENDPOINT = "/v3/enterprise/metrics/{period}"
OWN_ENDPOINT = "/v3/organizations/{org_id}/metrics/{period}"
ORGANIZATIONS_INTERVALS = 4
"""Organizations are asked this many times as slowly: three requests for each of them."""


@dataclass(frozen=True, slots=True)
class Period:
    """A kind of UTC window and what is published of it."""

    endpoint: str
    running: Callable[[float], Window]
    enterprise: Metric
    previous: Metric
    organization: Metric


def _period(endpoint: str, word: str, adverb: str, running: Callable[[float], Window]) -> Period:
    return Period(
        endpoint,
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


class ActiveUsers(ApiModel):
    """One UTC day, week or month; `start_time` in Unix seconds."""

    start_time: Timestamp
    active_users: Count


SHAPE = TypeAdapter(tuple[ActiveUsers, ...])
_Known = Answer[Mapping[int, int]]


class Activity:
    """Active users as last seen: of the enterprise and of each organization."""

    def __init__(
        self, client: Client, clock: Callable[[], float], people: directory.Directory
    ) -> None:
        self._client = client
        self._clock = clock
        self._people = people
        self._enterprise: dict[str, _Known] = {}
        self._organizations: dict[str, dict[str, _Known]] = {}
        self._attempted: dict[str, float] = {}
        self._lock = threading.Lock()

    def tasks(self, poll_interval: float) -> Iterator[Task]:
        """The tasks that keep them."""
        yield Task(
            name="activity",
            source=self._client.source,
            interval=poll_interval,
            metrics=ENTERPRISE_METRICS,
            poll=self.poll_enterprise,
            snapshot=self.snapshot_enterprise,
            next_end=lambda now: utc_day(now).end,
        )
        yield Task(
            name="organization_activity",
            source=self._client.source,
            interval=poll_interval * ORGANIZATIONS_INTERVALS,
            metrics=ORGANIZATION_METRICS,
            poll=self.poll_organizations,
            snapshot=self.snapshot_organizations,
            next_end=lambda now: utc_day(now).end,
            after=(directory.ORGANIZATIONS_TASK,),
        )

    def poll_enterprise(self) -> None:
        """Ask for the enterprise's three lists. Raises `PollError`."""
        self._ask_periods(ENDPOINT, {}, self._enterprise)

    def poll_organizations(self) -> None:
        """Ask for the three lists of every organization. Raises `PollError`."""
        org_ids = self._people.org_ids()
        with self._lock:
            known = self._organizations
            self._organizations = {org_id: known.get(org_id, {}) for org_id in sorted(org_ids)}
            asked_at = {org_id: self._attempted.get(org_id, 0.0) for org_id in org_ids}
        in_turn = sorted(org_ids, key=lambda org_id: (asked_at[org_id], org_id))
        sweep(in_turn, self._ask_organization, threads=self._client.concurrency)

    def _ask_organization(self, org_id: str) -> None:
        try:
            self._ask_periods(
                OWN_ENDPOINT,
                {"org_id": org_id},
                self._organizations[org_id],
            )
        finally:
            with self._lock:
                self._attempted[org_id] = self._clock()

    def _ask_periods(self, endpoint: str, ids: Mapping[str, str], into: dict[str, _Known]) -> None:
        def ask(period: Period) -> None:
            sent = self._clock()
            running = period.running(sent)
            before = period.running(running.start - 1)
            answer = self._client.get(
                endpoint.replace("{period}", period.endpoint),
                SHAPE,
                ids=ids,
                # The API's bounds may or may not be inclusive: a day more on each side.
                params={
                    "time_after": int(before.start - DAY),
                    "time_before": int(utc_day(sent).end + DAY),
                },
            )
            users = {day_number(item.start_time): item.active_users for item in answer}
            with self._lock:
                into[period.endpoint] = Answer(sent, users)

        ask_each({period.endpoint: partial(ask, period) for period in PERIODS})

    def snapshot_enterprise(self, now: float, max_age: float) -> Snapshot:
        """The running and the last complete window of each kind."""
        with self._lock:
            known = dict(self._enterprise)
        fresh = {name: answer for name, answer in known.items() if answer.fresh(now, max_age)}
        samples: list[Sample] = []
        for period in PERIODS:
            running = period.running(now)
            before = period.running(running.start - 1)
            answer = fresh.get(period.endpoint)
            for window, metric in ((running, period.enterprise), (before, period.previous)):
                users = _users(answer, window, now)
                if users is not None:
                    samples.append(metric(users))
        return Snapshot(
            tuple(samples),
            expires=min((answer.sent + max_age for answer in fresh.values()), default=math.inf),
            missing=1 if len(fresh) < len(known) else 0,
        )

    def snapshot_organizations(self, now: float, max_age: float) -> Snapshot:
        """The running window of each kind for each organization."""
        with self._lock:
            known = {org_id: dict(lists) for org_id, lists in self._organizations.items()}
            attempted = frozenset(self._attempted)
        samples: list[Sample] = []
        expires = math.inf
        missing = 0
        for org_id, lists in known.items():
            fresh = {name: answer for name, answer in lists.items() if answer.fresh(now, max_age)}
            missing += org_id in attempted and len(fresh) < len(PERIODS)
            for period in PERIODS:
                users = _users(fresh.get(period.endpoint), period.running(now), now)
                if users is not None:
                    samples.append(period.organization(users, org_id=org_id))
            expires = min([expires, *(answer.sent + max_age for answer in fresh.values())])
        return Snapshot(tuple(samples), expires=expires, missing=missing)


def _users(answer: _Known | None, window: Window, now: float) -> int | None:
    """The users active in a window; None unless the answer tells it."""
    if answer is None or not window.told_by(answer.sent, now):
        return None
    return answer.value.get(day_number(window.start))
