"""Builds the exporter from its sources, scheduler and web server."""

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from socket import socket

from prometheus_client import ProcessCollector, disable_created_metrics

from exporter import __version__
from exporter.client.request_metrics import RequestMetrics
from exporter.config.settings import Settings, StateSettings, WebSettings
from exporter.exposition.build_info import build_info
from exporter.exposition.instruments import OwnRegistry
from exporter.process import Timing, nothing_to_collect
from exporter.scheduling.scheduler import Scheduler
from exporter.scheduling.state import State
from exporter.scheduling.store import Store
from exporter.sources import SOURCES
from exporter.sources.source import OpenSource, Shared, open_sources, owner_of
from exporter.web.access import Access
from exporter.web.config.file import WebConfigFile
from exporter.web.config.loaded import WebConfig
from exporter.web.connections import ConnectionLimits
from exporter.web.endpoints import Endpoints
from exporter.web.open_files import most_connections
from exporter.web.server import WebServer
from exporter.web.status.report import SourceState

logger = logging.getLogger(__name__)

NO_WEB_CONFIG = WebConfig()


def source_states(opened: Sequence[OpenSource]) -> list[SourceState]:
    """The state of each source, for the status."""
    return [
        SourceState(each.source.name, each.client.requests_per_second, each.client.key_refused)
        for each in opened
    ]


class Exporter:
    """The running exporter: sources, scheduler and web server.

    Args:
        sockets: already listening, so that a port in use is reported before anything starts.

    Raises:
        NoSourceError: if no source is turned on; names the settings that turn one on.
        WebConfigError: if the web configuration cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        sockets: Sequence[socket],
        timing: Timing,
    ) -> None:
        disable_created_metrics()
        registry = OwnRegistry()
        ProcessCollector(registry=registry)
        web = settings[WebSettings]
        self._web_config = (
            WebConfigFile(web.config_file, registry=registry, clock=timing.clock)
            if web.config_file
            else None
        )
        self._stopping = threading.Event()
        shared = Shared(RequestMetrics(registry), self._stopping, timing)
        with ExitStack() as stack:
            opened = stack.enter_context(open_sources(SOURCES, settings, shared))
            tasks = [task for each in opened for task in each.source.tasks(each)]
            self._clients = stack.pop_all()
        self.store = Store(tasks, constant=(build_info(),))
        self._state = State.at(
            settings[StateSettings].dir, owner=owner_of(opened), tasks=tasks, store=self.store
        )
        self.scheduler = Scheduler(
            tasks,
            store=self.store,
            registry=registry,
            timing=timing,
            polled=self._state.changed,
        )
        endpoints = Endpoints(
            store=self.store,
            registry=registry,
            refresh=self.scheduler.tick,
            sources=lambda: source_states(opened),
            due_in=self.scheduler.due_in,
            clock=timing.clock,
            telemetry_path=web.telemetry_path,
            version=__version__,
        )
        limits = ConnectionLimits(connections=most_connections())
        access = Access(endpoints.app(), config=self.web_config, monotonic=timing.monotonic)
        self._web = WebServer(access, sockets, limits=limits, web=self.web_config)

    def web_config(self) -> WebConfig:
        """The web configuration in use."""
        return self._web_config.current if self._web_config else NO_WEB_CONFIG

    @property
    def reload(self) -> Callable[[], None] | None:
        """Reads the web configuration again; None if there is none."""
        return self._web_config.reload if self._web_config else None

    def start(self) -> None:
        """Publish what was kept, then start the polls and the web server."""
        with nothing_to_collect():
            self._state.restore()
            self.scheduler.start()
        if self._web_config:
            self._web_config.start()
        self._web.start()

    def first_round(self) -> tuple[int, int]:
        """How many entities have been requested once, and how many are known."""
        found = [state.task.progress() for state in self.store.states().values()]
        known = [progress for progress in found if progress is not None]
        done = sum(progress.done if progress.first else progress.total for progress in known)
        return done, sum(progress.total for progress in known)

    def stop(self) -> None:
        """Stop polling and serving, and keep the state.

        Running polls end soon; this does not wait for them.
        """
        logger.info("stopping")
        self._stopping.set()
        if self._web_config:
            self._web_config.stop()
        self.scheduler.stop()
        self._web.stop()
        self._state.close()

    def close(self) -> None:
        """Close the clients and the state. Call it once no poll is running."""
        self._state.close()
        self._clients.close()
