"""The names of the exporter-toolkit's format, which are Go's, and what OpenSSL calls them."""

from ssl import TLSVersion
from types import MappingProxyType

VERSIONS = MappingProxyType(
    {
        "TLS10": TLSVersion.TLSv1,
        "TLS11": TLSVersion.TLSv1_1,
        "TLS12": TLSVersion.TLSv1_2,
        "TLS13": TLSVersion.TLSv1_3,
    }
)

TLS_1_3_SUITES = frozenset(
    {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}
)
"""OpenSSL always offers all of these with TLS 1.3, as Go does."""

CIPHER_SUITES = MappingProxyType(
    {
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
        "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
        "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
        "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
        "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    }
)
"""The suites of TLS 1.0 to 1.2."""

CURVES = MappingProxyType(
    {
        "CurveP256": "prime256v1",
        "CurveP384": "secp384r1",
        "CurveP521": "secp521r1",
        "X25519": "X25519",
    }
)

CLIENT_AUTH_TYPES = (
    "NoClientCert",
    "RequestClientCert",
    "RequireAnyClientCert",
    "RequireClientCert",  # the older name of RequireAnyClientCert
    "VerifyClientCertIfGiven",
    "RequireAndVerifyClientCert",
)

HEADERS: MappingProxyType[str, frozenset[str]] = MappingProxyType(
    {
        "Strict-Transport-Security": frozenset(),
        "X-Content-Type-Options": frozenset({"nosniff"}),
        "X-Frame-Options": frozenset({"deny", "sameorigin"}),
        "X-XSS-Protection": frozenset(),
        "Content-Security-Policy": frozenset(),
    }
)
"""The headers that can be set, and the values that they take; none means any value."""
