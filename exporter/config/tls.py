"""The certificate authorities that TLS connections trust."""

import os
import ssl
import stat
from pathlib import Path

import httpx

from exporter.config.files import check_regular
from exporter.config.settings import SettingsError


def check_authorities(path: Path) -> None:
    """Check that a file holds certificates.

    Raises:
        ValueError: if it does not, or cannot be read.
    """
    wanted = "wants a readable PEM file of certificates"
    try:
        check_regular(path)
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except ssl.SSLError:
        raise ValueError(wanted) from None
    except OSError as failure:
        raise ValueError(f"{wanted}: {failure.strerror}") from None


def own_authorities(path: Path) -> ssl.SSLContext:
    """A context that trusts only the certificates of this file.

    The authorities of companies often lack extensions that RFC 5280 requires, such as the
    Authority Key Identifier. By default Python 3.13 and newer refuse them.

    Raises:
        SettingsError: if `SSLKEYLOGFILE` cannot be written.
    """
    _check_key_log()
    context = ssl.create_default_context(cafile=path)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def public_authorities(*, read_environment: bool) -> ssl.SSLContext:
    """A context that trusts `SSL_CERT_FILE`, else `SSL_CERT_DIR`, else the public authorities.

    Args:
        read_environment: False ignores these variables.

    Raises:
        SettingsError: naming the variable that is invalid.
    """
    _check_key_log()
    file = os.environ.get("SSL_CERT_FILE") if read_environment else None
    folders = os.environ.get("SSL_CERT_DIR") if read_environment else None
    if file:
        try:
            check_authorities(Path(file))
        except ValueError as failure:
            raise SettingsError([f"SSL_CERT_FILE: {failure}"]) from None
        return ssl.create_default_context(cafile=file)
    if folders:
        if not any(Path(folder).is_dir() for folder in folders.split(os.pathsep)):
            raise SettingsError(["SSL_CERT_DIR: wants a folder of certificates"])
        return ssl.create_default_context(capath=folders)
    return httpx.create_ssl_context(trust_env=False)


def _check_key_log() -> None:
    """Check `SSLKEYLOGFILE` first, as every context opens it."""
    path = os.environ.get("SSLKEYLOGFILE")
    if not path:
        return
    try:
        if Path(path).exists() and stat.S_ISFIFO(Path(path).stat().st_mode):
            raise SettingsError(["SSLKEYLOGFILE: is a pipe; it wants to be a regular file"])
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).keylog_filename = path
    except OSError as failure:
        raise SettingsError([f"SSLKEYLOGFILE: cannot be written: {failure.strerror}"]) from None
