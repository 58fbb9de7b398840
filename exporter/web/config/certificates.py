"""TLS contexts of the server, from certificates as text."""

import re
import ssl
import warnings

from exporter.web.config.any_certificate import require_any_certificate
from exporter.web.config.document import TlsServerConfig, WebConfigError
from exporter.web.config.names import CIPHER_SUITES, CURVES, TLS_1_3_SUITES, VERSIONS
from exporter.web.config.pem import as_file

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?")


def server_context(
    tls: TlsServerConfig, *, certificate: str, key: str, authorities: str
) -> ssl.SSLContext:
    """A context as the configuration wants it.

    Args:
        certificate: PEM text of the certificate and its chain.
        key: PEM text of its key.
        authorities: PEM text of the authorities of clients; empty for those of the system.

    Raises:
        WebConfigError: naming the key that is wrong.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    _limit_versions(context, tls)
    _choose_ciphers(context, tls)
    _choose_curves(context, tls)
    _load_certificate(context, certificate, key)
    _ask_clients(context, tls, authorities)
    return context


def _limit_versions(context: ssl.SSLContext, tls: TlsServerConfig) -> None:
    with warnings.catch_warnings():
        # The old versions are deprecated. Whoever names one wants it.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = VERSIONS[tls.min_version or "TLS12"]
        context.maximum_version = VERSIONS[tls.max_version or "TLS13"]


def _choose_ciphers(context: ssl.SSLContext, tls: TlsServerConfig) -> None:
    if not tls.prefer_server_cipher_suites:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    older = [CIPHER_SUITES[name] for name in tls.cipher_suites if name not in TLS_1_3_SUITES]
    chosen = ":".join(older)
    if tls.cipher_suites and not older:
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    if VERSIONS[tls.min_version or "TLS12"] < ssl.TLSVersion.TLSv1_2:
        chosen = f"{chosen or 'DEFAULT'}:@SECLEVEL=0"  # OpenSSL refuses the old versions otherwise
    if chosen:
        try:
            context.set_ciphers(chosen)
        except ssl.SSLError:
            raise WebConfigError(
                ("tls_server_config.cipher_suites: this OpenSSL has none of them",)
            ) from None


def _choose_curves(context: ssl.SSLContext, tls: TlsServerConfig) -> None:
    curves = list(dict.fromkeys(tls.curve_preferences))
    if not curves or set(curves) == set(CURVES):
        return  # OpenSSL's own order
    if len(curves) > 1:
        raise WebConfigError(
            ("tls_server_config.curve_preferences: Python takes one curve, or all four",)
        )
    context.set_ecdh_curve(CURVES[curves[0]])


def _load_certificate(context: ssl.SSLContext, certificate: str, key: str) -> None:
    with as_file(certificate) as chain, as_file(key) as private:
        try:
            # Without a password, OpenSSL would ask for one on the terminal.
            context.load_cert_chain(chain, private, password="")
        except (ssl.SSLError, OSError, ValueError) as failure:
            reason = getattr(failure, "reason", None) or "no PEM, or an encrypted key"
            words = str(reason).lower().replace("_", " ")
            raise WebConfigError(
                (f"tls_server_config: certificate and key cannot be loaded: {words}",)
            ) from None


def _ask_clients(context: ssl.SSLContext, tls: TlsServerConfig, authorities: str) -> None:
    match tls.client_auth_type:
        case "VerifyClientCertIfGiven":
            context.verify_mode = ssl.CERT_OPTIONAL
        case "RequireAndVerifyClientCert":
            context.verify_mode = ssl.CERT_REQUIRED
        case "RequireAnyClientCert" | "RequireClientCert":
            require_any_certificate(context)
            return
        case _:
            # A certificate that is requested and not verified changes nothing, so none is.
            return
    if not authorities:
        context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
        return
    try:
        context.load_verify_locations(cadata="".join(_CERTIFICATE.findall(authorities)))
    except (ssl.SSLError, ValueError):
        raise WebConfigError(
            ("tls_server_config: the authorities of clients are no PEM certificates",)
        ) from None
