"""Which certificates are any certificate: all whose key the client holds."""

import base64
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from tests.exporter.web.config.clients import trusting
from tests.exporter.web.config.folder import Folder
from tests.exporter.web.config.test_tls import serves, tls

ANY = ", client_auth_type: RequireAnyClientCert"
DAY = timedelta(days=1)
USES = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment")
MORE_USES = ("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")

both_versions = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder.at(tmp_path_factory.mktemp("web"))


def only_use(name: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{use: use == name for use in (*USES, *MORE_USES)})


def certificate(
    key: ec.EllipticCurvePrivateKey,
    *extensions: tuple[x509.ExtensionType, bool],
    begins: timedelta = -DAY,
) -> x509.Certificate:
    """A certificate that is signed with its own key and valid for two days.

    Args:
        extensions: each with whether it is critical.
        begins: from now on.
    """
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "client")])
    start = datetime.now(UTC) + begins
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(start).not_valid_after(start + 2 * DAY)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(key, hashes.SHA256())


def as_der(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def write(path: Path, key: bytes, shown: x509.Certificate) -> None:
    text = base64.encodebytes(key) + b"-----END EC PRIVATE KEY-----\n"
    begin = b"-----BEGIN EC PRIVATE KEY-----\n"
    path.write_bytes(begin + text + shown.public_bytes(Encoding.PEM))


AUTHORITY = (x509.BasicConstraints(ca=True, path_length=None), True)
UNUSUAL: dict[str, tuple[tuple[x509.ExtensionType, bool], ...]] = {
    "for servers": ((x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),),
    "of an authority": (AUTHORITY, (only_use("key_cert_sign"), True)),
    "for encryption": ((only_use("key_encipherment"), True),),
    "with an unknown condition": (
        (x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.55555.1"), b"\x05\x00"), True),
    ),
}


@both_versions
@pytest.mark.parametrize("what", UNUSUAL)
def test_a_certificate_may_be_for_any_use(
    folder: Folder, what: str, version: ssl.TLSVersion
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    write(folder.path / "unusual.pem", as_der(key), certificate(key, *UNUSUAL[what]))
    with tls(folder, ANY) as served:
        context = trusting(folder, "unusual")
        context.maximum_version = version
        assert serves(served, context)


@both_versions
@pytest.mark.parametrize("begins", [-3 * DAY, DAY])
def test_a_certificate_may_have_expired_or_begin_later(
    folder: Folder, begins: timedelta, version: ssl.TLSVersion
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    write(folder.path / "other_day.pem", as_der(key), certificate(key, begins=begins))
    with tls(folder, ANY) as served:
        context = trusting(folder, "other_day")
        context.maximum_version = version
        assert serves(served, context)


@both_versions
def test_a_client_without_the_key_of_its_certificate_is_refused(
    folder: Folder, version: ssl.TLSVersion
) -> None:
    key, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    # OpenSSL compares a certificate with the public half of a key that its file has.
    mixed = as_der(other).replace(point(other), point(key))
    write(folder.path / "owner.pem", as_der(key), certificate(key))
    write(folder.path / "impostor.pem", mixed, certificate(key))
    with tls(folder, ANY) as served:
        for client, expected in (("impostor", False), ("owner", True)):
            context = trusting(folder, client)
            context.maximum_version = version
            assert serves(served, context) == expected, client
