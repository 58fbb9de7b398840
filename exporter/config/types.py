"""Types of settings that several APIs have: address, authorities, key and poll interval."""

import ssl
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import httpx
from pydantic import AfterValidator, Field, SecretStr

from exporter.config.credentials import key_from
from exporter.config.settings import is_loopback
from exporter.config.tls import check_authorities, own_authorities
from exporter.errors import CredentialError


def _check_url(text: str) -> str:
    wanted = "wants https://host without user, query or fragment (http only for loopback)"
    try:
        url = urlsplit(text)
        _ = url.port
        httpx.URL(text)
        (url.hostname or "").encode("idna")
    except (ValueError, httpx.InvalidURL):
        raise ValueError(wanted) from None
    plain = url.scheme == "http" and is_loopback(url.hostname or "")
    if any(character.isspace() for character in text):
        raise ValueError(wanted)
    if not (url.scheme == "https" or plain) or not url.hostname:
        raise ValueError(wanted)
    if url.username is not None or url.password is not None or url.query or url.fragment:
        raise ValueError(wanted)
    return text.rstrip("/")


def _check_ca_file(path: Path) -> Path:
    check_authorities(path)
    return path


ApiUrl = Annotated[str, AfterValidator(_check_url)]
"""A base URL that does not leak the key: `https`, or plain `http` on loopback."""

PollInterval = Annotated[float, Field(ge=1, le=86_400, allow_inf_nan=False)]
"""Seconds between two polls."""

CaFile = Annotated[Path, AfterValidator(_check_ca_file)]
"""A readable PEM file of certificates."""


def check_secret(variable: str, value: SecretStr | None, file: Path | None) -> None:
    """Check a secret that is set by `variable`, by `variable`_FILE or by neither.

    Raises:
        ValueError: naming the variable and the fault, but no part of the secret.
    """
    if value is not None and file is not None:
        raise ValueError(f"{variable}, {variable}_FILE: set one of the two")
    try:
        key = key_from(value, file)
        if key is not None:
            key()
    except CredentialError as failure:
        raise ValueError(f"{variable}_FILE: {failure}") from None
    except ValueError as failure:
        raise ValueError(f"{variable}: {failure}") from None


def trust(ca_file: Path | None) -> ssl.SSLContext | None:
    """A TLS context that trusts only this file; None for the public authorities."""
    return own_authorities(ca_file) if ca_file else None
