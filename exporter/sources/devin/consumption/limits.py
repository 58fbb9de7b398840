"""ACU limits: `GET /v3/enterprise/consumption/acu-limits/devin`, and those of the organizations.

The API has no effective limits of users. In the list are their permanent overrides, which have
precedence over temporary ones and over tiers.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice

from pydantic import TypeAdapter

from exporter.client.endpoint import Endpoint, Request
from exporter.client.http import Client
from exporter.client.models import Listing, ListPage, ResponseModel
from exporter.client.response import Response
from exporter.metrics import Metric, Sample
from exporter.scheduling.task import Snapshot, Task
from exporter.sources.devin import keys
from exporter.sources.devin.consumption import organization_limits
from exporter.sources.devin.consumption.organization_limits import AcuLimit, OrganizationLimits
from exporter.sources.devin.consumption.scopes import USER_SCOPE
from exporter.sources.devin.members import directory
from exporter.sources.devin.members.user_policy import UserPolicy

Limited = Mapping[tuple[str, str | None], float | None]
"""ACUs by scope and id; None for no limit."""

ENTERPRISE = Metric(
    "devin_enterprise_cycle_limit_acus",
    "ACUs that the enterprise may use in a billing cycle; 0 blocks all use.",
)
ORGANIZATION = Metric(
    "devin_organization_cycle_limit_acus",
    "ACUs that an organization may use in a billing cycle in cloud sessions (product devin); "
    "0 blocks all such use.",
    ("org_id",),
)
USER = Metric(
    "devin_user_cycle_limit_acus",
    "ACUs that a user with a permanent override may use in a billing cycle, in everything but "
    "review; 0 blocks all use. Users without one are under a tier, and have no series.",
    ("user_id",),
)
SESSION = Metric(
    "devin_organization_session_limit_acus",
    "ACUs that one session of an organization may use.",
    ("org_id",),
)
METRICS = (ENTERPRISE, ORGANIZATION, USER, SESSION)


class LimitItem(ResponseModel):
    """The fields read of a limit. Null is no limit; without a scope, the id decides."""

    cycle_acu_limit: AcuLimit | None
    scope: str | None = None
    org_id: str | None = None
    user_id: str | None = None

    @property
    def of(self) -> tuple[str, str | None]:
        """Whose limit it is: the scope and the id."""
        by_id = "user" if self.user_id else "org" if self.org_id else "enterprise"
        scope = self.scope or by_id
        return scope, {"org": self.org_id, "user": self.user_id}.get(scope)


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
        of_organizations: OrganizationLimits,
    ) -> None:
        self._client = client
        self._clock = clock
        self._people = people
        self._policy = policy
        self._of_organizations = of_organizations
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
            republish_after=(organization_limits.TASK,),
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
        listed = _lowest(response.value if response else ())
        split = self._of_organizations.cloud(now, organization_limits.INTERVALS * max_age)
        cloud: dict[str, float | None] = {}
        # Other limits are not used while the list of limits is too old, or has a row that cannot
        # be read and may be a lower limit of any of them.
        if self._last is None or (response and not response.value.unreadable):
            cloud |= {org.org_id: org.max_cycle_acu_limit for org in organizations}
            cloud |= split
        cloud |= {
            org_id: _min(acus, split.get(org_id))
            for (scope, org_id), acus in listed.items()
            if scope == "org" and org_id
        }
        samples = [
            *(ORGANIZATION(acus, org_id=o) for o, acus in cloud.items() if acus is not None),
            *(
                SESSION(org.max_session_acu_limit, org_id=org.org_id)
                for org in organizations
                if org.max_session_acu_limit is not None
            ),
            *(
                ENTERPRISE(acus)
                for (scope, _), acus in listed.items()
                if scope == "enterprise" and acus is not None
            ),
            *self._of_users(listed),
        ]
        return Snapshot(
            tuple(samples),
            expires=response.requested_at + max_age if response else math.inf,
            expired_entities=1 if self._last and not response else 0,
        )

    def _of_users(self, listed: Limited) -> Iterator[Sample]:
        """Limits of users that have their own series, up to the limit on such users."""
        samples = (
            USER(acus, user_id=self._policy.label(user_id))
            for (scope, user_id), acus in listed.items()
            if scope == "user" and user_id and acus is not None and self._policy.own(user_id)
        )
        return islice(samples, self._policy.limit)


def _lowest(items: Iterable[LimitItem]) -> Limited:
    """One limit for each; the lowest if there are several, as that one applies."""
    lowest: dict[tuple[str, str | None], float | None] = {}
    for item in items:
        lowest[item.of] = _min(item.cycle_acu_limit, lowest.get(item.of))
    return lowest


def _min(*limits: float | None) -> float | None:
    return min((limit for limit in limits if limit is not None), default=None)
