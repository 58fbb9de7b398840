"""The exporter with all its sources beside servers that misbehave, polled by hand."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

import httpx
import pytest
from harness import Clock, Rig, Scrape, SkippedWaits, at, composed
from misbehaving import Certificates, Front, Healthy, forwarding

from exporter.demo.answers import Answers
from exporter.demo.api import DemoApi
from exporter.demo.endpoints import GATEWAY, V2, V3, DemoKey
from exporter.demo.people import Size
from exporter.demo.world import World
from exporter.logs import LogfmtFormatter
from exporter.server import Site, WebServer, listen
from exporter.settings import load
from exporter.sources import SOURCES
from exporter.sources.connection import sections_of
from exporter.sources.devin import unattributed

Key = tuple[str, frozenset[tuple[str, str]]]
Figures = Mapping[Key, float]

SIZE = Size(organizations=2, users=5, days=60)
NOW = at("2026-03-20 15:30:00")
INTERVAL = 300.0
KEYS = {
    V3: "cog_9fQ2xVb7LmT4zR8kHs1W",
    V2: "apk_user_3hJ6yNc0PwD5uG7tEa2X",
    GATEWAY: "gw_8sKv4BqZ1rMf6YjUo9Ci",
}
PART_OF_A_KEY = 6
"""So many characters of a key in a row are a part of it."""


@dataclass(frozen=True)
class Look:
    """All that the exporter shows at one moment."""

    page: Scrape
    ready: int
    healthy: int

    def data(self) -> Figures:
        """The series of the sources, without those about the exporter itself."""
        return {
            (name, labels): value
            for (name, labels), value in self.page.values.items()
            if not name.startswith("devin_exporter_") or name == unattributed.UNATTRIBUTED.name
        }

    def up(self, task: str) -> float | None:
        """Whether a task is up; None if that is not said."""
        return self.page.one("devin_exporter_task_up", task=task)

    def down(self) -> set[str]:
        """The tasks that are not up."""
        up = self.page.family("devin_exporter_task_up")
        return {dict(labels)["task"] for labels, value in up.items() if not value}

    def missing(self, task: str) -> float | None:
        """How many of a task's entities have expired."""
        return self.page.one("devin_exporter_task_entities_missing", task=task)

    def failures(self) -> dict[tuple[str, str], float]:
        """How often tasks have failed, by task and reason; without those that have not."""
        counted = self.page.family("devin_exporter_task_failures_total")
        named = {(dict(labels)["task"], dict(labels)["reason"]): n for labels, n in counted.items()}
        return {which: count for which, count in named.items() if count}


@dataclass
class Servers:
    """The simulated APIs on a clock of their own, one server in front of Devin's, one of AIone's.

    Attributes:
        clock: what time it is for the APIs; it stands still until it is set.
    """

    world: World
    clock: Clock
    devin: Front
    gateway: Front
    certificates: Certificates

    def heal(self) -> None:
        """Have both behave."""
        self.devin.heal()
        self.gateway.heal()


@contextmanager
def servers(folder: Path) -> Iterator[Servers]:
    """The servers, for as many stages as like."""
    clock = Clock(NOW)
    world = World(SIZE, start=NOW)
    api = DemoApi(Answers(world, clock), {key: DemoKey(api=api) for api, key in KEYS.items()})
    api.start()
    certificates = Certificates(folder)
    with httpx.Client(base_url=api.url) as client:
        healthy = remembered(forwarding(client), clock)
        devin, gateway = Front(healthy, certificates), Front(healthy, certificates)
        yield Servers(world, clock, devin, gateway, certificates)
        devin.stop()
        gateway.stop()
    api.stop()


def remembered(healthy: Healthy, clock: Clock) -> Healthy:
    """The same answers, each asked for once at each time."""
    known: dict[tuple[str, str, float], tuple[int, bytes]] = {}

    def ask(target: str, authorization: str) -> tuple[int, bytes]:
        key = (target, authorization, clock())
        if key not in known:
            known[key] = healthy(target, authorization)
        return known[key]

    return ask


@dataclass
class Stage:
    """The exporter, polled by hand, and everything that it has written."""

    servers: Servers
    rig: Rig
    web: httpx.Client
    log: StringIO
    written: list[str] = field(default_factory=list)

    @property
    def clock(self) -> Clock:
        """The exporter's clock; that of the APIs stands still."""
        return self.rig.clock

    def poll(self, *tasks: str) -> None:
        """Poll these tasks once, or all."""
        self.rig.poll(*tasks)

    def look(self) -> Look:
        """Look at everything that is served."""
        paths = ("/metrics", "/", "/-/ready", "/-/healthy")
        metrics, page, ready, healthy = (self.web.get(path) for path in paths)
        self.written += [metrics.text, page.text, ready.text, healthy.text]
        return Look(Scrape.of(metrics.text), ready.status_code, healthy.status_code)

    def logged(self) -> str:
        """What was logged since the last time."""
        text = self.log.getvalue()
        self.written.append(text)
        self.log.seek(0)
        self.log.truncate()
        return text


@contextmanager
def stage(of: Servers, *, speed: float = 1.0, **settings: str | None) -> Iterator[Stage]:
    """The exporter with all sources turned on, which has not polled yet.

    Args:
        speed: how fast time passes for timeouts.
        settings: further ones by variable; None for one that is not to be set.
    """
    of.heal()
    of.clock.now = NOW
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as environment:
            for variable, value in {**_turned_on(of), **settings}.items():
                if value is not None:
                    environment.setenv(variable, value)
            loaded = load(sections_of(SOURCES), {})
        clock = Clock(NOW)
        rig = stack.enter_context(composed(SOURCES, loaded, clock, SkippedWaits(speed=speed)))
        log = stack.enter_context(_logged())
        site = Site(
            store=rig.store,
            registry=rig.registry,
            refresh=rig.scheduler.tick,
            refused=lambda: [c.source for c in rig.connections if c.client.key_refused],
            due_in=rig.scheduler.due_in,
            clock=clock,
            telemetry_path="/metrics",
            version="0",
        )
        sockets = listen([("127.0.0.1", 0)])
        server = WebServer(site.app(), sockets)
        server.start()
        stack.callback(server.stop)
        url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
        web = stack.enter_context(httpx.Client(base_url=url))
        yield Stage(of, rig, web, log)


def _turned_on(of: Servers) -> dict[str, str]:
    authority = str(of.certificates.authority)
    return {
        "DEVIN_API_URL": of.devin.url,
        "DEVIN_CA_FILE": authority,
        "DEVIN_SERVICE_USER_TOKEN": KEYS[V3],
        "DEVIN_REQUESTS_PER_SECOND": "10000",
        "DEVIN_V2_API_KEY": KEYS[V2],
        "DEVIN_V2_POLL_INTERVAL": f"{INTERVAL:.0f}",
        "AIONE_API_URL": of.gateway.url,
        "AIONE_CA_FILE": authority,
        "AIONE_TOKEN": KEYS[GATEWAY],
    }


@contextmanager
def _logged() -> Iterator[StringIO]:
    log = StringIO()
    handler = logging.StreamHandler(log)
    handler.setFormatter(LogfmtFormatter())
    root, ours = logging.getLogger(), logging.getLogger("exporter")
    level = ours.level
    root.addHandler(handler)
    ours.setLevel(logging.DEBUG)
    yield log
    ours.setLevel(level)
    root.removeHandler(handler)
