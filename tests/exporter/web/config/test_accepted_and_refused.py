"""Which web configurations can be used: the cases of the exporter-toolkit, and ours."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from exporter.web.config.document import Document, WebConfigError, read_document
from exporter.web.config.loaded import WebConfig, loaded
from tests.exporter.web.config.folder import Folder, hash_of

PAIR = "cert_file: server.crt, key_file: server.key"
GIVEN = f"{PAIR}, client_auth_type: VerifyClientCertIfGiven"
REQUIRED = f"{PAIR}, client_auth_type: RequireAndVerifyClientCert"
GO_SUITES = (
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,"
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, TLS_AES_128_GCM_SHA256,"
    "TLS_CHACHA20_POLY1305_SHA256, TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"
)

ACCEPTED = {
    "an empty file": "",
    "sections without anything": "tls_server_config:\nbasic_auth_users:\nrate_limit:\n",
    "certificate and key": f"tls_server_config: {{{PAIR}}}",
    "a certificate of a client is verified if given": f"tls_server_config: {{{GIVEN}}}",
    "an authority of clients": f"tls_server_config: {{{REQUIRED}, client_ca_file: authority.pem}}",
    "no authority of clients: the system's": f"tls_server_config: {{{REQUIRED}}}",
    "any certificate": f"tls_server_config: {{{PAIR}, client_auth_type: RequireAnyClientCert}}",
    "its older name": f"tls_server_config: {{{PAIR}, client_auth_type: RequireClientCert}}",
    "a requested one": f"tls_server_config: {{{PAIR}, client_auth_type: RequestClientCert}}",
    "names of clients": (
        f"tls_server_config: {{{REQUIRED}, client_ca_file: authority.pem,"
        " client_allowed_sans: [one, two]}"
    ),
    "many suites": f"tls_server_config: {{{GIVEN}, cipher_suites: [{GO_SUITES}]}}",
    "suites of TLS 1.3 alone": (
        f"tls_server_config: {{{PAIR}, cipher_suites: [TLS_AES_128_GCM_SHA256]}}"
    ),
    "two suites, in the client's order": (
        f"tls_server_config: {{{GIVEN}, prefer_server_cipher_suites: false, max_version: TLS12,"
        " cipher_suites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,"
        " TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]}"
    ),
    "all curves": (
        f"tls_server_config: {{{GIVEN}, curve_preferences: "
        "[CurveP256, CurveP384, CurveP521, X25519]}"
    ),
    "one curve": (
        f"tls_server_config: {{{GIVEN}, min_version: TLS13, curve_preferences: [CurveP521]}}"
    ),
    "no HTTP/2": f"tls_server_config: {{{PAIR}}}\nhttp_server_config: {{http2: false}}",
    # The toolkit refuses this one, as its HTTP/2 needs another suite. There is no HTTP/2 here.
    "a suite that HTTP/2 does not want": (
        f"tls_server_config: {{{GIVEN}, max_version: TLS12,"
        " cipher_suites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384]}"
    ),
    "users with TLS": f"tls_server_config: {{{PAIR}}}\nbasic_auth_users: {{a: {hash_of()}}}",
    "users without TLS": f"basic_auth_users: {{alice: {hash_of()}, 12: {hash_of()}}}",
    "every header": (
        "http_server_config: {headers: {X-Frame-Options: deny, X-XSS-Protection: 1,"
        " X-Content-Type-Options: nosniff, Strict-Transport-Security: max-age=31536000,"
        " Content-Security-Policy: \"default-src 'self' *.example.net\"}}"
    ),
    "a blank header": "http_server_config: {headers: {X-Frame-Options: ''}}",
    "no rate limit": "rate_limit: {interval: 0, burst: 0}",
    "a rate limit": "rate_limit: {interval: 1s, burst: 0}",
    "a longer rate limit": 'rate_limit: {interval: "1m30.5s", burst: 20}',
}

REFUSED: dict[str, tuple[str, str]] = {
    "words": ("hWkNKCp3\nTuEjdwNS", "wants to be a mapping"),
    "no YAML": ("tls_server_config: {", "is no YAML"),
    "nested too deeply": ("[" * 5_000, "is no YAML"),
    "a list": ("[1]", "wants to be a mapping"),
    "an unknown key": (
        "tls_server_config: {cert_filse: server.crt}",
        "tls_server_config.cert_filse: is no key of this file; is cert_file meant?",
    ),
    "an unknown section": ("tls: {}", "tls: is no key of this file"),
    "a key twice": ("rate_limit: {}\nrate_limit: {}", "'rate_limit' stands twice"),
    "no certificate": ("tls_server_config: {key_file: server.key}", "lacks one of cert or"),
    "an empty name of a certificate": (
        "tls_server_config: {cert_file: '', key_file: server.key}",
        "lacks one of cert or cert_file",
    ),
    "an empty certificate": (
        "tls_server_config: {cert: '', key_file: server.key}",
        "lacks one of cert or cert_file",
    ),
    "no key": ("tls_server_config: {cert_file: server.crt}", "lacks one of key or key_file"),
    "an empty key": ("tls_server_config: {cert_file: server.crt, key: ''}", "lacks one of key"),
    "a version alone": ("tls_server_config: {min_version: TLS13}", "lacks one of cert"),
    "no such certificate": (
        "tls_server_config: {cert_file: somefile, key_file: server.key}",
        "tls_server_config.cert_file: {folder}/somefile: No such file or directory",
    ),
    "no such key": (
        "tls_server_config: {cert_file: server.crt, key_file: somefile}",
        "key_file: {folder}/somefile: No such file",
    ),
    "a folder for a key": (
        "tls_server_config: {cert_file: server.crt, key_file: .}",
        "is a directory",
    ),
    "another's key": (
        "tls_server_config: {cert_file: server.crt, key_file: client.pem}",
        "certificate and key cannot be loaded: key values mismatch",
    ),
    "what is no key": (
        "tls_server_config: {cert_file: server.crt, key_file: authority.pem}",
        "certificate and key cannot be loaded",
    ),
    "an unknown type": (
        f"tls_server_config: {{{PAIR}, client_auth_type: x}}",
        "tls_server_config.client_auth_type: is no client_auth_type; there are: NoClientCert,",
    ),
    "an authority without a type": (
        f"tls_server_config: {{{PAIR}, client_ca_file: authority.pem}}",
        "has authorities for clients, but no client_auth_type",
    ),
    "no such authority": (
        f"tls_server_config: {{{REQUIRED}, client_ca_file: somefile}}",
        "client_ca_file: {folder}/somefile: No such file",
    ),
    "what is no authority": (
        f"tls_server_config: {{{REQUIRED}, client_ca_file: server.key}}",
        "the authorities of clients are no PEM certificates",
    ),
    "names without a certificate": (
        f"tls_server_config: {{{PAIR}, client_allowed_sans: [one]}}",
        "client_allowed_sans wants a client_auth_type",
    ),
    "no name at all": (
        f"tls_server_config: {{{REQUIRED}, client_allowed_sans: []}}",
        "client_allowed_sans is empty",
    ),
    "an invented suite": (
        f"tls_server_config: {{{GIVEN}, cipher_suites: [TLS_RSA_WITH_SHA2048]}}",
        "tls_server_config.cipher_suites.0: is no known cipher suite",
    ),
    "an invented curve": (
        f"tls_server_config: {{{GIVEN}, curve_preferences: [CurveP257]}}",
        "tls_server_config.curve_preferences.0: is no known curve",
    ),
    "two curves of four": (
        f"tls_server_config: {{{GIVEN}, curve_preferences: [CurveP256, X25519]}}",
        "Python takes one curve, or all four",
    ),
    "an invented version": (
        f"tls_server_config: {{{GIVEN}, min_version: TLS111}}",
        "tls_server_config.min_version: is no version of TLS; there are: TLS10,",
    ),
    "versions the wrong way round": (
        f"tls_server_config: {{{PAIR}, min_version: TLS13, max_version: TLS12}}",
        "min_version is above max_version",
    ),
    "a password in plain": (
        f"tls_server_config: {{{PAIR}}}\nbasic_auth_users: {{john: doe}}",
        "basic_auth_users.john: wants a bcrypt hash",
    ),
    "another header": (
        "http_server_config: {headers: {Content-Type: foo}}",
        "headers.Content-Type cannot be set",
    ),
    "another value of X-Content-Type-Options": (
        "http_server_config: {headers: {X-Content-Type-Options: sniff}}",
        "headers.X-Content-Type-Options takes: nosniff",
    ),
    "another value of X-Frame-Options": (
        "http_server_config: {headers: {X-Frame-Options: foo}}",
        "headers.X-Frame-Options takes: deny, sameorigin",
    ),
    "a header of two lines": (
        'http_server_config: {headers: {Content-Security-Policy: "a\\nb: c"}}',
        "wants one line",
    ),
    "a number without a unit": ("rate_limit: {interval: 1, burst: 1}", "wants a duration"),
    "a negative burst": ("rate_limit: {interval: 1s, burst: -1}", "rate_limit.burst"),
    "no truth": ("http_server_config: {http2: maybe}", "http_server_config.http2"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder.at(tmp_path_factory.mktemp("web"))


def read(path: Path) -> WebConfig:
    return loaded(read_document(path), path.parent)


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_the_toolkit_accepts_is_accepted(folder: Folder, name: str) -> None:
    config = read(folder.write(ACCEPTED[name]))
    assert (config.context is not None) == ("cert_file" in ACCEPTED[name])


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_wrong_is_refused_by_name(folder: Folder, name: str) -> None:
    text, message = REFUSED[name]
    with pytest.raises(WebConfigError) as refused:
        read(folder.write(text))
    assert message.replace("{folder}", str(folder.path)) in str(refused.value)


def test_every_fault_is_reported_at_once(folder: Folder) -> None:
    path = folder.write("rate_limit: {burst: x}\nbasic_auth_users: {john: doe}\nother: 1")
    with pytest.raises(WebConfigError) as refused:
        read(path)
    assert places(refused.value.lines) == ["basic_auth_users.john", "rate_limit.burst", "other"]


def places(lines: Sequence[str]) -> list[str]:
    return [line.partition(":")[0] for line in lines]


def test_certificate_key_and_authority_may_stand_in_the_file_itself(folder: Folder) -> None:
    config = read(
        folder.write(
            f'tls_server_config:\n  cert: "{folder.text("server.crt")}"\n'
            f'  key: "{folder.text("server.key")}"\n'
            f'  client_ca: "{folder.text("authority.pem")}"\n'
            "  client_auth_type: RequireAndVerifyClientCert\n"
        )
    )
    assert config.context is not None


def test_a_file_that_is_missing_too_large_or_no_text_is_refused(folder: Folder) -> None:
    for content, message in ((b"#" * 2_000_000, "has more than"), (b"\xff\xfe", "utf-8")):
        path = folder.path / "odd.yml"
        path.write_bytes(content)
        with pytest.raises(WebConfigError, match=message):
            read(path)
    with pytest.raises(WebConfigError, match="cannot be read: No such file"):
        read(folder.path / "nothing.yml")


def test_no_secret_is_in_an_error_or_a_representation(folder: Folder) -> None:
    secret = "-----BEGIN PRIVATE KEY-----secret"
    text = f"tls_server_config: {{cert: {secret}, key: {secret}, min_version: {secret}}}"
    with pytest.raises(WebConfigError) as refused:
        read(folder.write(f"{text}\nbasic_auth_users: {{john: secret}}"))
    assert "secret" not in str(refused.value)
    written = Document.model_validate({"basic_auth_users": {"john": hash_of()}})
    assert hash_of() not in repr(written)
    assert hash_of() not in repr(WebConfig(users={"john": hash_of()}))


def test_http_2_is_said_not_to_be_supported(folder: Folder) -> None:
    config = read(folder.write("http_server_config: {http2: true}"))
    assert config.notes == ("HTTP/2 is not supported; HTTP/1.1 is served",)
    assert read(folder.write("")).notes == ()
