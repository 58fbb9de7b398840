"""Open connections: how long each may take for what, and how many there may be.

Whoever connects and then says nothing, says it slowly or does not read must not keep anybody else
from being answered, and must not use up the files that the polls need.
"""

import asyncio
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """What a connection may take, in seconds, and how many may be open.

    Attributes:
        head: until a request's head is complete, from its first byte or from the connection's
            opening, however slowly the bytes come.
        response: until a response has been read.
        idle: between a response and the next request; more than the usual scrape intervals.
        connections: the one that has waited longest goes when there are more.
    """

    head: float = 10.0
    response: float = 120.0
    idle: float = 75.0
    connections: int = 512


@dataclass(eq=False, slots=True)
class Connection:
    """An open connection and when it must have done its part."""

    transport: asyncio.Transport
    deadline: asyncio.TimerHandle | None = field(default=None, init=False)
    in_head: bool = field(default=True, init=False)


class Connections:
    """All open connections; to be used in one event loop only."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        # Each in the order of since when.
        self._waiting: dict[Connection, None] = {}
        self._responding: dict[Connection, None] = {}

    def opened(self, transport: asyncio.Transport) -> Connection:
        """A connection was accepted; if it is one too many, another is closed."""
        connection = Connection(transport)
        self._waiting[connection] = None
        self._limit(connection, self._limits.head)
        if len(self._waiting) + len(self._responding) > self._limits.connections:
            self.make_room()
        return connection

    def received(self, connection: Connection) -> None:
        """Bytes have come; the first of a request begin its head."""
        if connection in self._waiting and not connection.in_head:
            connection.in_head = True
            self._limit(connection, self._limits.head)

    def responding(self, connection: Connection) -> None:
        """A request's head is complete."""
        if connection in self._waiting:
            del self._waiting[connection]
            self._responding[connection] = None
            self._limit(connection, self._limits.response)

    def responded(self, connection: Connection) -> None:
        """The last byte of a response was handed to the system or waits to be."""
        if connection in self._responding:
            del self._responding[connection]
            self._waiting[connection] = None
            connection.in_head = False
            unread = connection.transport.get_write_buffer_size() > 0
            self._limit(connection, self._limits.response if unread else self._limits.idle)

    def closed(self, connection: Connection) -> None:
        """A connection has ended."""
        self._waiting.pop(connection, None)
        self._responding.pop(connection, None)
        if connection.deadline is not None:
            connection.deadline.cancel()

    def make_room(self) -> None:
        """Close the connection that has waited longest for a request, or else to be read."""
        oldest = next(iter(self._waiting), None) or next(iter(self._responding), None)
        if oldest is not None:
            self._end(oldest)

    def _limit(self, connection: Connection, seconds: float) -> None:
        if connection.deadline is not None:
            connection.deadline.cancel()
        loop = asyncio.get_running_loop()
        connection.deadline = loop.call_later(seconds, self._end, connection)

    def _end(self, connection: Connection) -> None:
        self.closed(connection)
        connection.transport.abort()
