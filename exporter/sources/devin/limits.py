"""ACU limits: `GET /v3/enterprise/consumption/acu-limits/devin`, and those of the organizations."""

import math
from collections.abc import Callable, Iterator
from typing import Annotated

from pydantic import Field, TypeAdapter

from exporter.http import Client
from exporter.metrics import Metric, Sample
from exporter.shapes import ApiModel, Page
from exporter.sources.devin import directory
from exporter.sources.devin.fields import Acus
from exporter.sources.devin.scopes import USER_SCOPE
from exporter.sources.devin.user_policy import UserPolicy
from exporter.tasks import Answer, Snapshot, Task

ENDPOINT = "/v3/enterprise/consumption/acu-limits/devin"

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


class LimitItem(ApiModel):
    """The fields read of a limit."""

    cycle_acu_limit: Annotated[Acus, Field(ge=0)]
    scope: str
    org_id: str | None = None
    user_id: str | None = None


SHAPE = TypeAdapter(Page[LimitItem])


class Limits:
    """The limits as last seen."""

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
        self._answer: Answer[tuple[LimitItem, ...]] | None = None

    def task(self, poll_interval: float) -> Task:
        """The task that keeps them; who is told of follows the users' ranking."""
        return Task(
            name="limits",
            source=self._client.source,
            interval=poll_interval,
            metrics=METRICS,
            poll=self.poll,
            snapshot=self.snapshot,
            after=(directory.ORGANIZATIONS_TASK, USER_SCOPE.task),
        )

    def poll(self) -> None:
        """Ask for all limits. Raises `PollError`."""
        sent = self._clock()
        self._answer = Answer(sent, tuple(self._client.get_list(ENDPOINT, SHAPE)))

    def snapshot(self, now: float, max_age: float) -> Snapshot:
        """Each limit that exists; the list of limits counts before an organization's own entry."""
        answer = self._answer if self._answer and self._answer.fresh(now, max_age) else None
        listed = answer.value if answer else ()
        organizations = self._people.organizations(now, max_age)
        cycle = {org.org_id: org.max_cycle_acu_limit for org in organizations}
        for item in listed:
            if item.scope == "org" and item.org_id:
                cycle[item.org_id] = item.cycle_acu_limit
        samples = [
            *(
                ORGANIZATION(acus, org_id=org_id)
                for org_id, acus in cycle.items()
                if acus is not None
            ),
            *(
                SESSION(org.max_session_acu_limit, org_id=org.org_id)
                for org in organizations
                if org.max_session_acu_limit is not None
            ),
            *self._listed(listed),
        ]
        return Snapshot(
            tuple(samples),
            expires=answer.sent + max_age if answer else math.inf,
            missing=1 if self._answer and not answer else 0,
        )

    def _listed(self, items: tuple[LimitItem, ...]) -> Iterator[Sample]:
        for item in items:
            if item.scope == "enterprise":
                yield ENTERPRISE(item.cycle_acu_limit)
            elif item.scope == "user" and item.user_id and self._policy.own(item.user_id):
                yield USER(item.cycle_acu_limit, user_id=self._policy.label(item.user_id))
