"""Endpoints on a real socket, without anything that polls."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from exporter.exposition.instruments import Counter, OwnRegistry
from exporter.metrics import Metric
from exporter.scheduling.store import Outcome, Store
from exporter.scheduling.task import Progress, Snapshot, Task
from exporter.web.access import Access
from exporter.web.config.loaded import WebConfig
from exporter.web.connections import ConnectionLimits
from exporter.web.endpoints import Endpoints
from exporter.web.server import WebServer, listen
from exporter.web.status.report import SourceState
from tests.support.rig import Clock

VALUE = Metric("some_value", "A value.", ("of",))


@dataclass
class Served:
    """Endpoints on a socket, and what stands behind it."""

    clock: Clock = field(default_factory=lambda: Clock(1_000.0))
    refused: bool = False
    refreshed: int = 0
    progress: Progress | None = None
    url: str = ""

    def __post_init__(self) -> None:
        task = Task(
            name="it<",
            source="test",
            interval=300,
            metrics=(VALUE,),
            poll=lambda: None,
            snapshot=lambda now, max_age: Snapshot(expires=now + max_age),
            required_for_ready=lambda: True,
            progress=lambda: self.progress,
        )
        self.store = Store([task])
        registry = OwnRegistry()
        Counter("own_total", "The exporter's own.", registry=registry).labels().inc(2)
        self.endpoints = Endpoints(
            store=self.store,
            registry=registry,
            refresh=self.refresh,
            sources=lambda: [SourceState("test", 10, self.refused)],
            due_in=lambda _: 42.4,
            clock=self.clock,
            telemetry_path="/metrics",
            version="1.2.3",
        )

    def refresh(self) -> None:
        """Publish again."""
        self.refreshed += 1
        self.publish(expires=self.clock() + 100)

    def publish(self, *, expires: float) -> None:
        """Publish one series."""
        self.publish_values("it", expires=expires)

    def publish_values(self, *of: str, expires: float) -> None:
        """Publish a series for each of these labels."""
        snapshot = Snapshot(tuple(VALUE(1.5, of=each) for each in of), expires=expires)
        self.store.publish("it<", snapshot, now=self.clock())
        self.store.refresh_page()

    def ended(self, *, error: Exception | None = None) -> None:
        """Note how the task ended."""
        success = self.clock() if error is None else None
        self.store.ended("it<", Outcome(self.clock(), 0.5, error, success, 0.5))


@contextmanager
def serving(limits: ConnectionLimits, web: Callable[[], WebConfig] = WebConfig) -> Iterator[Served]:
    """Endpoints that are served within these limits, with this web configuration."""
    served = Served()
    sockets = listen([("127.0.0.1", 0)])
    scheme = "https" if web().context else "http"
    served.url = f"{scheme}://localhost:{sockets[0].getsockname()[1]}"
    access = Access(served.endpoints.app(), config=web, monotonic=served.clock)
    server = WebServer(access, sockets, limits=limits, web=web)
    server.start()
    try:
        yield served
    finally:
        server.stop()


@pytest.fixture
def served() -> Iterator[Served]:
    """Endpoints that are served for one test."""
    with serving(ConnectionLimits()) as served:
        yield served
