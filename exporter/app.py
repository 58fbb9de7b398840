"""The exporter, composed on one page."""

import logging
import threading
from collections.abc import Sequence
from socket import socket

from prometheus_client import CollectorRegistry, ProcessCollector, disable_created_metrics

from exporter import __version__
from exporter.accounting import RequestMetrics
from exporter.build import build_info
from exporter.scheduler import Scheduler
from exporter.settings import CORE_SECTIONS, Section, Settings, WebSettings
from exporter.sources import SOURCES
from exporter.sources.connection import NoSourceError, Surroundings, sections_of
from exporter.store import Store
from exporter.timing import Timing
from exporter.web.connections import ConnectionLimits
from exporter.web.endpoints import Endpoints
from exporter.web.open_files import most_connections
from exporter.web.server import WebServer

logger = logging.getLogger(__name__)

SECTIONS: tuple[type[Section], ...] = (*sections_of(SOURCES), *CORE_SECTIONS)


class Exporter:
    """Everything that runs: sources, scheduler and web server.

    Args:
        sockets: listening already, so that a taken port is known before anything starts.

    Raises:
        NoSourceError: naming the settings that would turn one on.
    """

    def __init__(
        self,
        settings: Settings,
        sockets: Sequence[socket],
        timing: Timing,
    ) -> None:
        disable_created_metrics()
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._stopping = threading.Event()
        shared = Surroundings(RequestMetrics(registry), self._stopping, timing)
        opened = (source.open(settings, shared) for source in SOURCES)
        self._connections = [connection for connection in opened if connection is not None]
        if not self._connections:
            raise NoSourceError(", or ".join(source.wanted for source in SOURCES))
        tasks = [task for connection in self._connections for task in connection.tasks]
        self.store = Store(tasks, constant=(build_info(),))
        self.scheduler = Scheduler(tasks, store=self.store, registry=registry, timing=timing)
        endpoints = Endpoints(
            store=self.store,
            registry=registry,
            refresh=self.scheduler.tick,
            refused=lambda: [c.source for c in self._connections if c.client.key_refused],
            due_in=self.scheduler.due_in,
            clock=timing.clock,
            telemetry_path=settings[WebSettings].telemetry_path,
            version=__version__,
        )
        limits = ConnectionLimits(connections=most_connections())
        self._web = WebServer(endpoints.app(), sockets, limits=limits)

    def start(self) -> None:
        """Serve, then poll."""
        self._web.start()
        self.scheduler.start()

    def stop(self) -> None:
        """Stop polling and serving; polls under way end soon, but are not waited for."""
        logger.info("stopping")
        self._stopping.set()
        self.scheduler.stop()
        self._web.stop()

    def close(self) -> None:
        """Give the connections back, once no poll is under way any more."""
        for connection in self._connections:
            connection.client.close()
