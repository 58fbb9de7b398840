"""HTTP/1.1 on one connection, within limits."""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

from exporter.web.connections import Connections


def limited_protocol(connections: Connections) -> type[H11Protocol]:
    """Uvicorn's protocol, which reports the steps of each connection to `connections`."""

    class LimitedProtocol(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            self._connection = connections.opened(transport)
            super().connection_made(transport)

        def data_received(self, data: bytes) -> None:
            connections.received(self._connection)
            super().data_received(data)

        def eof_received(self) -> bool:  # type: ignore[override]
            if self._responding():
                # A client that has closed its sending side may still read the response.
                self.cycle.keep_alive = False
                return True
            return False

        def handle_events(self) -> None:
            super().handle_events()
            if self._responding():
                connections.responding(self._connection)

        def _responding(self) -> bool:
            return self.cycle is not None and not self.cycle.response_complete

        def on_response_complete(self) -> None:
            connections.responded(self._connection)
            super().on_response_complete()

        def connection_lost(self, exc: Exception | None) -> None:
            connections.closed(self._connection)
            super().connection_lost(exc)

    return LimitedProtocol
