"""The whole exporter, started in the test's process, with and without a web configuration."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from exporter.app import NO_WEB_CONFIG, Exporter
from exporter.cli.catalogue import SECTIONS
from exporter.config.settings import load
from exporter.demo.people import Size
from exporter.process import Timing
from exporter.sources.source import NoSourceError
from exporter.web.config.document import WebConfigError
from exporter.web.server import listen
from tests.exporter.web.config.clients import get, trusting
from tests.exporter.web.config.folder import PASSWORD, Folder, hash_of
from tests.support import loopback
from tests.support.limits import HANG_SECONDS
from tests.support.processes import BETWEEN_LOOKS
from tests.support.rig import KEY, Clock, Scrape, simulated_api

SIZE = Size(organizations=2, users=6, days=40)
LOCKED = (
    "tls_server_config: {{cert_file: server.crt, key_file: server.key}}\n"
    "basic_auth_users: {{{user}: {hash}}}\n"
)


@pytest.fixture(scope="module")
def api() -> Iterator[str]:
    with simulated_api(SIZE, Clock(time.time())) as (_, api):
        yield api.url


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder.at(tmp_path)


@contextmanager
def made(settings: dict[str, str]) -> Iterator[tuple[Exporter, int]]:
    """An exporter that has not started, and its port; it is closed at the end."""
    sockets = listen([("127.0.0.1", 0)])
    with pytest.MonkeyPatch.context() as environment, closing(sockets[0]):
        for variable, value in settings.items():
            environment.setenv(variable, value)
        exporter = Exporter(load(SECTIONS, {}), sockets, Timing())
        try:
            yield exporter, sockets[0].getsockname()[1]
        finally:
            exporter.stop()
            for thread in threading.enumerate():
                if thread.name.startswith(("ThreadPoolExecutor", "sweep")):
                    thread.join(HANG_SECONDS)
            exporter.close()


def settings(api: str, **more: str) -> dict[str, str]:
    return {
        "DEVIN_API_URL": api,
        "DEVIN_SERVICE_USER_TOKEN": KEY,
        "DEVIN_REQUESTS_PER_SECOND": "10000",
        **more,
    }


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + HANG_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        BETWEEN_LOOKS.wait(0.05)


def test_everybody_is_requested_once_and_then_the_first_round_is_over(api: str) -> None:
    with made(settings(api)) as (exporter, port):
        assert exporter.reload is None
        assert exporter.web_config() is NO_WEB_CONFIG
        assert exporter.first_round() == (0, 0)
        exporter.start()
        until(lambda: exporter.first_round()[1] > 0)
        until(lambda: exporter.first_round()[0] == exporter.first_round()[1])
        assert exporter.first_round()[1] >= SIZE.users + SIZE.organizations
        page = Scrape.of(loopback.get(f"http://127.0.0.1:{port}/metrics").text)
        assert page.family("devin_exporter_build_info")
        assert page.family("devin_user_info")


def test_it_is_served_in_tls_to_its_users_who_change_while_it_runs(
    api: str, folder: Folder
) -> None:
    path = folder.write(LOCKED.format(user="alice", hash=hash_of()))
    with made(settings(api, WEB_CONFIG_FILE=str(path))) as (exporter, port):
        exporter.start()
        url, trust = f"https://localhost:{port}", trusting(folder)

        def statuses() -> list[int]:
            return [get(url, trust, auth=(user, PASSWORD)).status_code for user in ("alice", "bob")]

        assert get(url, trust).status_code == 401
        assert statuses() == [200, 401]
        folder.write("basic_auth_users: {bob: no hash}")
        assert exporter.reload is not None
        exporter.reload()
        assert set(exporter.web_config().users) == {"alice"}
        assert statuses() == [200, 401]
        folder.write(LOCKED.format(user="bob", hash=hash_of()))
        exporter.reload()
        assert statuses() == [401, 200]


def test_it_is_not_made_with_a_broken_web_configuration_or_without_a_source(
    api: str, folder: Folder
) -> None:
    path = folder.write("tls: {}")
    with (
        pytest.raises(WebConfigError, match=r"web\.yml: tls: is no key of this file"),
        made(settings(api, WEB_CONFIG_FILE=str(path))),
    ):
        pass
    with pytest.raises(NoSourceError, match="DEVIN_SERVICE_USER_TOKEN"), made({}):
        pass
