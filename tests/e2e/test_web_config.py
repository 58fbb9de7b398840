"""A door that is locked: the exporter in TLS, for who has a certificate and a password."""

import json
import os
import shutil
import signal
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.exporter.commands import finished
from tests.exporter.web.config.clients import REFUSALS, trusting
from tests.exporter.web.config.folder import PASSWORD, Folder, hash_of
from tests.support import loopback
from tests.support.limits import HANG_SECONDS
from tests.support.processes import BETWEEN_LOOKS, EXPORTER, Running, running
from tests.support.prometheus import NEWER, find, free_address, prometheus, served

SMALL = {"DEMO_USERS": "5", "DEMO_ORGANIZATIONS": "1", "DEMO_DAYS": "5"}
LOCKED = (
    "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"
    "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: authority.pem\n"
    "basic_auth_users:\n  prometheus: {hash}\n"
)
IN_USE = "devin_exporter_web_config_last_reload_successful"
CHANGES = 100


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "web").mkdir()
    made = Folder.at(tmp_path / "web")
    made.write(LOCKED.format(hash=hash_of()))
    return made


@contextmanager
def locked(folder: Folder, tmp_path: Path, **settings: str) -> Iterator[Running]:
    path = str(folder.path / "web.yml")
    with running(tmp_path, "demo", WEB_CONFIG_FILE=path, **SMALL, **settings) as demo:
        assert demo.url.startswith("https://localhost:")
        yield demo
        assert demo.end() == 0


def scraper(folder: Folder) -> httpx.Client:
    return scraper_with(trusting(folder, "client"))


def scraper_with(context: ssl.SSLContext) -> httpx.Client:
    return httpx.Client(
        verify=context,
        auth=("prometheus", PASSWORD),
        timeout=HANG_SECONDS,
        trust_env=False,
    )


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + HANG_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        BETWEEN_LOOKS.wait(0.05)


def run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, timeout=HANG_SECONDS, check=False
    )


def scrape_job(folder: Folder, address: str) -> str:
    place = folder.path
    client = place / "client.pem"
    return (
        "scrape_configs:\n"
        "  - job_name: devin-exporter\n    scrape_interval: 1s\n    scheme: https\n"
        f"    tls_config: {{ca_file: {place}/authority.pem, cert_file: {client},"
        f" key_file: {client}, server_name: localhost}}\n"
        f"    basic_auth: {{username: prometheus, password: {PASSWORD!r}}}\n"
        f"    static_configs: [{{targets: ['{address}']}}]\n"
    )


def test_curl_gets_in_with_a_certificate_and_a_password_alone(
    folder: Folder, tmp_path: Path
) -> None:
    curl = shutil.which("curl") or pytest.skip("there is no curl here")
    with locked(folder, tmp_path) as demo:
        told = [curl, "-sS", "--noproxy", "*", "--max-time", "60", f"{demo.url}/metrics"]
        trust = ["--cacert", str(folder.path / "authority.pem")]
        certificate = ["--cert", str(folder.path / "client.pem")]
        password = ["--user", f"prometheus:{PASSWORD}"]
        status = ["-o", os.devnull, "-w", "%{http_code} %{http_version}"]
        good = run([*told, *trust, *certificate, *password, "--compressed"])
        assert (good.returncode, "devin_exporter_build_info" in good.stdout) == (0, True)
        assert run([*told, *trust, *certificate, *password, *status]).stdout == "200 1.1"
        wrong = ["--user", "prometheus:wrong"]
        assert run([*told, *trust, *certificate, *wrong, *status]).stdout == "401 1.1"
        assert run([*told, *trust, *certificate, *status]).stdout == "401 1.1"
        stranger = ["--cert", str(folder.path / "stranger.pem")]
        for refused in ([], stranger, [*certificate, "--tls-max", "1.1"]):
            assert run([*told, *trust, *password, *refused]).returncode != 0


@pytest.mark.parametrize("newer", [False, True])
def test_a_prometheus_scrapes_it_and_promtool_likes_what_it_gets(
    folder: Folder, tmp_path: Path, *, newer: bool
) -> None:
    binary = find("prometheus", newer=newer) or pytest.skip("there is no such Prometheus here")
    promtool = find("promtool", newer=newer) or pytest.skip("there is no such promtool here")
    with locked(folder, tmp_path) as demo:
        with scraper(folder) as client:
            page = client.get(f"{demo.url}/metrics").text
        checked = subprocess.run(
            [promtool, "check", "metrics"], input=page, capture_output=True, text=True, check=False
        )
        assert (checked.returncode, checked.stderr) == (0, "")
        job = scrape_job(folder, demo.url.removeprefix("https://"))
        with prometheus(binary, tmp_path, job) as server:
            server.until('up{job="devin-exporter"} == 1')
            assert server.one(IN_USE) == 1


def test_vmagent_scrapes_it(folder: Folder, tmp_path: Path) -> None:
    vmagent = shutil.which("vmagent", path=str(NEWER)) or pytest.skip("there is no vmagent here")
    with locked(folder, tmp_path) as demo:
        (tmp_path / "vmagent.yml").write_text(scrape_job(folder, demo.url.removeprefix("https://")))
        address = free_address()
        command = [
            vmagent,
            f"-promscrape.config={tmp_path / 'vmagent.yml'}",
            f"-httpListenAddr={address}",
            f"-remoteWrite.url=http://{free_address()}/",
            f"-remoteWrite.tmpDataPath={tmp_path / 'vmagent'}",
        ]
        with served(command, f"http://{address}/health", tmp_path / "vmagent.log"):
            until(lambda: healths(f"http://{address}/api/v1/targets") == ["up"])


def healths(url: str) -> list[str]:
    targets = json.loads(loopback.get(url).text)["data"]["activeTargets"]
    return [target["health"] for target in targets]


@dataclass
class Scraping:
    """Scrapes one after the other, on connections of their own and on one that stays."""

    context: ssl.SSLContext
    url: str
    failed: list[str] = field(default_factory=list)
    done: int = 0

    def __post_init__(self) -> None:
        self.over = threading.Event()
        self.threads = [
            threading.Thread(target=self.stay, daemon=True),
            threading.Thread(target=self.come_and_go, daemon=True),
        ]

    def once(self, client: httpx.Client) -> None:
        """Scrape once."""
        try:
            answer = client.get(f"{self.url}/metrics")
        except REFUSALS as failure:
            self.failed.append(repr(failure))
        else:
            self.done += 1
            if answer.status_code != 200 or IN_USE not in answer.text:
                self.failed.append(f"{answer.status_code}")

    def stay(self) -> None:
        """Scrape on one connection."""
        with scraper_with(self.context) as client:
            while not self.over.is_set():
                self.once(client)

    def come_and_go(self) -> None:
        """Scrape on a new connection each time."""
        while not self.over.is_set():
            with scraper_with(self.context) as client:
                self.once(client)


def test_no_scrape_fails_while_certificate_users_and_authority_change(
    folder: Folder, tmp_path: Path
) -> None:
    with locked(folder, tmp_path) as demo:
        scraping = Scraping(trusting(folder, "client"), demo.url)
        for thread in scraping.threads:
            thread.start()
        for number in range(CHANGES):
            change(folder, number)
            before = scraping.done
            demo.process.send_signal(signal.SIGHUP)
            until(lambda: scraping.done > before or bool(scraping.failed))  # noqa: B023
        scraping.over.set()
        for thread in scraping.threads:
            thread.join(HANG_SECONDS)
        assert scraping.failed == []
        assert scraping.done >= CHANGES
        with scraper(folder) as client:
            until(lambda: f"\n{IN_USE} 1" in client.get(f"{demo.url}/metrics").text)
        assert demo.log.read_text().count("web.yml is in use") >= CHANGES / 2


def change(folder: Folder, number: int) -> None:
    """Change the certificate, the users, or the authorities of clients."""
    if number % 3 == 0:
        folder.renew()
    elif number % 3 == 1:
        # The same password with another hash, and a user who comes and goes.
        users = LOCKED.format(hash=hash_of(PASSWORD, cost=4 + number % 2))
        new = folder.path / "new.yml"
        new.write_text(f"{users}  user-{number}: {hash_of()}\n")
        new.rename(folder.path / "web.yml")
    else:
        authorities = [folder.authority, folder.strangers][: 1 + number % 2]
        new = folder.path / "new.pem"
        new.write_bytes(b"".join(each.cert_pem.bytes() for each in authorities))
        new.rename(folder.path / "authority.pem")


def test_a_broken_file_says_so_and_sighup_or_a_change_mends_it(
    folder: Folder, tmp_path: Path
) -> None:
    with locked(folder, tmp_path) as demo, scraper(folder) as client:

        def in_use() -> bool:
            return f"\n{IN_USE} 1" in client.get(f"{demo.url}/metrics").text

        assert in_use()
        folder.write("tls_server_config: {cert_filse: x}")
        until(lambda: not in_use())
        assert "cert_filse: is no key of this file; is cert_file meant?" in demo.log.read_text()
        folder.write(LOCKED.format(hash=hash_of()))
        until(in_use)
        before = demo.log.read_text().count("is in use")
        demo.process.send_signal(signal.SIGHUP)
        until(lambda: demo.log.read_text().count("is in use") > before)
        assert in_use()


def test_without_a_web_configuration_sighup_ends_the_exporter_in_order(tmp_path: Path) -> None:
    with running(tmp_path, "demo", **SMALL) as demo:
        demo.process.send_signal(signal.SIGHUP)
        assert demo.process.wait(HANG_SECONDS) == 0
        assert "stopping" in demo.log.read_text()


def test_under_nohup_sighup_changes_nothing(tmp_path: Path) -> None:
    ignoring = ["sh", "-c", 'trap "" HUP; exec "$0" "$@"']
    with running(tmp_path, "demo", command=[*ignoring, EXPORTER], **SMALL) as demo:
        demo.process.send_signal(signal.SIGHUP)
        assert demo.get("/-/healthy").status_code == 200
        assert demo.end() == 0


def test_check_web_config_says_what_a_file_is_or_what_is_wrong(folder: Folder) -> None:
    path = str(folder.path / "web.yml")
    good = finished("check-web-config", path)
    assert (good.returncode, good.stdout) == (0, f"{path}: can be used: TLS, 1 user\n")
    folder.write("tls_server_config: {cert_file: server.crt, key_file: nothing}")
    bad = finished("check-web-config", path)
    assert bad.returncode == 2
    assert bad.stderr == (
        f"devin-exporter: {path}: tls_server_config.key_file: {folder.path}/nothing: "
        "No such file or directory\n"
    )
    assert finished("check-web-config").returncode == 2
    assert "wants a file" in finished("check-web-config").stderr
    assert "more than one command" in finished("check", path).stderr


def test_a_broken_web_configuration_ends_the_start(folder: Folder) -> None:
    path = str(folder.write("tls: {}"))
    ended = finished("demo", WEB_CONFIG_FILE=path)
    assert (ended.returncode, ended.stderr) == (
        2,
        f"devin-exporter: {path}: tls: is no key of this file\n",
    )


def test_a_client_that_does_not_trust_the_authority_of_the_certificate_is_not_served(
    folder: Folder, tmp_path: Path
) -> None:
    with locked(folder, tmp_path) as demo, pytest.raises(httpx.ConnectError):
        httpx.get(demo.url, verify=ssl.create_default_context(), trust_env=False)
