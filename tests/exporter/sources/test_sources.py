"""The sources beside each other: each alone, all together, one that fails, one that is removed."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest
import respx

from exporter.demo import DEMO_KEYS
from exporter.demo.endpoints import GATEWAY, V2, V3, DemoKey
from exporter.demo.people import Size
from exporter.sources import SOURCES, aione
from exporter.sources.aione import billing, keys
from exporter.sources.source import Source
from tests.exporter.commands import finished
from tests.support.processes import running
from tests.support.rig import (
    Clock,
    Rig,
    Scrape,
    SkippedWaits,
    at,
    composed,
    settings_at,
    simulated_api,
)

Key = tuple[str, frozenset[tuple[str, str]]]

SIZE = Size(organizations=2, users=12, days=60)
NOW = at("2026-03-20 15:30:00")
ROOT = Path(__file__).parents[3]
KEYS = {
    **{key: DemoKey(api=api) for api, key in DEMO_KEYS.items()},
    "apk_user_of_nobody_special": DemoKey(api=V2, permissions=frozenset()),
}
TASKS_OF = {V2: "devin_v2_usage", GATEWAY: "aione_dashboard"}
OTHER_TASKS_OF = {GATEWAY: (billing.PLAN_TASK, billing.INVOICES_TASK, keys.TASK)}
PREFIX_OF = {V2: "devin_v2_", GATEWAY: "aione_"}


@pytest.fixture(scope="module")
def api() -> Iterator[str]:
    with simulated_api(SIZE, Clock(NOW), keys=KEYS) as (_, server):
        yield server.url


def turned_on(api: str, *sources: str) -> dict[str, str]:
    """The environment that turns these sources on."""
    variables = {
        V3: {"DEVIN_API_URL": api, "DEVIN_SERVICE_USER_TOKEN": DEMO_KEYS[V3]},
        V2: {"DEVIN_API_URL": api, "DEVIN_V2_API_KEY": DEMO_KEYS[V2]},
        GATEWAY: {"AIONE_API_URL": api, "AIONE_TOKEN": DEMO_KEYS[GATEWAY]},
    }
    return {name: value for source in sources for name, value in variables[source].items()}


@pytest.mark.parametrize("source", [V2, GATEWAY])
def test_a_source_alone_runs_and_nothing_of_the_others_shows(
    api: str, tmp_path: Path, source: str
) -> None:
    checked = finished("check", **turned_on(api, source))
    assert (checked.returncode, checked.stderr) == (0, "")
    assert " ok" in checked.stdout
    with running(tmp_path, **turned_on(api, source)) as exporter:
        page = Scrape.of(exporter.until(f'devin_exporter_task_up{{task="{TASKS_OF[source]}"}} 1'))
        assert exporter.get("/-/ready").status_code == 200
        assert exporter.end() == 0
        assert "warning" not in exporter.log.read_text()
    of_sources = {
        name
        for name in page.names()
        if not name.startswith(("devin_exporter_", "process_", PREFIX_OF[source]))
    }
    assert of_sources == set()
    assert any(name.startswith(PREFIX_OF[source]) for name in page.names())
    tasks = {dict(labels)["task"] for labels in page.family("devin_exporter_task_failures_total")}
    assert tasks == {TASKS_OF[source], *OTHER_TASKS_OF.get(source, ())}
    assert set(page.family("devin_exporter_task_failures_total").values()) == {0}
    asked = {dict(labels)["source"] for labels in page.family("devin_exporter_api_requests_total")}
    assert asked == {source}


def test_all_three_together_pass_the_check_and_show_their_families(
    api: str, tmp_path: Path
) -> None:
    settings = {**turned_on(api, V3, V2, GATEWAY), "DEVIN_REQUESTS_PER_SECOND": "1000"}
    checked = finished("check", **settings)
    assert (checked.returncode, checked.stderr) == (0, "")
    for endpoint in ("/v3/self", "/v2/enterprise/metrics/usage", "/api/v1/obs/dashboard"):
        assert endpoint in checked.stdout
    with running(tmp_path, **settings) as exporter:
        for shown in ("devin_consumption_cycle_acus{", "devin_v2_sessions_cycle ", "aione_cost_"):
            exporter.until(f"\n{shown}")
        exporter.until('devin_exporter_task_up{task="enterprise_consumption"} 1')
        assert exporter.get("/-/ready").status_code == 200


HTTPS_WANTED = (
    "AIONE_API_URL: wants https://host without user, query or fragment (http only for loopback)"
)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"AIONE_TOKEN": "t"}, "AIONE_API_URL: wants the gateway's URL, as its token is set"),
        (
            {"AIONE_API_URL": "https://gateway.test"},
            "AIONE_TOKEN: wants the gateway's token, as its URL is set",
        ),
        (
            {"AIONE_API_URL": "http://gateway.test", "AIONE_TOKEN": "t"},
            HTTPS_WANTED,
        ),
        (
            {"AIONE_TIMEZONE": "Beijing"},
            "AIONE_TIMEZONE: wants a time zone of the IANA database, like Asia/Shanghai",
        ),
        (
            {"AIONE_RANGE_DAYS": "0"},
            "AIONE_RANGE_DAYS: Input should be greater than or equal to 1",
        ),
        (
            {"AIONE_CA_FILE": "/nowhere"},
            "AIONE_CA_FILE: wants a readable PEM file of certificates: No such file or directory",
        ),
        (
            {"DEVIN_V2_API_KEY": "a", "DEVIN_V2_API_KEY_FILE": "/nowhere"},
            "DEVIN_V2_API_KEY, DEVIN_V2_API_KEY_FILE: set one of the two",
        ),
    ],
)
def test_a_bad_setting_of_a_source_is_one_line(settings: dict[str, str], line: str) -> None:
    ended = finished("check", **settings)
    assert (ended.returncode, ended.stderr) == (2, f"devin-exporter: {line}\n")


@pytest.mark.parametrize("source", [V2, GATEWAY])
def test_a_key_may_stand_in_a_file_which_is_read_again(
    api: str, tmp_path: Path, source: str
) -> None:
    key = tmp_path / "key"
    key.write_text(f"{DEMO_KEYS[source]}\n")
    name = {V2: "DEVIN_V2_API_KEY", GATEWAY: "AIONE_TOKEN"}[source]
    settings = turned_on(api, source)
    del settings[name]
    settings[f"{name}_FILE"] = str(key)
    settings |= {"DEVIN_V2_POLL_INTERVAL": "1", "AIONE_POLL_INTERVAL": "1"}
    up = f'devin_exporter_task_up{{task="{TASKS_OF[source]}"}}'
    with running(tmp_path, **settings) as exporter:
        exporter.until(f"{up} 1")
        key.unlink()
        exporter.until(f"{up} 0")
        key.write_text(DEMO_KEYS[source])
        exporter.until(f"{up} 1")
        assert 'reason="credential"' in exporter.get().text


def test_a_row_says_what_the_key_lacks_and_that_an_api_is_gone(api: str) -> None:
    lacking = {**turned_on(api, V2), "DEVIN_V2_API_KEY": "apk_user_of_nobody_special"}
    ended = finished("check", **lacking)
    assert ended.returncode == 1
    assert "answered 403; the key needs the permission of an Enterprise Admin" in ended.stdout
    gone = {**turned_on(api, V2), "DEVIN_API_URL": f"{api}/elsewhere"}
    ended = finished("check", **gone)
    assert ended.returncode == 1
    assert "answered 404: Devin's v2 API is gone; unset DEVIN_V2_API_KEY" in ended.stdout
    elsewhere = {**turned_on(api, GATEWAY), "AIONE_API_URL": f"{api}/elsewhere"}
    ended = finished("check", **elsewhere)
    assert ended.returncode == 1
    assert "answered 404; is AIONE_API_URL the gateway's?" in ended.stdout


def test_a_refused_key_of_one_source_fails_the_check_of_that_one_alone(api: str) -> None:
    settings = {**turned_on(api, V2, GATEWAY), "AIONE_TOKEN": "wrong"}
    ended = finished("check", **settings)
    assert ended.returncode == 1
    refused = {line.split()[0] for line in ended.stdout.splitlines() if "401" in line}
    assert refused == {endpoint.path for endpoint in aione.SOURCE.endpoints}
    assert "wrong" not in ended.stdout + ended.stderr


# One source that fails


PATHS = {
    source.name: "|".join(f"^{endpoint.path.partition('{')[0]}" for endpoint in source.endpoints)
    for source in SOURCES
}
FAILURES: Mapping[str, httpx.Response | type[Exception]] = {
    "refused": httpx.Response(401),
    "forbidden": httpx.Response(403),
    "no connection": httpx.ConnectError,
    "502": httpx.Response(502),
    "HTML": httpx.Response(200, html="<html>sign in</html>"),
    "timeout": httpx.ReadTimeout,
    "other shape": httpx.Response(200, json={"tech": 1, "items": "none"}),
    "cut off": httpx.Response(200, content=b'{"tech": {'),
    "not found": httpx.Response(404),
}


def all_sources(api: str, clock: Clock) -> AbstractContextManager[Rig]:
    """Every source at one API, polled by hand."""
    return composed(SOURCES, settings_at(SOURCES, api, DEMO_KEYS), clock, SkippedWaits())


def of_others(polled: Rig, failing: Source, tasks: set[str]) -> dict[Key, float]:
    """All series but those of a source and of its tasks; and how long anything took."""
    own = {metric.name for metric in failing.metrics}
    counted = polled.own().family("devin_exporter_task_failures_total")
    failures = {("devin_exporter_task_failures_total", each): n for each, n in counted.items()}
    return {
        (name, labels): value
        for (name, labels), value in {**polled.scrape().values, **failures}.items()
        if name not in own
        and dict(labels).get("task") not in tasks
        and name != "devin_exporter_task_duration_seconds"
    }


@pytest.mark.parametrize("source", SOURCES, ids=[source.name for source in SOURCES])
def test_one_source_that_fails_leaves_the_others_untouched(api: str, source: Source) -> None:
    clock = Clock(NOW)
    with all_sources(api, clock) as polled, respx.mock(assert_all_called=False) as router:
        routes = {name: router.route(path__regex=paths) for name, paths in PATHS.items()}
        for route in routes.values():
            route.pass_through()
        polled.poll()
        polled.poll()
        tasks = {task.name for task in polled.tasks if task.source == source.name}
        before = of_others(polled, source, tasks)
        assert len(before) > 20
        assert {name for name, _ in before if "task_up" in name}
        routes[source.name].pass_through(value=False)
        for what, failure in FAILURES.items():
            if isinstance(failure, httpx.Response):
                routes[source.name].mock(return_value=failure)
            else:
                routes[source.name].mock(side_effect=failure)
            polled.poll()
            assert of_others(polled, source, tasks) == before, what
            up = polled.scrape().family("devin_exporter_task_up")
            own = {value for labels, value in up.items() if dict(labels)["task"] in tasks}
            gone = source.name == V2 and what == "not found"
            assert (own == set()) if gone else (0 in own), what
            others = {task.name for task in polled.tasks} - tasks
            assert not others & set(polled.store.not_ready()), what


# One source that is removed


@pytest.mark.parametrize("removed", [V2, GATEWAY])
def test_without_its_folder_and_its_line_the_rest_works(tmp_path: Path, removed: str) -> None:
    shutil.copytree(ROOT / "exporter", tmp_path / "exporter")
    shutil.rmtree(tmp_path / "exporter" / "sources" / removed)
    listed = tmp_path / "exporter" / "sources" / "__init__.py"
    lines = listed.read_text().splitlines(keepends=True)
    kept = [line for line in lines if line.strip() != f"{removed}.SOURCE,"]
    assert len(kept) == len(lines) - 1
    listed.write_text(re.sub(rf"(, {removed}\b|\b{removed}, )", "", "".join(kept), count=1))

    def run(code: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert str(tmp_path) in run("import exporter; print(exporter.__file__)")
    imported = run(
        "import exporter, importlib, pkgutil\n"
        "for module in pkgutil.walk_packages(exporter.__path__, 'exporter.'):\n"
        "    if '__main__' not in module.name:\n"
        "        print(importlib.import_module(module.name).__name__)"
    ).split()
    assert "exporter.cli" in imported
    assert not [name for name in imported if name.startswith(f"exporter.sources.{removed}")]
    pages = run("from exporter.cli.catalogue import documents\nprint(*documents().values())")
    assert PREFIX_OF[removed] not in pages
    assert "`devin_consumption_cycle_acus`" in pages
    with running(
        tmp_path,
        "demo",
        command=(sys.executable, "-P", "-m", "exporter"),
        PYTHONPATH=str(tmp_path),
        DEMO_USERS="5",
        DEMO_ORGANIZATIONS="1",
    ) as exporter:
        (left,) = {V2, GATEWAY} - {removed}
        exporter.until(f'devin_exporter_task_up{{task="{TASKS_OF[left]}"}} 1')
        page = exporter.until("\ndevin_consumption_cycle_acus{")
        assert f"\n{PREFIX_OF[removed]}" not in page
        assert exporter.end() == 0
