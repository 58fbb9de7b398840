"""Ports on loopback, and what answers there."""

import http.client
import json
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from deploy.demo.processes import FailedError, say

HOST = "127.0.0.1"
ANY = 0
TIMEOUT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Page:
    """What an address answered, after redirections."""

    status: int
    path: str
    body: str


def get(url: str, *, redirections: int = 3) -> Page | None:
    """Ask an address on this machine, whatever proxies are set; None if nobody answers."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(
        address.hostname or HOST, address.port, timeout=TIMEOUT_SECONDS
    )
    try:
        connection.request("GET", f"{address.path or '/'}?{address.query}")
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    onward = answer.headers.get("Location", "")
    if onward.startswith("/") and redirections:
        return get(f"http://{address.netloc}{onward}", redirections=redirections - 1)
    return Page(answer.status, address.path, body)


def is_fine(url: str) -> bool:
    """Whether an address answers with 200."""
    page = get(url)
    return page is not None and page.status == http.client.OK


def has_data(prometheus: str, query: str) -> bool:
    """Whether Prometheus has anything for a query now."""
    page = get(f"{prometheus}/api/v1/query?{urlencode({'query': query})}")
    if page is None or page.status != http.client.OK:
        return False
    data = json.loads(page.body).get("data")
    return isinstance(data, Mapping) and bool(data.get("result"))


def choose_port(name: str, wanted: int) -> int:
    """The wanted port, or any other, which is said unless it is wanted so.

    Raises:
        FailedError: if there is none.
        EndedError: if nobody reads what is said.
    """
    if wanted != ANY and is_free(wanted):
        return wanted
    try:
        with socket.create_server((HOST, ANY)) as probe:
            port = int(probe.getsockname()[1])
    except OSError as error:
        raise FailedError(f"no free port on loopback: {error.strerror}") from None
    if wanted != ANY:
        say(f"{name}: port {wanted} is taken, so it is {port}")
    return port


def is_free(port: int) -> bool:
    """Whether nobody serves it on loopback, be it by IPv6 alone."""
    with suppress(OSError), socket.create_connection(("localhost", port), TIMEOUT_SECONDS):
        return False
    try:
        with socket.create_server((HOST, port)):
            return True
    except OSError:
        return False
