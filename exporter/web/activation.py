"""Listening sockets that systemd has opened: socket activation, as sd_listen_fds(3) describes."""

import os
import socket
from collections.abc import MutableMapping

from exporter.web.server import ListenError

FIRST_DESCRIPTOR = 3
_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


def activated_sockets(environment: MutableMapping[str, str]) -> list[socket.socket]:
    """The sockets that the environment hands over. Its variables are removed, as they hold once.

    Raises:
        ListenError: if there are none, or if they are for another process or do not listen.
    """
    process, count, _ = (environment.pop(variable, "") for variable in _VARIABLES)
    if not count.isdecimal() or int(count) == 0:
        raise ListenError("systemd has handed over no socket: LISTEN_FDS is not set")
    if process != str(os.getpid()):
        raise ListenError("systemd's sockets are for another process, which LISTEN_PID names")
    return [_listening(FIRST_DESCRIPTOR + number) for number in range(int(count))]


def _listening(descriptor: int) -> socket.socket:
    try:
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - it takes no keyword
        handed_over = socket.socket(fileno=descriptor)
        listens = handed_over.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as failure:
        raise ListenError(f"systemd's descriptor {descriptor}: {failure.strerror}") from None
    if not listens or handed_over.type is not socket.SOCK_STREAM:
        raise ListenError(f"systemd's descriptor {descriptor} is no listening stream socket")
    handed_over.settimeout(0)
    if handed_over.family in {socket.AF_INET, socket.AF_INET6}:
        handed_over.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return handed_over
