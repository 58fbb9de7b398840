"""What all data sets of the v3 API share: the key's kind, cycles, sessions and members."""

from dataclasses import dataclass
from typing import Self

from exporter.sources.devin.billing import cycles
from exporter.sources.devin.billing.cycles import Cycles
from exporter.sources.devin.identity import Identity
from exporter.sources.devin.members import models
from exporter.sources.devin.members.directory import Directory
from exporter.sources.devin.members.user_policy import UserPolicy
from exporter.sources.devin.operations import queue, sessions
from exporter.sources.devin.operations.sessions import Sessions, Table
from exporter.sources.devin.settings import DevinSettings
from exporter.sources.source import OpenSource

ENTERPRISE_ENDPOINTS = (
    cycles.ENDPOINT,
    queue.ENDPOINT,
    models.ORGANIZATIONS,
    models.SERVICE_USERS,
    sessions.ENDPOINT,
)
"""One for each permission of an enterprise's key, the most telling first."""


@dataclass(frozen=True, slots=True)
class Context:
    """The identity of the key, the billing cycles, and the entities that can be requested."""

    identity: Identity
    cycles: Cycles
    user_policy: UserPolicy
    sessions: Sessions
    directory: Directory

    @classmethod
    def of(cls, opened: OpenSource) -> Self:
        """Create all parts. They are empty until their own polls."""
        client, clock, settings = opened.client, opened.clock, opened.settings[DevinSettings]
        identity = Identity(client, clock, enterprise_endpoints=ENTERPRISE_ENDPOINTS)
        policy = UserPolicy(
            settings.user_metrics, key=settings.hash_key(), limit=settings.user_limit
        )
        table = Table(rows=settings.recent_sessions, titles=settings.session_titles)
        recent = Sessions(client, clock, identity, policy=policy, table=table)
        directory = Directory(client, clock, identity, policy=policy, seen=recent.seen_users)
        return cls(identity, Cycles(client, clock, identity), policy, recent, directory)
