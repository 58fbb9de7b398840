"""What a source is to the rest: settings, metrics, and a way to connect."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from exporter.accounting import Limits, RequestMetrics
from exporter.config.credentials import Key
from exporter.config.settings import Section, Settings
from exporter.config.types import trust
from exporter.history import Span, Stretch
from exporter.http import Client
from exporter.journal import Journal
from exporter.metrics import Metric
from exporter.request import Fetch
from exporter.tasks import Task
from exporter.timing import Timing

Fields = Mapping[type[Section], Mapping[str, str | None]]
"""Values for some fields of some sections, as a command line gives them."""


class NoSourceError(Exception):
    """No source is turned on."""


@dataclass(frozen=True, slots=True)
class Surroundings:
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
        base_url: str,
        key: Key,
        *,
        limits: Limits,
        ca_file: Path | None,
        permission_of: Callable[[str], str | None] = lambda _: None,
    ) -> Client:
        """A client of one API, which shares nothing with any other but these."""
        return Client(
            source=source,
            base_url=base_url,
            key=key,
            limits=limits,
            metrics=self.request_metrics,
            stopping=self.stopping,
            verify=trust(ca_file),
            permission_of=permission_of,
            timing=self.timing,
        )


@dataclass(frozen=True, slots=True)
class Connection:
    """A source that is turned on: its client and its tasks."""

    source: str
    client: Client
    tasks: tuple[Task, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found, as lines of text, and whether all that is turned on can be fed."""

    lines: tuple[str, ...]
    fine: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What a source can tell of finished days.

    Attributes:
        owner: whose figures these are, as a text that never holds a secret.
        left_out: what the key or the deployment does not open, a line each.
        requests: all that must be asked for, in groups that one refusal is likely to hit whole.
        stretches: the history in the order of `history.write`, from the answers to them.
    """

    client: Client
    owner: str
    left_out: tuple[str, ...]
    requests: Sequence[Sequence[Fetch]]
    stretches: Callable[[Journal], Iterator[Stretch]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One API.

    Attributes:
        sections: the settings that it reads; it is handed no others.
        wanted: the settings that turn it on, for people.
        connect: opens it; None if it is not turned on.
        check: asks each of its endpoints once; None if it is not turned on.
        demo: what turns it on at a simulated API, from its address and the key that opens it.
        demo_defaults: what holds in the demo where nothing is set.
        past: finds out what to ask for a history, None if it is not turned on; not set for an
            API that tells of none.
    """

    name: str
    sections: tuple[type[Section], ...]
    wanted: str
    metrics: tuple[Metric, ...]
    connect: Callable[[Settings, Surroundings], Connection | None]
    check: Callable[[Settings, Surroundings], Report | None]
    demo: Callable[[str, str], Fields]
    demo_defaults: Fields = field(default_factory=dict)
    past: Callable[[Settings, Surroundings, Span], Past | None] | None = None

    def open(self, settings: Settings, surroundings: Surroundings) -> Connection | None:
        """Connect with this source's sections; None if it is not turned on."""
        return self.connect(settings.only(self.sections), surroundings)

    def report(self, settings: Settings, surroundings: Surroundings) -> Report | None:
        """Check with this source's sections; None if it is not turned on."""
        return self.check(settings.only(self.sections), surroundings)

    def history(self, settings: Settings, surroundings: Surroundings, span: Span) -> Past | None:
        """The past with this source's sections; None if it is not turned on or tells of none."""
        if self.past is None:
            return None
        return self.past(settings.only(self.sections), surroundings, span)


def sections_of(sources: Sequence[Source]) -> tuple[type[Section], ...]:
    """The sections that any of these sources reads, each once."""
    return tuple(dict.fromkeys(kind for source in sources for kind in source.sections))
