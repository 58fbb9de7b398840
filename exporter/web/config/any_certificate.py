"""`RequireAnyClientCert`: a client must have a certificate, whoever signed it.

Python can require a certificate only together with its verification. It reports each message of a
handshake before it verifies it, though. So the certificate that a client sends is trusted as it
comes: what remains checked is that the client holds its key.
"""

import ssl

_CERTIFICATE_MESSAGE = 11
_HANDSHAKE = 22
_NO_CHECK_TIME = 0x200000
"""OpenSSL's flag X509_V_FLAG_NO_CHECK_TIME, which Python does not name."""


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
                context.load_verify_locations(cadata=certificate)

    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VerifyFlags(_NO_CHECK_TIME)
    context._msg_callback = trust  # type: ignore[attr-defined]  # noqa: SLF001


def first_certificate(message: bytes, *, version: int) -> bytes:
    """The DER bytes of the first certificate of a handshake's message; empty if it has none."""
    body = message[4:]
    if body and version >= ssl.TLSVersion.TLSv1_3:
        body = body[1 + body[0] :]  # the context of the request
    size = int.from_bytes(body[3:6], "big")
    return body[6 : 6 + size]
