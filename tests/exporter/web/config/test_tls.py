"""Handshakes as the web configuration wants them."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest

from exporter.web.config.document import read_document
from exporter.web.config.loaded import loaded
from exporter.web.connections import ConnectionLimits
from tests.exporter.web.config.clients import REFUSALS, get, old, trusting
from tests.exporter.web.config.folder import Folder
from tests.exporter.web.serving import Served, serving
from tests.exporter.web.test_connections import LATER, SOON, connect, received, silent

PAIR = "cert_file: server.crt, key_file: server.key"
AUTHORITY = "client_ca_file: authority.pem"
VERIFIED = "RequireAndVerifyClientCert"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder.at(tmp_path_factory.mktemp("web"))


@contextmanager
def tls(
    folder: Folder, more: str = "", *, limits: ConnectionLimits | None = None
) -> Iterator[Served]:
    """Endpoints in TLS."""
    path = folder.write(f"tls_server_config: {{{PAIR}{more}}}")
    config = loaded(read_document(path), path.parent)
    with serving(limits or ConnectionLimits(), lambda: config) as served:
        yield served


def serves(served: Served, context: ssl.SSLContext) -> bool:
    """Whether a client is served."""
    try:
        return get(served.url, context).status_code == 200
    except REFUSALS:
        return False


CLIENTS = ("nothing", "client", "stranger")
TYPES = {
    ", client_auth_type: NoClientCert": CLIENTS,
    f", client_auth_type: RequestClientCert, {AUTHORITY}": CLIENTS,
    f", client_auth_type: RequireAnyClientCert, {AUTHORITY}": ("client", "stranger"),
    ", client_auth_type: RequireClientCert": ("client", "stranger"),
    f", client_auth_type: VerifyClientCertIfGiven, {AUTHORITY}": ("nothing", "client"),
    f", client_auth_type: {VERIFIED}, {AUTHORITY}": ("client",),
    f", client_auth_type: {VERIFIED}": (),
    f", client_auth_type: {VERIFIED}, {AUTHORITY}, client_allowed_sans: [client.test]": ("client",),
    f", client_auth_type: {VERIFIED}, {AUTHORITY}, client_allowed_sans: ['::9']": ("client",),
    f", client_auth_type: {VERIFIED}, {AUTHORITY}, client_allowed_sans: [127.0.0.9]": ("client",),
    f", client_auth_type: {VERIFIED}, {AUTHORITY}, client_allowed_sans: [client]": (),
    f", client_auth_type: VerifyClientCertIfGiven, {AUTHORITY}, client_allowed_sans: [x]": (
        "nothing",
    ),
    ", client_auth_type: RequireAnyClientCert, client_allowed_sans: [stranger.test]": ("stranger",),
}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("more", TYPES)
def test_each_type_serves_the_clients_that_it_names(
    folder: Folder, more: str, version: ssl.TLSVersion
) -> None:
    with tls(folder, more) as served:
        for client in CLIENTS:
            context = trusting(folder, None if client == "nothing" else client)
            context.maximum_version = version
            assert serves(served, context) == (client in TYPES[more]), client


def test_an_expired_certificate_is_any_certificate_and_no_verified_one(folder: Folder) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    expired = folder.authority.issue_cert(
        "client.test", not_before=yesterday - timedelta(days=1), not_after=yesterday
    )
    expired.private_key_and_cert_chain_pem.write_to_path(folder.path / "expired.pem")
    with tls(folder, ", client_auth_type: RequireAnyClientCert") as served:
        assert serves(served, trusting(folder, "expired"))
    with tls(folder, f", client_auth_type: {VERIFIED}, {AUTHORITY}") as served:
        assert not serves(served, trusting(folder, "expired"))


def test_a_client_without_a_certificate_learns_why(folder: Folder) -> None:
    with (
        tls(folder, f", client_auth_type: {VERIFIED}, {AUTHORITY}") as served,
        connect(served.url) as plain,
        trusting(folder).wrap_socket(plain, server_hostname="localhost") as client,
        pytest.raises(ssl.SSLError, match=r"(?i)certificate.required"),
    ):
        client.recv(1)


@pytest.mark.parametrize(
    ("more", "served_versions"),
    [
        ("", {"TLSv1_2", "TLSv1_3"}),
        (", min_version: TLS13", {"TLSv1_3"}),
        (", max_version: TLS12", {"TLSv1_2"}),
        (", min_version: TLS11", {"TLSv1_1", "TLSv1_2", "TLSv1_3"}),
        (", min_version: TLS10, max_version: TLS11", {"TLSv1", "TLSv1_1"}),
        (", cipher_suites: [TLS_AES_128_GCM_SHA256]", {"TLSv1_3"}),
    ],
)
def test_versions_are_those_that_are_configured(
    folder: Folder, more: str, served_versions: set[str]
) -> None:
    with tls(folder, more) as served:
        for name in ("TLSv1", "TLSv1_1", "TLSv1_2", "TLSv1_3"):
            context = old(folder, ssl.TLSVersion[name])
            assert serves(served, context) == (name in served_versions), name


TWO_SUITES = (
    ", max_version: TLS12, cipher_suites: "
    "[TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]"
)


def test_suites_are_chosen_in_the_order_of_the_server_or_of_the_client(folder: Folder) -> None:
    small, large = "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"
    for more, chosen in (
        (TWO_SUITES, small),
        (f"{TWO_SUITES}, prefer_server_cipher_suites: false", large),
    ):
        with tls(folder, more) as served:
            context = trusting(folder)
            context.set_ciphers(f"{large}:{small}")
            with (
                connect(served.url) as plain,
                context.wrap_socket(plain, server_hostname="localhost") as client,
            ):
                assert (client.cipher() or ("",))[0] == chosen
            context.set_ciphers("ECDHE-ECDSA-CHACHA20-POLY1305")
            assert not serves(served, context)


def test_a_curve_that_the_client_has_not_is_no_handshake(folder: Folder) -> None:
    with tls(folder, ", min_version: TLS13, curve_preferences: [CurveP521]") as served:
        for curve, expected in (("secp521r1", True), ("secp384r1", False)):
            context = trusting(folder)
            context.set_ecdh_curve(curve)
            assert serves(served, context) == expected


def test_plain_http_gets_no_answer_where_there_is_tls(folder: Folder) -> None:
    with tls(folder) as served, connect(served.url) as plain:
        plain.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: it\r\n\r\n")
        assert b"200" not in received(plain)
        assert serves(served, trusting(folder))


def test_a_handshake_that_does_not_come_is_ended(folder: Folder) -> None:
    limits = ConnectionLimits(head=SOON, response=LATER, idle=LATER)
    with tls(folder, limits=limits) as served, connect(served.url) as quiet:
        assert received(quiet) == b""


def test_handshakes_count_among_the_connections(folder: Folder) -> None:
    limits = ConnectionLimits(head=LATER, response=LATER, idle=LATER, connections=4)
    with tls(folder, limits=limits) as served, silent(served.url, 4) as quiet:
        assert serves(served, trusting(folder))
        assert received(quiet[0]) == b""
        with suppress(ConnectionError):
            quiet[3].sendall(b"x")


def test_half_a_handshake_and_noise_leave_the_server_as_it_was(folder: Folder) -> None:
    with tls(folder, ", client_auth_type: RequireAnyClientCert") as served:
        for noise in (b"\x16\x03\x01", b"\x16\x03\x01\x00\x05hello", b"\x00" * 100):
            with connect(served.url) as plain:
                plain.sendall(noise)
                plain.shutdown(socket.SHUT_WR)
                received(plain)
        assert serves(served, trusting(folder, "stranger"))
