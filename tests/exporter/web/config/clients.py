"""Clients of a server in TLS."""

import ssl
import warnings

import httpx

from tests.exporter.web.config.folder import Folder
from tests.support.limits import HANG_SECONDS

REFUSALS = (ssl.SSLError, ConnectionError, httpx.TransportError)
"""How a handshake that a server refuses looks to a client, sooner or later."""


def trusting(folder: Folder, certificate: str | None = None) -> ssl.SSLContext:
    """A client that trusts the server's authority and may have a certificate of its own."""
    context = ssl.create_default_context(cafile=folder.path / "authority.pem")
    if certificate:
        context.load_cert_chain(folder.path / f"{certificate}.pem")
    return context


def old(folder: Folder, version: ssl.TLSVersion) -> ssl.SSLContext:
    """A client that speaks an old version only."""
    context = trusting(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context


def get(
    url: str, context: ssl.SSLContext, *, auth: tuple[str, str] | None = None
) -> httpx.Response:
    """Ask once."""
    with httpx.Client(verify=context, auth=auth, timeout=HANG_SECONDS, trust_env=False) as client:
        return client.get(f"{url}/-/healthy")
