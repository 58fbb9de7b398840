"""Each organization's two limits, and the tiers of users' limits. Not every deployment has them.

`GET /v3beta1/enterprise/organizations/{org_id}/consumption/acu-limits`
`GET /v3beta1/enterprise/usage-policies/tiers`
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated

from pydantic import AliasChoices, Field, TypeAdapter

from exporter.client.endpoint import Endpoint, Request
from exporter.client.fan_out import Attempts, for_each_entity
from exporter.client.http import Client
from exporter.client.models import Acus, Id, ListPage, ResponseModel
from exporter.client.response import Response, first_expiry
from exporter.errors import NotFoundError, PartialError, PermissionMissingError
from exporter.exposition.text import Name
from exporter.metrics import Metric, Sample
from exporter.scheduling.task import Snapshot, Task
from exporter.sources.devin import keys
from exporter.sources.devin.members import directory
from exporter.sources.last_response import LastResponse

TASK = "organization_limits"
INTERVALS = 4
"""Limits change rarely, and each organization costs a request."""

NOT_OPEN = "not on every deployment, or not for this key"

AcuLimit = Annotated[Acus, Field(ge=0)]

LOCAL = Metric(
    "devin_organization_local_agent_cycle_limit_acus",
    "ACUs that an organization may use in a billing cycle in desktop, IDE and CLI (products "
    "cascade and terminal); 0 blocks all such use.",
    ("org_id",),
)
METRICS = (LOCAL,)
TIER = Metric(
    "devin_usage_tier_limit_acus",
    "ACUs that each user of a tier may use in a billing cycle, in everything but review; absent "
    "where the tier has no limit.",
    ("tier_id", "tier_name"),
)
TIER_METRICS = (TIER,)


class AgentLimit(ResponseModel):
    """A limit; null is none."""

    cycle_acu_limit: AcuLimit | None


class AgentLimits(ResponseModel):
    """The limits of local and of cloud use; what is left out has no limit."""

    local_agent: AgentLimit | None = None
    cloud_agent: AgentLimit | None = None

    @property
    def local(self) -> float | None:
        """ACUs of desktop, IDE and CLI use; None for no limit."""
        return self.local_agent.cycle_acu_limit if self.local_agent else None

    @property
    def cloud(self) -> float | None:
        """ACUs of cloud sessions; None for no limit."""
        return self.cloud_agent.cycle_acu_limit if self.cloud_agent else None


class TierItem(ResponseModel):
    """The fields read of a tier."""

    tier_id: Id = Field(validation_alias=AliasChoices("tier_id", "id"))
    tier_name: Name | None = Field(None, validation_alias=AliasChoices("tier_name", "name"))
    cycle_acu_limit: AcuLimit | None = None


ENDPOINT = Endpoint(
    path="/v3beta1/enterprise/organizations/{org_id}/consumption/acu-limits",
    response=TypeAdapter(AgentLimits),
    feeds="limits of organizations: cloud and local use",
    keys=keys.ENTERPRISE_ONLY,
    optional=NOT_OPEN,
)
TIERS_ENDPOINT = Endpoint(
    path="/v3beta1/enterprise/usage-policies/tiers",
    response=TypeAdapter(ListPage[TierItem]),
    feeds="tiers of users' limits",
    keys=keys.ENTERPRISE_ONLY,
    optional=NOT_OPEN,
)


class OrganizationLimits:
    """Both limits of each organization, as last reported."""

    def __init__(
        self, client: Client, clock: Callable[[], float], people: directory.Directory
    ) -> None:
        self._client = client
        self._clock = clock
        self._people = people
        self._attempts = Attempts()
        self._responses: dict[str, Response[AgentLimits]] = {}
        self._lock = threading.Lock()

    def task(self, poll_interval: float) -> Task:
        """The task that polls them."""
        return Task(
            name=TASK,
            source=self._client.source,
            interval=poll_interval * INTERVALS,
            metrics=METRICS,
            poll=self.poll,
            snapshot=self.snapshot,
            depends_on=(directory.ORGANIZATIONS_TASK,),
        )

    def poll(self) -> None:
        """Request the limits of every organization. Raises `PollError`."""
        org_ids = self._people.org_ids()
        self._attempts.retain(org_ids)
        with self._lock:
            self._responses = {o: r for o, r in self._responses.items() if o in org_ids}
        try:
            for_each_entity(
                self._attempts.least_recent_first(org_ids),
                self._request,
                threads=self._client.concurrency,
            )
        except PartialError as failure:
            absent = (NotFoundError, PermissionMissingError)
            first = next(iter(failure.errors.values()))
            if self._responses or not all(isinstance(e, absent) for e in failure.errors.values()):
                raise
            raise first from None

    def _request(self, org_id: str) -> None:
        requested_at = self._clock()
        try:
            response = self._client.get(Request(endpoint=ENDPOINT, ids={"org_id": org_id}))
            with self._lock:
                self._responses[org_id] = Response(requested_at, response)
        finally:
            self._attempts.note(org_id, self._clock())

    def fresh(self, now: float, max_age: float) -> Mapping[str, Response[AgentLimits]]:
        """The fresh responses by organization."""
        with self._lock:
            known = dict(self._responses)
        return {o: each for o, each in sorted(known.items()) if each.is_fresh(now, max_age)}

    def cloud(self, now: float, max_age: float) -> Mapping[str, float]:
        """The fresh limits of cloud use, by organization."""
        fresh = self.fresh(now, max_age)
        return {o: r.value.cloud for o, r in fresh.items() if r.value.cloud is not None}

    def snapshot(self, now: float, max_age: float) -> Snapshot:
        """The limits of local use."""
        fresh = self.fresh(now, max_age)
        samples = tuple(
            LOCAL(each.value.local, org_id=org_id)
            for org_id, each in fresh.items()
            if each.value.local is not None
        )
        return Snapshot(
            samples,
            expires=first_expiry((each.requested_at for each in fresh.values()), max_age),
            expired_entities=len(self._attempts.entities() - fresh.keys()),
        )


def tiers_task(client: Client, clock: Callable[[], float], poll_interval: float) -> Task:
    """The task that polls the tiers."""

    def samples(response: Response[list[TierItem]], _: float) -> Iterator[Sample]:
        tiers = {(tier.tier_id, tier.tier_name or ""): tier for tier in response.value}
        for (tier_id, tier_name), tier in tiers.items():
            if tier.cycle_acu_limit is not None:
                yield TIER(tier.cycle_acu_limit, tier_id=tier_id, tier_name=tier_name)

    last = LastResponse(
        clock,
        fetch=lambda: client.get_list(Request(endpoint=TIERS_ENDPOINT)),
        samples=samples,
    )
    return Task(
        name="usage_tiers",
        source=client.source,
        interval=poll_interval * INTERVALS,
        metrics=TIER_METRICS,
        poll=last.poll,
        snapshot=last.snapshot,
    )
