"""`RequireAnyClientCert`: a client must have a certificate, whoever signed it.

Python can require a certificate only together with its verification. It reports each message of a
handshake before it verifies it, though. So the certificate that a client sends is trusted as it
comes: what remains checked is that the client holds its key.
"""

import base64
import ssl

from exporter.web.config.pem import as_file

_CERTIFICATE_MESSAGE = 11
_HANDSHAKE = 22

# OpenSSL has these, and Python has no names for them.
_IGNORE_CRITICAL = 0x10
_NO_CHECK_TIME = 0x200000
_NO_RX_CERTIFICATE_COMPRESSION = 1 << 33
_ANY_USE = bytes.fromhex("300830060604551d2500")
"""The object identifier of any use (2.5.29.37.0), in the form that follows a certificate."""


def require_any_certificate(context: ssl.SSLContext) -> None:
    """Have a context require some certificate of a client.

    Args:
        context: of one connection, as it trusts what it has seen.
    """

    def trust(
        _: object, direction: str, version: int, kind: int, message: int, data: bytes
    ) -> None:
        if (direction, kind, message) == ("read", _HANDSHAKE, _CERTIFICATE_MESSAGE):
            certificate = first_certificate(data, version=version)
            if certificate:
                with as_file(_trusted_for_any_use(certificate)) as path:
                    context.load_verify_locations(path)

    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME | _IGNORE_CRITICAL)
    # From OpenSSL 3.2 on, a compressed certificate comes in another message, which is not read.
    context.options |= ssl.Options(_NO_RX_CERTIFICATE_COMPRESSION)
    context._msg_callback = trust  # type: ignore[attr-defined]  # noqa: SLF001


def first_certificate(message: bytes, *, version: int) -> bytes:
    """The DER bytes of the first certificate of a handshake's message; empty if it has none."""
    body = message[4:]
    if body and version >= ssl.TLSVersion.TLSv1_3:
        body = body[1 + body[0] :]  # the context of the request
    size = int.from_bytes(body[3:6], "big")
    return body[6 : 6 + size]


def _trusted_for_any_use(certificate: bytes) -> str:
    """A certificate as PEM text; OpenSSL does not ask one in this form what it may be used for."""
    text = base64.encodebytes(certificate + _ANY_USE).decode()
    return f"-----BEGIN TRUSTED CERTIFICATE-----\n{text}-----END TRUSTED CERTIFICATE-----\n"
