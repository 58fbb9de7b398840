"""The web configuration as it is used: contexts, users and headers, with all files read."""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from exporter.config.files import read_regular
from exporter.web.config.certificates import server_context
from exporter.web.config.document import (
    MOST_BYTES,
    Document,
    RateLimit,
    TlsServerConfig,
    WebConfigError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebConfig:
    """What holds for connections and requests; without anything set, plain HTTP for everybody.

    Attributes:
        context: gives the TLS context of a new connection; None for plain HTTP.
        allowed_names: of a client's certificate, one must be among these; None for any.
        users: bcrypt hashes by name; empty for everybody.
        headers: added to every response.
        notes: what a user should know about the file, as sentences.
    """

    context: Callable[[], ssl.SSLContext] | None = None
    allowed_names: frozenset[str] | None = None
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    rate_limit: RateLimit = field(default_factory=RateLimit)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Pem:
    """The texts of the files that TLS needs."""

    certificate: str = field(repr=False)
    key: str = field(repr=False)
    authorities: str = field(repr=False)


def named_files(document: Document, folder: Path) -> tuple[Path, ...]:
    """The files that a document names; relative ones are in its own folder."""
    tls = document.tls_server_config
    names = (tls.cert_file, tls.key_file, tls.client_ca_file)
    return tuple(folder / name for name in names if name)


def loaded(document: Document, folder: Path) -> WebConfig:
    """Read the files that a document names, and make what it describes.

    Raises:
        WebConfigError: naming the file or key that is wrong.
    """
    tls, http = document.tls_server_config, document.http_server_config
    notes = ("HTTP/2 is not supported; HTTP/1.1 is served",) if http.http2 else ()
    return WebConfig(
        context=_contexts(tls, folder) if tls.enabled else None,
        allowed_names=frozenset(tls.client_allowed_sans) if tls.client_allowed_sans else None,
        users=MappingProxyType(dict(document.basic_auth_users)),
        headers=MappingProxyType({name: text for name, text in http.headers.items() if text}),
        rate_limit=document.rate_limit,
        notes=notes,
    )


def _contexts(tls: TlsServerConfig, folder: Path) -> Callable[[], ssl.SSLContext]:
    pem = _Pem(
        _text(tls.cert_file, tls.cert, "cert_file", folder),
        _text(tls.key_file, tls.key, "key_file", folder),
        _text(tls.client_ca_file, tls.client_ca, "client_ca_file", folder),
    )

    def make() -> ssl.SSLContext:
        return server_context(
            tls, certificate=pem.certificate, key=pem.key, authorities=pem.authorities
        )

    context = make()
    if tls.client_auth_type in {"RequireAnyClientCert", "RequireClientCert"}:
        return make  # such a context trusts what it has seen, and is for one connection
    return lambda: context


def _text(name: str, inline: str, key: str, folder: Path) -> str:
    """The text of a file if one is named, else what the configuration itself holds."""
    if not name:
        return inline
    place = f"tls_server_config.{key}: {folder / name}"
    try:
        return read_regular(folder / name, most_bytes=MOST_BYTES)
    except OSError as failure:
        raise WebConfigError((f"{place}: {failure.strerror}",)) from None
    except UnicodeDecodeError:
        raise WebConfigError((f"{place}: is no text",)) from None
    except ValueError as failure:
        raise WebConfigError((f"{place}: {failure}",)) from None
