"""A data set, which is a task and the endpoints that it requests, and what all of them share."""

from dataclasses import dataclass, replace
from typing import Self

from exporter.client.endpoint import Endpoint
from exporter.errors import NotFoundError, PermissionMissingError, SwitchedOffError
from exporter.scheduling.task import Task
from exporter.sources.devin.billing import cycles
from exporter.sources.devin.billing.cycles import Cycles
from exporter.sources.devin.billing.day_start import DayStart
from exporter.sources.devin.identity import Identity
from exporter.sources.devin.members import models
from exporter.sources.devin.members.directory import Directory
from exporter.sources.devin.members.user_policy import UserPolicy
from exporter.sources.devin.operations import queue, session_items
from exporter.sources.devin.operations.breakdowns.task import Breakdowns
from exporter.sources.devin.operations.session_bills import SessionBills
from exporter.sources.devin.operations.session_table import Table
from exporter.sources.devin.operations.sessions import Sessions
from exporter.sources.devin.settings import DevinSettings
from exporter.sources.optional import OptionalEndpoint
from exporter.sources.source import OpenSource

ENTERPRISE_ENDPOINTS = (
    cycles.ENDPOINT,
    queue.ENDPOINT,
    models.ORGANIZATIONS,
    models.SERVICE_USERS,
    session_items.ENDPOINT,
)
"""One for each permission of an enterprise's key, the most informative first."""


@dataclass(frozen=True, slots=True)
class Context:
    """The identity of the key, the billing calendar, and the entities that can be requested."""

    identity: Identity
    day_start: DayStart
    cycles: Cycles
    user_policy: UserPolicy
    breakdowns: Breakdowns
    sessions: Sessions
    session_bills: SessionBills
    directory: Directory

    @classmethod
    def of(cls, opened: OpenSource) -> Self:
        """Create all parts. They are empty until their own polls."""
        client, clock, settings = opened.client, opened.clock, opened.settings[DevinSettings]
        identity = Identity(client, clock, enterprise_endpoints=ENTERPRISE_ENDPOINTS)
        policy = UserPolicy(
            settings.user_metrics, key=settings.hash_key(), limit=settings.user_limit
        )
        table = Table(
            rows=settings.recent_sessions,
            titles=settings.session_titles,
            large_acus=settings.large_session_acus,
        )
        bills = SessionBills(client, clock, identity, interval=settings.poll_interval)
        day_start = DayStart()
        cycles = Cycles(client, clock, identity, day_start)
        breakdowns = Breakdowns(
            client,
            clock,
            identity,
            cycles.windows,
            limit=settings.session_breakdown_limit,
            written=policy.shows_ids,
        )
        recent = Sessions(
            client,
            clock,
            identity,
            policy=policy,
            table=table,
            bills=bills,
            on_changes=breakdowns.changed,
        )
        directory = Directory(client, clock, identity, policy=policy, seen=recent.seen_users)
        return cls(identity, day_start, cycles, policy, breakdowns, recent, bills, directory)


@dataclass(frozen=True, slots=True)
class DataSet:
    """A task and the endpoints that one of its polls requests.

    Attributes:
        endpoints: one entry per request, which is sent for every entity in the path. Endpoints
            for another kind of key are not requested.
        needs_none: whether a poll succeeds even if none of them is for the key.
    """

    task: Task
    endpoints: tuple[Endpoint[object], ...] = ()
    needs_none: bool = False

    def for_key(self, identity: Identity) -> Task:
        """The task; it is off if no endpoint is for the key, or if all are optional and absent."""
        poll = self.task.poll
        if poll is None or self.needs_none:
            return self.task
        if all(endpoint.optional for endpoint in self.endpoints):
            why = self.endpoints[0].optional
            poll = OptionalEndpoint(
                poll,
                absent=(NotFoundError, PermissionMissingError),
                after_success=False,
                because=lambda absent: f"{why}: {absent}",
            )

        def poll_with_key() -> None:
            if not any(endpoint.is_for(identity.kind) for endpoint in self.endpoints):
                raise SwitchedOffError(f"the key is an {identity.kind}'s")
            poll()

        return replace(self.task, poll=poll_with_key)
