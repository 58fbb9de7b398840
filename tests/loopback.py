"""Asking servers on loopback, which speak plain HTTP."""

import ssl
from collections.abc import Mapping

import httpx

NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Trusts nobody: reading whom the system trusts would take longer than many an answer."""


def client(*, timeout: float = 5) -> httpx.Client:
    """What asks more than once."""
    return httpx.Client(timeout=timeout, verify=NO_AUTHORITIES)


def get(url: str, *, headers: Mapping[str, str] | None = None) -> httpx.Response:
    """Ask once, over a connection of its own."""
    return httpx.get(url, headers=headers, verify=NO_AUTHORITIES)
