"""Open connections, with limits on their number and on the time of each step.

A client that sends nothing, sends slowly or does not read must not block the others, and must not
use up the file descriptors that the polls need.
"""

import asyncio
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """The time limits of a connection, in seconds, and the number of open connections.

    Attributes:
        head: until the head of a request is complete, from its first byte or from the opening of
            the connection.
        response: until a response has been read.
        idle: between a response and the next request; longer than usual scrape intervals.
        connections: the most open connections; beyond them the one that waits longest is closed.
    """

    head: float = 10.0
    response: float = 120.0
    idle: float = 75.0
    connections: int = 512


@dataclass(eq=False, slots=True)
class Connection:
    """An open connection, the deadline of its current step, and the timer that checks it.

    A timer that fires before the deadline is set again then, so most steps of a scrape set none.
    """

    transport: asyncio.Transport
    deadline: float = field(default=0.0, init=False)
    timer: asyncio.TimerHandle | None = field(default=None, init=False)
    in_head: bool = field(default=True, init=False)


class Connections:
    """All open connections. Use it in one event loop only."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        # Both are in the order in which the connections entered them.
        self._waiting: dict[Connection, None] = {}
        self._responding: dict[Connection, None] = {}

    def opened(self, transport: asyncio.Transport) -> Connection:
        """Record an accepted connection; if it is one too many, close another."""
        connection = Connection(transport)
        self._waiting[connection] = None
        self._limit(connection, self._limits.head)
        if len(self._waiting) + len(self._responding) > self._limits.connections:
            self.make_room()
        return connection

    def received(self, connection: Connection) -> None:
        """Record received bytes; the first bytes of a request start its head."""
        if connection in self._waiting and not connection.in_head:
            connection.in_head = True
            self._limit(connection, self._limits.head)

    def responding(self, connection: Connection) -> None:
        """Record that the head of a request is complete."""
        if connection in self._waiting:
            del self._waiting[connection]
            self._responding[connection] = None
            self._limit(connection, self._limits.response)

    def responded(self, connection: Connection) -> None:
        """Record that the last byte of a response was sent or buffered."""
        if connection in self._responding:
            del self._responding[connection]
            self._waiting[connection] = None
            connection.in_head = False
            unread = connection.transport.get_write_buffer_size() > 0
            self._limit(connection, self._limits.response if unread else self._limits.idle)

    def closed(self, connection: Connection) -> None:
        """Record that a connection has ended."""
        self._waiting.pop(connection, None)
        self._responding.pop(connection, None)
        if connection.timer is not None:
            connection.timer.cancel()

    def make_room(self) -> None:
        """Close the connection that waits longest for a request, else the one served longest."""
        oldest = next(iter(self._waiting), None) or next(iter(self._responding), None)
        if oldest is not None:
            self._end(oldest)

    def _limit(self, connection: Connection, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        connection.deadline = loop.time() + seconds
        if connection.timer is None or connection.timer.when() > connection.deadline:
            if connection.timer is not None:
                connection.timer.cancel()
            connection.timer = loop.call_at(connection.deadline, self._check, connection)

    def _check(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() >= connection.deadline:
            self._end(connection)
        else:
            connection.timer = loop.call_at(connection.deadline, self._check, connection)

    def _end(self, connection: Connection) -> None:
        self.closed(connection)
        connection.transport.abort()
