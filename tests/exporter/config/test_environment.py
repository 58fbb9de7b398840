"""The environment of a real container: variables of others, and what stands around values."""

import os
from pathlib import Path

import pytest

from exporter.config.kubernetes import describes_a_service
from exporter.config.settings import load
from exporter.demo.settings import DemoSettings
from tests.exporter.commands import finished
from tests.failures.rows import Row
from tests.support.processes import running

KEY = "cog_the_key_of_the_tests"
V4 = {
    "SERVICE_HOST": "10.96.0.7",
    "SERVICE_PORT": "80",
    "SERVICE_PORT_HTTP": "80",
    "PORT": "tcp://10.96.0.7:80",
    "PORT_80_TCP": "tcp://10.96.0.7:80",
    "PORT_80_TCP_PROTO": "tcp",
    "PORT_80_TCP_PORT": "80",
    "PORT_80_TCP_ADDR": "10.96.0.7",
}
V6 = {**V4, "SERVICE_HOST": "fd00::7", "PORT": "udp://[fd00::7]:80"}
SERVICES = ("DEMO_API", "DEVIN", "DEVIN_EXPORTER", "LOG", "WEB", "AIONE", "DEMO")


def variables(services: tuple[str, ...], form: dict[str, str]) -> dict[str, str]:
    return {f"{name}_{suffix}": value for name in services for suffix, value in form.items()}


def test_it_starts_among_the_variables_of_others_and_warns_of_none(tmp_path: Path) -> None:
    folder = tmp_path / "missing"
    others = {
        **variables(SERVICES, V4),
        "NO_PROXY": "localhost,fd00::/8,[::1],10.0.0.0/8,.svc,.cluster.local",
        "HTTPS_PROXY": "http://127.0.0.1:1",
        "PROMETHEUS_MULTIPROC_DIR": str(folder),
        "WEB_CONCURRENCY": "auto",
        "FORWARDED_ALLOW_IPS": "nobody",
        "LOG_LEVEL": "WARN",
        "DEVIN_API_URL": "https://api.example.com",
        "DEVIN_SERVICE_USER_TOKEN": KEY,
    }
    with running(tmp_path, **others) as exporter:
        assert exporter.get("/-/healthy").status_code == 200
        assert exporter.end() == 0
        log = exporter.log.read_text()
    assert "is no setting" not in log
    assert "NO_PROXY" not in log
    assert not folder.exists()


def test_the_demo_starts_beside_a_service_of_its_name(tmp_path: Path) -> None:
    others = variables(("DEMO_API",), V6)
    with running(tmp_path, "demo", DEMO_USERS="5", DEMO_DAYS="10", **others) as demo:
        assert demo.end() == 0


def test_unreadable_exceptions_of_proxies_are_a_warning(tmp_path: Path) -> None:
    given = {
        "NO_PROXY": "localhost,fd00::/999,api.example.com",
        "DEVIN_API_URL": "https://api.example.com",
        "DEVIN_SERVICE_USER_TOKEN": KEY,
    }
    with running(tmp_path, **given) as exporter:
        assert exporter.end() == 0
        log = exporter.log.read_text()
    assert "NO_PROXY: entry 2 is no host, address or network and is ignored" in log


def test_variables_that_describe_services_are_known_by_name_and_value() -> None:
    for form in (V4, V6):
        for variable, value in variables(SERVICES, form).items():
            assert describes_a_service(variable, value), variable
    assert not describes_a_service("DEMO_API_PORT", "8080")
    assert not describes_a_service("DEVIN_SERVICE_HOST", "api.example.com")
    assert not describes_a_service("DEVIN_API_URL", "tcp://10.96.0.7:80")


def test_a_port_of_the_demo_that_is_a_number_is_still_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DEMO_API_PORT", "8123")
    assert load((DemoSettings,), {})[DemoSettings].api_port == 8123


def test_only_the_demo_reads_the_demos_settings(tmp_path: Path) -> None:
    given = {"DEVIN_API_URL": "http://127.0.0.1:1", "DEVIN_SERVICE_USER_TOKEN": KEY}
    with running(tmp_path, **given, DEMO_USERS="many") as exporter:
        assert exporter.end() == 0
    ended = finished("--demo.users=5", **given)
    assert (ended.returncode, ended.stderr) == (
        2,
        "devin-exporter: --demo.users is a flag of demo\n",
    )


def test_the_authorities_that_the_environment_names_are_missing(tmp_path: Path, row: Row) -> None:
    ended = finished(
        DEVIN_SERVICE_USER_TOKEN=KEY,
        DEVIN_API_URL="https://api.example.com",
        SSL_CERT_FILE=str(tmp_path / "missing"),
    )
    assert ended.returncode == 2
    assert row.log in ended.stderr
    assert ended.stdout == ""


@pytest.fixture
def not_certificates(tmp_path: Path) -> dict[str, str]:
    """Names of things that hold no certificates and cannot be written."""
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    return {name: str(tmp_path / name) for name in ("missing", "empty", "pipe", "missing/file")} | {
        "folder": str(tmp_path)
    }


@pytest.mark.parametrize(
    ("variable", "what", "complaint"),
    [
        ("SSL_CERT_FILE", "missing", "certificates: No such file or directory"),
        ("SSL_CERT_FILE", "empty", "wants a readable PEM file of certificates"),
        ("SSL_CERT_FILE", "pipe", "is a pipe; it wants to be a regular file"),
        ("SSL_CERT_FILE", "folder", "is a directory; it wants to be a regular file"),
        ("SSL_CERT_DIR", "missing", "wants a folder of certificates"),
        ("SSLKEYLOGFILE", "missing/file", "cannot be written: No such file or directory"),
        ("SSLKEYLOGFILE", "folder", "cannot be written: Is a directory"),
        ("SSLKEYLOGFILE", "pipe", "is a pipe; it wants to be a regular file"),
        ("HTTPS_PROXY", "empty", "wants http://host:port or https://host:port"),
        ("DEVIN_SERVICE_USER_TOKEN_FILE", "pipe", "is a pipe; it wants to be a regular file"),
        ("DEVIN_CA_FILE", "pipe", "is a pipe; it wants to be a regular file"),
    ],
)
def test_what_cannot_be_used_is_one_line_that_names_the_variable(
    not_certificates: dict[str, str], variable: str, what: str, complaint: str
) -> None:
    key = {} if variable.endswith("_TOKEN_FILE") else {"DEVIN_SERVICE_USER_TOKEN": KEY}
    for command in ("serve", "check"):
        given = {
            "DEVIN_API_URL": "https://127.0.0.2.example.com",
            "SSL_CERT_FILE": "",
            variable: not_certificates[what],
            **key,
        }
        ended = finished(command, **given)
        (line,) = ended.stderr.splitlines()
        assert line.startswith(f"devin-exporter: {variable}: ")
        assert complaint in line
        assert ended.returncode == 2
        assert ended.stdout == ""


def test_an_unusable_key_log_is_told_beside_an_authority_of_ones_own_too(
    not_certificates: dict[str, str],
) -> None:
    given = {
        "DEVIN_SERVICE_USER_TOKEN": KEY,
        "DEVIN_CA_FILE": "/etc/ssl/certs/ca-certificates.crt",
        "SSLKEYLOGFILE": not_certificates["folder"],
    }
    if not Path(given["DEVIN_CA_FILE"]).exists():
        pytest.skip("this system keeps its certificates elsewhere")
    ended = finished(**given)
    assert ended.stderr == "devin-exporter: SSLKEYLOGFILE: cannot be written: Is a directory\n"
