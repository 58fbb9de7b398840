"""Authorities that an operator has made."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from exporter.config.tls import own_authorities, public_authorities
from tests.exporter.commands import finished
from tests.support.limits import HANG_SECONDS

HOST = "localhost"
UNAUTHORIZED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True)
class OldStyle:
    """An authority as an old script makes it: no key identifiers, no key usage.

    Attributes:
        authority: PEM file of the authority.
        server: what a server shows.
    """

    authority: Path
    server: ssl.SSLContext


@pytest.fixture(scope="module")
def old_style(tmp_path_factory: pytest.TempPathFactory) -> OldStyle:
    """The authority and a certificate of it."""
    folder = tmp_path_factory.mktemp("old-style")
    authority_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An old authority")])
    authority = (
        unsigned(name, name, authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    of_server = (
        unsigned(x509.Name([]), name, server_key)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    pem, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    file = folder / "authority.pem"
    # As such files are: with a word on whose it is, in whatever letters.
    file.write_bytes("Autorité de la société\n".encode() + authority.public_bytes(pem))
    shown = folder / "server.pem"
    key = server_key.private_bytes(pem, private, serialization.NoEncryption())
    shown.write_bytes(key + of_server.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown)
    return OldStyle(file, context)


def unsigned(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - timedelta(days=1),
        not_valid_after=now + timedelta(days=1),
    )


@contextmanager
def server(context: ssl.SSLContext) -> Iterator[int]:
    """A server that shows a certificate and answers 401 to whoever trusts it; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening, context), daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(HANG_SECONDS)
        assert not thread.is_alive()


def serve(listening: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        with (
            suppress(ssl.SSLError, ConnectionError),
            context.wrap_socket(connection, server_side=True) as secured,
        ):
            secured.recv(65_536)
            secured.sendall(UNAUTHORIZED)


def connect(port: int, context: ssl.SSLContext, name: str = HOST) -> None:
    """Raises `ssl.SSLCertVerificationError` where the server is not trusted."""
    with (
        socket.create_connection(("127.0.0.1", port)) as connection,
        context.wrap_socket(connection, server_hostname=name) as secured,
    ):
        secured.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert secured.recv(65_536)


def test_an_old_style_authority_that_is_named_is_trusted(old_style: OldStyle) -> None:
    strict = ssl.create_default_context(cafile=old_style.authority)
    strict.verify_flags |= ssl.VERIFY_X509_STRICT
    with server(old_style.server) as port:
        connect(port, own_authorities(old_style.authority))
        with pytest.raises(ssl.SSLCertVerificationError, match="Key Identifier"):
            connect(port, strict)


@pytest.mark.parametrize("source", ["DEVIN", "AIONE"])
def test_the_product_asks_a_server_of_such_an_authority(old_style: OldStyle, source: str) -> None:
    keys = {"DEVIN": "DEVIN_SERVICE_USER_TOKEN", "AIONE": "AIONE_TOKEN"}
    with server(old_style.server) as port:
        ended = finished(
            "check",
            **{
                f"{source}_API_URL": f"https://{HOST}:{port}",
                f"{source}_CA_FILE": str(old_style.authority),
                keys[source]: "a_key_that_is_refused",
            },
        )
    assert ended.returncode == 1
    assert "401" in ended.stdout
    assert "certificate" not in ended.stdout


def test_all_else_is_checked_as_ever(old_style: OldStyle) -> None:
    trusting = own_authorities(old_style.authority)
    with server(old_style.server) as port:
        with pytest.raises(ssl.SSLCertVerificationError, match="match"):
            connect(port, trusting, "elsewhere.example.com")
        with pytest.raises(ssl.SSLCertVerificationError, match=r"local issuer|self-signed"):
            connect(port, public_authorities(read_environment=False))
    of_another = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert(HOST).configure_cert(of_another)
    with (
        server(of_another) as port,
        pytest.raises(ssl.SSLCertVerificationError, match=r"local issuer|self-signed"),
    ):
        connect(port, trusting)


def test_public_authorities_stay_as_strict_as_python_makes_them(
    old_style: OldStyle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(old_style.authority))
    made = public_authorities(read_environment=True)
    assert made.verify_flags == ssl.create_default_context().verify_flags
