"""The one list of endpoints: what is requested is in it, and what is in it is nowhere forgotten."""

import importlib
import os
import pkgutil
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from exporter import sources
from exporter.client.endpoint import Endpoint, Request
from exporter.client.request_metrics import REQUESTS, RequestMetrics
from exporter.demo.api import DemoApi
from exporter.demo.endpoints import DemoKey
from exporter.demo.people import Size
from exporter.demo.world import World
from exporter.errors import StoppedError
from exporter.process import Timing
from exporter.sources import SOURCES, devin
from exporter.sources.devin import identity, keys
from exporter.sources.devin.operations import session_bills
from exporter.sources.source import OpenSource, Shared, open_sources
from tests.support.rig import (
    KEY,
    Clock,
    Rig,
    SkippedWaits,
    at,
    raw_server,
    rig,
    settings_at,
    simulated_api,
)

ROOT = Path(__file__).parents[3]
NOW = at("2026-03-20 15:30:00")
SIZE = Size(organizations=2, users=8, days=60)
ORG_KEY = "cog_of_the_first_organization"
FORBIDDEN = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
PATH = "/v3/enterprise/made-up"


def endpoints_in(value: object) -> Iterator[Endpoint[object]]:
    """A value if it is an endpoint, and those that it holds if it is a tuple."""
    if isinstance(value, Endpoint):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from endpoints_in(item)


def test_every_endpoint_that_a_module_of_a_source_defines_is_listed() -> None:
    listed = {endpoint for source in SOURCES for endpoint in source.endpoints}
    for found in pkgutil.walk_packages(sources.__path__, f"{sources.__name__}."):
        module = importlib.import_module(found.name)
        for name, value in vars(module).items():
            assert listed.issuperset(endpoints_in(value)), f"{found.name}.{name}"


@contextmanager
def polled_with(key: str) -> Iterator[tuple[DemoApi, Rig]]:
    """Every task polled once, with an enterprise's key or an organization's."""
    clock = Clock(NOW)
    org_id, _ = World(SIZE, start=NOW).organizations[0]
    opens = {KEY: DemoKey(), ORG_KEY: DemoKey(org_id=org_id)}
    with (
        simulated_api(SIZE, clock, keys=opens) as (_, api),
        rig(api.url, clock, service_user_token=key, sweep_interval="1") as polled,
    ):
        polled.poll()
        clock.now += 60
        yield api, polled


@pytest.mark.parametrize(("key", "kind"), [(KEY, keys.ENTERPRISE), (ORG_KEY, keys.ORGANIZATION)])
def test_polls_request_every_listed_endpoint_that_is_for_the_key_and_no_other(
    key: str, kind: str
) -> None:
    with polled_with(key) as (_, polled):
        requested = {dict(labels)["path"] for labels in polled.own().family(REQUESTS.name)}
    listed = {each.path for each in devin.SOURCE.endpoints if each.is_for(kind)}
    # Requested only where the newer one is not there.
    older = {identity.OLDER_ENDPOINT.path, session_bills.OLDER_ENDPOINT.path}
    assert requested - older == listed - older


@pytest.mark.parametrize("key", [KEY, ORG_KEY])
def test_the_estimate_of_a_check_is_what_an_hour_of_polls_sends_with_either_kind_of_key(
    key: str,
) -> None:
    with polled_with(key) as (api, polled):
        estimate = cost("\n".join(devin.SOURCE.check(polled.opened[0]).lines))
        sent = 0.0
        for task in polled.tasks:
            before = api.traffic.total()
            polled.scheduler.poll(task)
            sent += (api.traffic.total() - before) * 3_600 / task.interval
    assert estimate == pytest.approx(sent, abs=1)


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python on the source in a folder."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def cost(report: str) -> int:
    """The requests an hour that a check estimates."""
    return int(report.partition("up to ")[2].split()[0])


def test_an_endpoint_that_is_added_is_checked_documented_and_missed_by_the_tests(
    tmp_path: Path,
) -> None:
    for name in ("exporter", "tests", "deploy"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    folder = tmp_path / "exporter" / "sources" / "devin"
    made_up = (folder / "operations" / "queue.py").read_text(encoding="utf-8")
    for old, new in (
        ("/v3/enterprise/queue", PATH),
        ("devin_queue_", "devin_made_up_"),
        ('name="queue"', 'name="made_up"'),
        ("keys.VIEW_METRICS", '"ViewMadeUp"'),
        ("queue_size: Count", "made_up_size: Count"),
        ("queue.queue_size", "queue.made_up_size"),
    ):
        assert old in made_up
        made_up = made_up.replace(old, new)
    (folder / "operations" / "made_up.py").write_text(made_up, encoding="utf-8")
    listed = (folder / "__init__.py").read_text(encoding="utf-8")
    lines = re.sub(
        r"(?m)^.*\bqueue\b.*$",
        lambda line: f"{line[0]}\n{line[0].replace('queue', 'made_up')}",
        listed,
    )
    (folder / "__init__.py").write_text(lines, encoding="utf-8")

    with raw_server(FORBIDDEN) as url:
        settings = {"DEVIN_API_URL": url, "DEVIN_SERVICE_USER_TOKEN": KEY}
        before, after = (
            run(at_, "-m", "exporter", "check", **settings).stdout for at_ in (ROOT, tmp_path)
        )
    assert f"{PATH} answered 403; the key needs the permission ViewMadeUp" in after
    assert cost(after) > cost(before)

    code = "from exporter.cli.catalogue import documents\nprint(*documents().values())"
    pages = run(tmp_path, "-c", code).stdout
    assert re.search(rf"\| `{PATH}` \| .* \| ViewMadeUp \|", pages)
    assert "devin_made_up_size" in pages

    missed = run(
        tmp_path,
        *("-m", "pytest", "-q", "-p", "no:cacheprovider"),
        "tests/exporter/sources/test_fuzzed_responses.py",
        "tests/exporter/demo/test_demo_api.py",
        *("-k", "has_a_recorded_answer or that_is_requested"),
    )
    assert missed.returncode == 1
    assert "2 failed" in missed.stdout
    assert missed.stdout.count(PATH) >= 2


class OwnError(Exception):
    """What goes wrong in this test."""


def test_clients_are_closed_even_after_an_error() -> None:
    settings = settings_at(SOURCES, "http://127.0.0.1:9", {each.name: KEY for each in SOURCES})
    shared = Shared(RequestMetrics(CollectorRegistry()), SkippedWaits(), Timing())
    kept: list[OpenSource] = []
    with suppress(OwnError), open_sources(SOURCES, settings, shared) as opened:
        kept += opened
        raise OwnError
    assert [each.source for each in kept] == list(SOURCES)
    for each in kept:
        with pytest.raises(StoppedError):
            each.client.get(Request(endpoint=each.source.endpoints[0]))
