"""ACU limits: `GET /v3/enterprise/consumption/acu-limits/devin`, and those of the organizations."""

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Annotated

from pydantic import Field, TypeAdapter

from exporter.client.endpoint import Endpoint, Request
from exporter.client.http import Client
from exporter.client.models import Acus, Listing, ListPage, ResponseModel
from exporter.client.response import Response
from exporter.metrics import Metric, Sample
from exporter.scheduling.task import Snapshot, Task
from exporter.sources.devin import keys
from exporter.sources.devin.consumption.scopes import USER_SCOPE
from exporter.sources.devin.members import directory
from exporter.sources.devin.members.user_policy import UserPolicy

ENTERPRISE = Metric(
    "devin_enterprise_cycle_limit_acus",
    "ACUs that the enterprise may use in a billing cycle; 0 blocks all use.",
)
ORGANIZATION = Metric(
    "devin_organization_cycle_limit_acus",
    "ACUs that an organization may use in a billing cycle; 0 blocks all use.",
    ("org_id",),
)
USER = Metric(
    "devin_user_cycle_limit_acus",
    "ACUs that a user may use in a billing cycle; 0 blocks all use.",
    ("user_id",),
)
SESSION = Metric(
    "devin_organization_session_limit_acus",
    "ACUs that one session of an organization may use.",
    ("org_id",),
)
METRICS = (ENTERPRISE, ORGANIZATION, USER, SESSION)


class LimitItem(ResponseModel):
    """The fields read of a limit."""

    cycle_acu_limit: Annotated[Acus, Field(ge=0)]
    scope: str
    org_id: str | None = None
    user_id: str | None = None


ENDPOINT = Endpoint(
    path="/v3/enterprise/consumption/acu-limits/devin",
    response=TypeAdapter(ListPage[LimitItem]),
    feeds="limits",
    permission=keys.VIEW_CONSUMPTION,
    keys=keys.ENTERPRISE_ONLY,
)


class Limits:
    """The limits as last reported."""

    def __init__(
        self,
        client: Client,
        clock: Callable[[], float],
        people: directory.Directory,
        policy: UserPolicy,
    ) -> None:
        self._client = client
        self._clock = clock
        self._people = people
        self._policy = policy
        self._last: Response[Listing[LimitItem]] | None = None

    def task(self, poll_interval: float) -> Task:
        """The task that polls the limits. The users that get series follow their ranking."""
        return Task(
            name="limits",
            source=self._client.source,
            interval=poll_interval,
            metrics=METRICS,
            poll=self.poll,
            snapshot=self.snapshot,
            depends_on=(directory.ORGANIZATIONS_TASK, USER_SCOPE.task),
        )

    def poll(self) -> None:
        """Request all limits. Raises `PollError`."""
        requested_at = self._clock()
        items = self._client.get_list(Request(endpoint=ENDPOINT))
        self._last = Response(requested_at, items)

    def snapshot(self, now: float, max_age: float) -> Snapshot:
        """All limits. The list of limits has precedence over an organization's own entry."""
        response = self._last if self._last and self._last.is_fresh(now, max_age) else None
        organizations = self._people.organizations(now, max_age)
        lowest = _lowest(response.value if response else ())
        cycle: dict[str | None, float | None] = {}
        # The organizations' own entries are not used while the list of limits is too old, or has
        # a row that cannot be read and may be of any of them.
        if self._last is None or (response and not response.value.unreadable):
            cycle = {org.org_id: org.max_cycle_acu_limit for org in organizations}
        cycle |= {item.org_id: item.cycle_acu_limit for item in lowest if item.scope == "org"}
        samples = [
            *(
                ORGANIZATION(acus, org_id=org_id)
                for org_id, acus in cycle.items()
                if org_id and acus is not None
            ),
            *(
                SESSION(org.max_session_acu_limit, org_id=org.org_id)
                for org in organizations
                if org.max_session_acu_limit is not None
            ),
            *(ENTERPRISE(item.cycle_acu_limit) for item in lowest if item.scope == "enterprise"),
            *self._of_users(lowest),
        ]
        return Snapshot(
            tuple(samples),
            expires=response.requested_at + max_age if response else math.inf,
            expired_entities=1 if self._last and not response else 0,
        )

    def _of_users(self, items: Iterable[LimitItem]) -> Iterator[Sample]:
        """Limits of users that have their own series, up to the limit on such users."""
        samples = (
            USER(item.cycle_acu_limit, user_id=self._policy.label(item.user_id))
            for item in items
            if item.scope == "user" and item.user_id and self._policy.own(item.user_id)
        )
        return islice(samples, self._policy.limit)


def _lowest(items: Iterable[LimitItem]) -> list[LimitItem]:
    """One limit for each; the lowest if there are several, as that one applies."""
    lowest: dict[tuple[str, str | None], LimitItem] = {}
    for item in items:
        ids = {"org": item.org_id, "user": item.user_id}
        key = (item.scope, ids.get(item.scope))
        known = lowest.get(key)
        if known is None or item.cycle_acu_limit < known.cycle_acu_limit:
            lowest[key] = item
    return list(lowest.values())
