"""HTTP/1.1 on one connection, plain or in TLS, within limits."""

import asyncio
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import Protocol, TypeAlias

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from exporter.web.config.loaded import WebConfig
from exporter.web.connections import Connection, Connections

SHUTDOWN_SECONDS = 2.0
AppState: TypeAlias = dict[str, object]


class LimitedProtocol(H11Protocol):
    """Uvicorn's protocol, which reports the steps of its connection."""

    def limit(
        self, connections: Connections, *, allowed_names: frozenset[str] | None = None
    ) -> None:
        """Report to `connections`, and serve only clients whose certificate has such a name."""
        self._connections = connections
        self._allowed_names = allowed_names
        self._connection: Connection | None = None

    def opened(self, connection: Connection) -> None:
        """Take over a connection that has been counted since its TLS handshake."""
        self._connection = connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to serve."""
        if self._connection is None:
            self._connection = self._connections.opened(transport)
        super().connection_made(transport)
        if self._allowed_names is not None and not self._is_allowed(transport):
            transport.abort()

    def _is_allowed(self, transport: asyncio.Transport) -> bool:
        tls = transport.get_extra_info("ssl_object")
        if tls.getpeercert(binary_form=True) is None:
            return True  # none was required
        return not set(names_of(tls)).isdisjoint(self._allowed_names or ())

    def data_received(self, data: bytes) -> None:
        """Take what a client has sent."""
        if self.transport.is_closing():
            return
        if self._connection is not None:
            self._connections.received(self._connection)
        super().data_received(data)

    def eof_received(self) -> bool:  # type: ignore[override]
        """A client that has closed its sending side may still read the response, without TLS."""
        if self._responding() and self.scheme == "http":
            self.cycle.keep_alive = False
            return True
        return False

    def handle_events(self) -> None:
        """Handle what has been received."""
        super().handle_events()
        if self._responding() and self._connection is not None:
            self._connections.responding(self._connection)

    def _responding(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        if self._connection is not None:
            self._connections.responded(self._connection)
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        if self._connection is not None:
            self._connections.closed(self._connection)
        super().connection_lost(exc)


class Handshake(SSLProtocol):
    """TLS on a connection that is counted from its first byte on, not from its first request."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        http: LimitedProtocol,
        context: ssl.SSLContext,
        connections: Connections,
    ) -> None:
        super().__init__(
            loop,
            http,
            context,
            None,  # type: ignore[arg-type] # nobody waits for the end of the handshake
            server_side=True,
            ssl_shutdown_timeout=SHUTDOWN_SECONDS,
        )
        self._http = http
        self._connections = connections
        self._counted: Connection | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin the handshake."""
        self._counted = self._connections.opened(transport)
        self._http.opened(self._counted)
        super().connection_made(transport)

    def _fatal_error(self, exc: BaseException, message: str = "Fatal error") -> None:
        # asyncio ends a failed handshake without the alert that says why.
        self._process_outgoing()  # type: ignore[attr-defined]
        super()._fatal_error(exc, message)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        if self._counted is not None:
            self._connections.closed(self._counted)
        super().connection_lost(exc)


class MakeProtocol(Protocol):
    """What Uvicorn calls for each new connection."""

    def __call__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: AppState,
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> asyncio.BaseProtocol:
        """Make the protocol of a connection."""
        ...


def protocols(connections: Connections, web: Callable[[], WebConfig]) -> MakeProtocol:
    """What makes the protocol of each new connection, as the web configuration says then."""

    def make(
        config: Config,
        server_state: ServerState,
        app_state: AppState,
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> asyncio.BaseProtocol:
        current = web()
        http = LimitedProtocol(config, server_state, app_state, _loop)
        http.limit(connections, allowed_names=current.allowed_names)
        if current.context is None:
            return http
        return Handshake(asyncio.get_running_loop(), http, current.context(), connections)

    return make


def names_of(tls: ssl.SSLObject) -> Iterator[str]:
    """The Subject Alternate Names of a client's verified certificate; none without one."""
    certificate = tls.getpeercert() or {}
    for entry in certificate.get("subjectAltName", ()):
        kind, name = str(entry[0]), str(entry[1])
        yield str(ip_address(name)) if kind == "IP Address" else name
