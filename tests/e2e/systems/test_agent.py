"""The shipped agent between the exporter and what receives its samples."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support.processes import running
from tests.support.prometheus import ROOT, Prometheus, find, free_address, prometheus, served

AGENT = ROOT / "deploy" / "prometheus" / "agent.yml"
SMALL = {"DEMO_ORGANIZATIONS": "2", "DEMO_USERS": "6", "DEMO_DAYS": "40"}
Receiving = Callable[[Path], AbstractContextManager[tuple[str, Prometheus]]]
AS_AN_AGENT = {False: "--enable-feature=agent", True: "--agent"}


def program(name: str, *, newer: bool) -> str:
    found = find(name, newer=newer)
    if found is None:
        pytest.skip(f"{name} is missing: `make test` brings it by apt")
    return found


@contextmanager
def receiving_prometheus(folder: Path) -> Iterator[tuple[str, Prometheus]]:
    binary, flags = program("prometheus", newer=True), ["--web.enable-remote-write-receiver"]
    with prometheus(binary, folder, "global: {}", flags=flags) as server:
        yield f"{server.url}/api/v1/write", server


@contextmanager
def receiving_victoria_metrics(folder: Path) -> Iterator[tuple[str, Prometheus]]:
    binary, address = program("victoria-metrics", newer=True), free_address()
    command = [
        binary, f"-storageDataPath={folder / 'data'}", f"-httpListenAddr={address}",
        "-memory.allowedBytes=256MB", "-search.latencyOffset=0s",
    ]  # fmt: skip
    with served(command, f"http://{address}/health", folder / "log"):
        server = Prometheus(f"http://{address}")
        with server.client:
            yield f"{server.url}/api/v1/write", server


@pytest.mark.parametrize("newer", [False, True], ids=["stable", "newer"])
@pytest.mark.parametrize("receiving", [receiving_prometheus, receiving_victoria_metrics])
def test_an_agent_sends_on_what_the_exporter_publishes_under_the_same_labels(
    receiving: Receiving, tmp_path: Path, *, newer: bool
) -> None:
    binary = program("prometheus", newer=newer)
    (tmp_path / "receiver").mkdir()
    with ExitStack() as stack:
        demo = stack.enter_context(running(tmp_path, "demo", **SMALL))
        demo.until("\ndevin_consumption_today_acus{")
        url, server = stack.enter_context(receiving(tmp_path / "receiver"))
        configuration = AGENT.read_text(encoding="utf-8")
        for shipped, here in (
            ("http://storage:9090/api/v1/write", url),
            ("exporter:9877", demo.url.removeprefix("http://").replace("localhost", "127.0.0.1")),
            ("scrape_interval: 15s", "scrape_interval: 1s"),
            ("scrape_timeout: 10s", "scrape_timeout: 1s"),
        ):
            assert shipped in configuration
            configuration = configuration.replace(shipped, here)
        (tmp_path / "agent.yml").write_text(configuration, encoding="utf-8")
        address = free_address()
        command = [
            binary, AS_AN_AGENT[newer], f"--config.file={tmp_path / 'agent.yml'}",
            f"--storage.agent.path={tmp_path / 'agent'}", f"--web.listen-address={address}",
        ]  # fmt: skip
        with served(command, f"http://{address}/-/ready", tmp_path / "agent.log"):
            server.until('sum by (product) (devin_consumption_today_acus{product="devin"})')
            found = server.instant("group by (job, instance) (devin_consumption_today_acus)")
    labels = {frozenset({("job", "devin-exporter"), ("instance", "devin-exporter")})}
    assert found.keys() == labels
