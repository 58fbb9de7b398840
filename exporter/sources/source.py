"""The interface of a source: its settings, metrics, endpoints and functions."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Literal

from exporter.client.checkpoint import Checkpoint
from exporter.client.endpoint import Endpoint, Request
from exporter.client.http import Client
from exporter.client.rate_limit import RateLimits
from exporter.client.request_metrics import RequestMetrics
from exporter.config.credentials import Key
from exporter.config.settings import Section, Settings
from exporter.config.types import trust
from exporter.errors import CredentialError
from exporter.exposition.focus import Charge
from exporter.exposition.openmetrics import BackfillRange, Segment
from exporter.metrics import Metric
from exporter.process import Timing
from exporter.scheduling.task import Task

Fields = Mapping[type[Section], Mapping[str, str | None]]
"""Values for fields of sections, in the form that the command line uses."""


class NoSourceError(Exception):
    """No source is turned on."""


@dataclass(frozen=True, slots=True)
class Shared:
    """The objects that all sources share.

    Attributes:
        stopping: set when the process shuts down.
    """

    request_metrics: RequestMetrics
    stopping: threading.Event
    timing: Timing

    def client(
        self,
        source: str,
        base_url: str | None,
        key: Key | None,
        *,
        limits: RateLimits,
        ca_file: Path | None,
        open_endpoints: Sequence[Endpoint[object]] = (),
    ) -> Client | None:
        """A client of one API, which shares only the attributes of this object with others.

        None without an address or a key, as the source is then off.
        """
        if base_url is None or key is None:
            return None
        return Client(
            source=source,
            base_url=base_url,
            key=key,
            limits=limits,
            metrics=self.request_metrics,
            stopping=self.stopping,
            verify=trust(ca_file),
            timing=self.timing,
            open_endpoints=open_endpoints,
        )


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The result of a check as lines of text, and whether all enabled data sets can be read."""

    lines: tuple[str, ...]
    passed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """How to read the history of a source: its finished days.

    Attributes:
        owner: the API and key of the data, as a text without secrets.
        left_out: what the key or the deployment has no access to, a line each.
        requests: all requests to send, in groups; a refusal is likely to affect a whole group.
        stretches: makes the history from the responses, in the order that `openmetrics.write`
            needs.
    """

    client: Client
    owner: str
    left_out: tuple[str, ...]
    requests: Sequence[Sequence[Request[object]]]
    stretches: Callable[[Checkpoint], Iterator[Segment]]


class ExportError(Exception):
    """Charges cannot be exported whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeQuery:
    """Which charges to export.

    Attributes:
        first: the date of the first billing day.
        end: the date of the day after the last one.
        by: how they are cut.
        account: the id of the billing account; None for one that the source makes.
    """

    first: date
    end: date
    by: Literal["organization", "user"]
    account: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargePlan:
    """How to read the charges of a source.

    Attributes:
        owner: the API and key of the data, as a text without secrets.
        day: the running billing day; responses of an earlier one may be outdated.
        requests: all requests to send, in groups.
        charges: makes the charges from the responses, after it has checked them; raises
            `ExportError`.
    """

    client: Client
    owner: str
    day: str
    requests: Sequence[Sequence[Request[object]]]
    charges: Callable[[Checkpoint], Iterator[Charge]]


@dataclass(frozen=True, slots=True)
class OpenSource:
    """An enabled source with its client and its own settings."""

    source: "Source"
    client: Client
    settings: Settings
    clock: Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One API.

    Attributes:
        sections: the settings that it reads; it receives no others.
        enabled_by: the settings that enable it, in words for people.
        endpoints: all endpoints that it ever requests.
        open_client: opens a client with the settings' key; returns None if it is off.
        tasks: returns the tasks that poll it.
        check: requests each of its endpoints once.
        demo: returns the settings for a simulated API, from its address and key.
        demo_defaults: settings that the demo uses unless they are set.
        backfill: plans the requests for a history; None for an API without history.
        owner: what its data belongs to: the address and the key; raises `CredentialError`. None
            if nothing of it is kept across restarts.
        charges: plans the requests for an export; None for an API without prices or history.
    """

    name: str
    sections: tuple[type[Section], ...]
    enabled_by: str
    metrics: tuple[Metric, ...]
    endpoints: tuple[Endpoint[object], ...]
    open_client: Callable[[Settings, Shared], Client | None]
    tasks: Callable[[OpenSource], Sequence[Task]]
    check: Callable[[OpenSource], CheckReport]
    demo: Callable[[str, str], Fields]
    demo_defaults: Fields = field(default_factory=dict)
    backfill: Callable[[OpenSource, BackfillRange], Backfill] | None = None
    owner: Callable[[OpenSource], str] | None = None
    charges: Callable[[OpenSource, ChargeQuery], ChargePlan] | None = None


@contextmanager
def open_sources(
    sources: Sequence[Source], settings: Settings, shared: Shared
) -> Iterator[tuple[OpenSource, ...]]:
    """Open the sources that are enabled. Their clients are closed at the end, also on errors.

    Raises:
        NoSourceError: if none is enabled; names the settings that enable one.
        SettingsError: if the environment names a proxy that cannot be used.
    """
    with ExitStack() as stack:
        opened: list[OpenSource] = []
        for source in sources:
            own = settings.only(source.sections)
            client = source.open_client(own, shared)
            if client is not None:
                stack.callback(client.close)
                opened.append(OpenSource(source, client, own, shared.timing.clock))
        if not opened:
            raise NoSourceError(", or ".join(source.enabled_by for source in sources))
        yield tuple(opened)


def owner_of(opened: Sequence[OpenSource]) -> bytes | None:
    """What the data of these sources belongs to, with their keys; None if a key is unreadable."""
    try:
        owners = [each.source.owner(each) for each in opened if each.source.owner is not None]
    except CredentialError:
        return None
    return "\n".join(owners).encode()


def sections_of(sources: Sequence[Source]) -> tuple[type[Section], ...]:
    """The sections that these sources read, each once."""
    return tuple(dict.fromkeys(kind for source in sources for kind in source.sections))
