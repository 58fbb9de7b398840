"""The listening sockets and the HTTP server."""

import asyncio
import errno
import logging
import math
import socket
import threading
from collections.abc import Callable, Mapping, Sequence

import uvicorn
from starlette.types import ASGIApp

from exporter.web.config.loaded import WebConfig
from exporter.web.connections import ConnectionLimits, Connections
from exporter.web.protocol import protocols

logger = logging.getLogger(__name__)

STOP_SECONDS = 2
LOG_AGAIN_SECONDS = 3_600.0
ACCEPT_AGAIN_SECONDS = 1.0
BACKLOG = 512
ACCEPTED_AT_ONCE = 16
"""Accepted connections use a file for a few turns of the event loop before they are counted."""
NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class ListenError(Exception):
    """The exporter cannot listen on an address."""


def listen(addresses: Sequence[tuple[str, int]]) -> list[socket.socket]:
    """Bind and listen on all addresses; an empty host means every interface, v4 and v6.

    Raises:
        ListenError: naming the address and the system's reason.
    """
    sockets: list[socket.socket] = []
    for host, port in addresses:
        try:
            sockets.append(_listener(host, port))
        except OSError as failure:
            for opened in sockets:
                opened.close()
            raise ListenError(
                f"cannot listen on {host or '*'}:{port}: {os_error_text(failure)}"
            ) from None
    return sockets


def os_error_text(failure: OSError) -> str:
    """The system's text for an error, without details."""
    return str(failure.strerror or failure).partition(" (while")[0]


def _listener(host: str, port: int) -> socket.socket:
    everywhere = not host and socket.has_dualstack_ipv6()
    opened = socket.create_server(
        (host, port),
        family=socket.AF_INET6 if everywhere or ":" in host else socket.AF_INET,
        dualstack_ipv6=everywhere,
        backlog=BACKLOG,
    )
    # Accepted connections inherit it; without it a body waits 40 ms for the headers' ACK.
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return opened


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for opened in sockets or []:
            # Uvicorn has set the number that it accepts at once; more may wait.
            opened.listen(BACKLOG)


class WebServer:
    """Serves an ASGI application on listening sockets, in its own thread.

    Args:
        web: gives the web configuration in use, for each new connection.
    """

    def __init__(
        self,
        app: ASGIApp,
        sockets: Sequence[socket.socket],
        *,
        limits: ConnectionLimits,
        web: Callable[[], WebConfig] = WebConfig,
    ) -> None:
        self._connections = Connections(limits)
        config = uvicorn.Config(
            app,
            http=protocols(self._connections, web),  # type: ignore[arg-type] # it is only called
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            backlog=ACCEPTED_AT_ONCE,
            timeout_keep_alive=math.ceil(limits.idle),
            timeout_graceful_shutdown=STOP_SECONDS,
            workers=1,  # else Uvicorn reads WEB_CONCURRENCY, which may be no number
        )
        self._server = _Server(config)
        self._sockets = list(sockets)
        self._handled_until = self._silent_until = -math.inf
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        asyncio.get_running_loop().set_exception_handler(self._failed)
        await self._server.serve(sockets=self._sockets)

    def _failed(self, loop: asyncio.AbstractEventLoop, context: Mapping[str, object]) -> None:
        """Handle an error that asyncio reports, such as one connection that it cannot accept."""
        failure = context.get("exception")
        if not isinstance(failure, OSError) or failure.errno not in NO_ROOM:
            loop.default_exception_handler(dict(context))
            return
        if loop.time() >= self._handled_until:
            self._handled_until = loop.time() + ACCEPT_AGAIN_SECONDS / 2
            self._connections.make_room()
        if loop.time() >= self._silent_until:
            self._silent_until = loop.time() + LOG_AGAIN_SECONDS
            logger.error("cannot accept connections: %s", os_error_text(failure))

    def start(self) -> None:
        """Start serving."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the running responses, close the sockets, and return within a few seconds."""
        self._server.should_exit = True
        self._thread.join(STOP_SECONDS + 1)
        if not self._thread.is_alive():
            for opened in self._sockets:
                opened.close()
