"""What a source is to the rest: settings, metrics, endpoints, and four functions."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from exporter.client.checkpoint import Checkpoint
from exporter.client.endpoint import Endpoint, Request
from exporter.client.http import Client
from exporter.client.rate_limit import RateLimits
from exporter.client.request_metrics import RequestMetrics
from exporter.clock import Timing
from exporter.config.credentials import Key
from exporter.config.settings import Section, Settings
from exporter.config.types import trust
from exporter.exposition.openmetrics import BackfillRange, Segment
from exporter.metrics import Metric
from exporter.scheduling.task import Task

Fields = Mapping[type[Section], Mapping[str, str | None]]
"""Values for some fields of some sections, as a command line gives them."""


class NoSourceError(Exception):
    """No source is turned on."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What all sources share.

    Attributes:
        stopping: set when the process is to end.
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
        """A client of one API, which shares nothing with any other but these.

        None without an address or a key: the source is not turned on.
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
    """What a check found, as lines of text, and whether all that is turned on can be fed."""

    lines: tuple[str, ...]
    passed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """What a source knows of finished days.

    Attributes:
        owner: whose figures these are, as a text that never holds a secret.
        left_out: what the key or the deployment does not open, a line each.
        requests: all that must be asked for, in groups that one refusal is likely to hit whole.
        stretches: the history in the order of `history.write`, from the responses to them.
    """

    client: Client
    owner: str
    left_out: tuple[str, ...]
    requests: Sequence[Sequence[Request[object]]]
    stretches: Callable[[Checkpoint], Iterator[Segment]]


@dataclass(frozen=True, slots=True)
class OpenSource:
    """A source that is turned on, with its client and its own settings."""

    source: "Source"
    client: Client
    settings: Settings
    clock: Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One API.

    Attributes:
        sections: the settings that it reads; it is handed no others.
        enabled_by: the settings that turn it on, for people.
        endpoints: all that it ever requests.
        open_client: the client with the settings' key; None if it is not turned on.
        tasks: the tasks that poll it.
        check: requests each of its endpoints once.
        demo: what turns it on at a simulated API, from its address and the key that opens it.
        demo_defaults: what holds in the demo where nothing is set.
        backfill: finds out what to request for a history; None for an API that has none.
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


@contextmanager
def open_sources(
    sources: Sequence[Source], settings: Settings, shared: Shared
) -> Iterator[tuple[OpenSource, ...]]:
    """Those of the sources that are turned on; their clients are closed at the end, come what may.

    Raises:
        NoSourceError: naming the settings that would turn one on.
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


def sections_of(sources: Sequence[Source]) -> tuple[type[Section], ...]:
    """The sections that any of these sources reads, each once."""
    return tuple(dict.fromkeys(kind for source in sources for kind in source.sections))
