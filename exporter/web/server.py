"""Listening sockets, and the HTTP server that answers on them."""

import socket
import threading
from collections.abc import Sequence

import uvicorn
from starlette.applications import Starlette

STOP_SECONDS = 2
BACKLOG = 512


class ListenError(Exception):
    """An address cannot be listened on."""


def listen(addresses: Sequence[tuple[str, int]]) -> list[socket.socket]:
    """Bind and listen on all addresses; an empty host means every interface, v4 and v6.

    Raises:
        ListenError: naming the address and what the system says.
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
    """What the system says, in a few words."""
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


class WebServer:
    """Serves an ASGI application on listening sockets from a thread of its own."""

    def __init__(self, app: Starlette, sockets: Sequence[socket.socket]) -> None:
        config = uvicorn.Config(
            app,
            http="h11",
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=STOP_SECONDS,
        )
        self._server = uvicorn.Server(config)
        self._sockets = list(sockets)
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    def _run(self) -> None:
        self._server.run(sockets=self._sockets)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the answers under way, close the sockets, and return within a few seconds."""
        self._server.should_exit = True
        self._thread.join(STOP_SECONDS + 1)
        for opened in self._sockets:
            opened.close()
