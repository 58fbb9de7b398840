"""What every data set of the v3 API stands on: the client, the key's kind, cycles and people."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from exporter.accounting import Limits
from exporter.config.settings import Settings
from exporter.http import Client
from exporter.sources.connection import Surroundings
from exporter.sources.devin.cycles import Cycles
from exporter.sources.devin.directory import Directory
from exporter.sources.devin.identity import Identity
from exporter.sources.devin.permissions import permission_of
from exporter.sources.devin.sessions import Sessions, Table
from exporter.sources.devin.settings import DevinSettings
from exporter.sources.devin.user_policy import UserPolicy
from exporter.sources.devin_api import DevinApiSettings

NAME = "devin"


@dataclass(frozen=True, slots=True)
class Basis:
    """Who asks, which cycles there are, and whom there is to ask for."""

    who: Identity
    billing: Cycles
    policy: UserPolicy
    listed: Sessions
    people: Directory

    @classmethod
    def of(cls, client: Client, settings: DevinSettings, clock: Callable[[], float]) -> Self:
        """Nothing is known yet; each part is filled by its own polls."""
        who = Identity(client)
        policy = UserPolicy(
            settings.user_metrics, key=settings.hash_key(), limit=settings.user_limit
        )
        table = Table(rows=settings.recent_sessions, titles=settings.session_titles)
        listed = Sessions(client, clock, who, policy=policy, table=table)
        people = Directory(client, clock, who, policy=policy, seen=listed.seen_users)
        return cls(who, Cycles(client, clock, who), policy, listed, people)


def open_client(all_settings: Settings, surroundings: Surroundings) -> Client | None:
    """The client with the settings' key; None if no key is set."""
    settings, api = all_settings[DevinSettings], all_settings[DevinApiSettings]
    key = settings.key()
    if key is None:
        return None
    limits = Limits(
        requests_per_second=settings.requests_per_second, concurrency=settings.concurrency
    )
    return surroundings.client(
        NAME, api.api_url, key, limits=limits, ca_file=api.ca_file, permission_of=permission_of
    )
