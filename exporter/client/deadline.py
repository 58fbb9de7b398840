"""A time limit for a whole request.

A socket's timeout limits one read only. A server that sends a byte now and then never exceeds it.
"""

import math
import ssl
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import httpcore

from exporter.process import Timing


class Deadline(threading.local):
    """When the current thread's request must end, on the monotonic clock."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._at = math.inf

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Limit all reads and writes of this thread to so many seconds in total."""
        self._at = self._timing.monotonic() + seconds
        try:
            yield
        finally:
            self._at = math.inf

    def left(self, timeout: float | None) -> float:
        """The real seconds that the next read or write may take.

        Raises:
            httpcore.ReadTimeout: if no time is left.
        """
        left = self._timing.timer(self._at - self._timing.monotonic())
        if left <= 0:
            raise httpcore.ReadTimeout("the whole request took too long")
        return min(left, math.inf if timeout is None else timeout)


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = self._deadline.left(timeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)


class LimitedBackend(httpcore.NetworkBackend):
    """Opens connections whose reads and writes end by the deadline of the calling thread."""

    def __init__(self, deadline: Deadline) -> None:
        self._backend = httpcore.SyncBackend()
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Open a connection."""
        left = self._deadline.left(timeout)
        stream = self._backend.connect_tcp(host, port, left, local_address, socket_options)
        return _Stream(stream, self._deadline)
