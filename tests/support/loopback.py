"""Asking servers on loopback, which speak plain HTTP."""

import ssl
from collections.abc import Mapping

import httpx

from tests.support.limits import HANG_SECONDS

NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Trusts nobody: reading whom the system trusts would take longer than many an answer."""


def client() -> httpx.Client:
    """What asks more than once."""
    return httpx.Client(timeout=HANG_SECONDS, verify=NO_AUTHORITIES)


def get(url: str, *, headers: Mapping[str, str] | None = None) -> httpx.Response:
    """Ask once, over a connection of its own."""
    return httpx.get(url, headers=headers, timeout=HANG_SECONDS, verify=NO_AUTHORITIES)
