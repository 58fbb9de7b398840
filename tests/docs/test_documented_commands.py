"""Each block of commands in the documents is run as it stands there, or is listed with a reason."""

import os
import re
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from exporter import __version__
from exporter.cli.catalogue import ROOT
from exporter.demo import DEMO_KEYS
from exporter.demo.endpoints import GATEWAY, V2, V3
from tests.docs.documented import blocks, commands, replaced, run
from tests.support import loopback
from tests.support.processes import Running, running
from tests.support.prometheus import RULES, Prometheus, find, free_address, prometheus, served

BLOCKS = blocks()
HERE = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
SMALL = {
    "DEMO_ORGANIZATIONS": "2",
    "DEMO_USERS": "6",
    "DEMO_DAYS": "130",
    "DEVIN_REQUESTS_PER_SECOND": "1000",
}
WITH_PIP = f"{Path(sys.base_prefix) / 'bin'}:{os.environ['PATH']}"
"""Where `python3` is one with pip, as the one of the test environment has none."""
DAY = 86_400


def needs(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is missing, which the document takes for granted")


def started(text: str, path: str = HERE) -> Sequence[str]:
    """A documented command as one process, that a signal reaches."""
    return ["env", f"PATH={path}", "sh", "-c", f"exec env {text}"]


def iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The demo, whose simulated API stands for the vendors'."""
    with running(tmp_path_factory.mktemp("demo"), "demo", **SMALL) as demo:
        yield demo


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The repository, as somebody has it who fetched it."""
    return Path(
        shutil.copytree(ROOT, tmp_path / "clone", ignore=shutil.ignore_patterns(".*", "dist"))
    )


@pytest.fixture
def ready(tmp_path: Path) -> dict[str, str]:
    """What has `make` take this environment for the one that it made."""
    folder = tmp_path / "venv"
    folder.mkdir()
    for each in Path(sys.prefix).iterdir():
        if each.suffix != ".stamp":
            (folder / each.name).symlink_to(each)
    (folder / "build").mkdir(exist_ok=True)
    for stamp in ("run.stamp", "dev.stamp"):
        (folder / stamp).touch()
    return {"MAKEFLAGS": f"VENV={folder}", "PATH": HERE}


def test_the_demo_starts_and_is_scraped(tmp_path: Path, ready: dict[str, str]) -> None:
    needs("make", "curl")
    demo, scrape = commands(BLOCKS["README.md: Try it"])
    settings = SMALL | {"MAKEFLAGS": ready["MAKEFLAGS"]}
    at_home = ["env", f"--chdir={ROOT}", *started(demo)]
    with running(tmp_path, "demo", command=at_home, **settings) as shown:
        address = shown.url.removeprefix("http://")
        page = run(replaced(scrape, {"localhost:9877": address}), tmp_path)
        assert "\ndevin_exporter_build_info{" in page
        shown.end()
    with pytest.raises(httpx.ConnectError):
        shown.get()


def test_it_is_installed_and_runs_with_a_key(tmp_path: Path, copy: Path, api: Running) -> None:
    needs("make")
    install, start = commands(BLOCKS["README.md: Run it"])
    here = {"/opt/devin-exporter": f"{tmp_path}/opt"}
    run(replaced(install, here), copy, PATH=WITH_PIP)
    text = replaced(start, here | {"cog_…": DEMO_KEYS[V3]})
    settings = {"DEVIN_API_URL": api.simulated_api}
    with running(tmp_path, command=started(text), **settings) as exporter:
        exporter.until("\ndevin_consumption_today_acus{")
        assert exporter.end() == 0


@pytest.mark.parametrize(
    ("block", "changes", "published"),
    [
        (
            "docs/operate/other-sources.md: Devin's v2 metrics",
            {"apk_user_…": DEMO_KEYS[V2]},
            "devin_v2_",
        ),
        (
            "docs/operate/other-sources.md: The AIone gateway",
            {
                "https://aione.example.com": "API",
                "AIONE_TOKEN=…": f"AIONE_TOKEN={DEMO_KEYS[GATEWAY]}",
            },
            "aione_requests",
        ),
    ],
    ids=["v2", "aione"],
)
def test_another_source_runs_alone(
    block: str, changes: Mapping[str, str], published: str, tmp_path: Path, api: Running
) -> None:
    (start,) = commands(BLOCKS[block])
    text = replaced(start, changes).replace("=API", f"={api.simulated_api}")
    with running(tmp_path, command=started(text), DEVIN_API_URL=api.simulated_api) as exporter:
        exporter.until(f"\n{published}")
        assert exporter.end() == 0


@pytest.fixture(scope="module")
def past(api: Running, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the history and Prometheus' blocks of it, as documented."""
    needs("promtool")
    folder = tmp_path_factory.mktemp("past")
    text = replaced(
        BLOCKS["docs/operate/backfill.md: Prometheus"], {" /prometheus": f" {folder}/data"}
    )
    settings = {"DEVIN_API_URL": api.simulated_api, "DEVIN_SERVICE_USER_TOKEN": DEMO_KEYS[V3]}
    run(text, folder, PATH=HERE, DEVIN_REQUESTS_PER_SECOND="1000", **settings)
    return folder


@pytest.fixture
def server_binary() -> str:
    found = find("prometheus", newer=False)
    if found is None:
        pytest.skip("prometheus is missing: `make test` brings it by apt")
    return found


def test_prometheus_has_the_history(past: Path, server_binary: str) -> None:
    with prometheus(server_binary, past, "global: {}") as server:
        assert days(server, "devin_consumption_yesterday_acus") in {89, 90, 91}


def test_the_recording_rules_have_a_past(past: Path, server_binary: str) -> None:
    shutil.copy(RULES, past)
    text, now = BLOCKS["docs/operate/backfill.md: The recording rules' past"], time.time()
    with prometheus(server_binary, past, "global: {}") as server:
        changes = {
            "http://localhost:9090": server.url,
            "2026-01-01T00:00:00Z": iso(now - 60 * DAY),
            "2026-04-01T00:00:00Z": iso(now - 3 * 3_600),
            " /prometheus ": f" {past}/data ",
        }
        run(replaced(text, changes), past, PATH=HERE)
    with prometheus(server_binary, past, "global: {}") as server:
        assert days(server, "user:devin_consumption_yesterday_acus:sum") >= 59


def days(server: Prometheus, name: str) -> float:
    known = f'count(last_over_time({{__name__="{name}"}}[23h50m])) > 0'
    return server.one(f"count_over_time(({known})[100d:1d])") or 0


def test_victoria_metrics_takes_all_of_the_history(past: Path, tmp_path: Path) -> None:
    needs("curl")
    binary = find("victoria-metrics", newer=True)
    if binary is None:
        pytest.skip("victoria-metrics is missing: `make test` brings it by apt")
    url = f"http://{free_address()}"
    text = replaced(
        BLOCKS["docs/operate/backfill.md: VictoriaMetrics"], {"http://localhost:8428": url}
    )
    command = [binary, f"-storageDataPath={tmp_path / 'data'}", "-retentionPeriod=400d",
               f"-httpListenAddr={url.removeprefix('http://')}"]  # fmt: skip
    with served(command, f"{url}/health", tmp_path / "log"):
        run(text, past)
        told = loopback.get(f"{url}/metrics").text
    lines = (past / "history.om").read_text(encoding="utf-8").splitlines()
    samples = [each for each in lines if not each.startswith("#")]
    (taken,) = re.findall(
        r'^vm_rows_inserted_total\{type="prometheus"\} (\d+)$', told, re.MULTILINE
    )
    assert int(taken) == len(samples) > 0


def test_it_is_installed_for_systemd(copy: Path, tmp_path: Path) -> None:
    needs("make")
    told = commands(BLOCKS["docs/install.md: pip and systemd"])
    of_systemd = [each for each in told if each.startswith("systemctl ")]
    assert told[len(told) - len(of_systemd) :] == of_systemd  # last, and nothing else is left out
    text = "\n".join(told[: len(told) - len(of_systemd)])
    (tmp_path / "etc/systemd/system").mkdir(parents=True)
    changes = {"/opt/devin-exporter": f"{tmp_path}/opt", "/etc/": f"{tmp_path}/etc/"}
    run(replaced(text, changes), copy, PATH=WITH_PIP)
    unit = (tmp_path / "etc/systemd/system/devin-exporter.service").read_text()
    (command,) = re.findall(r"^ExecStart=(.+)$", unit, re.MULTILINE)
    installed = replaced(command, {"/opt/devin-exporter": f"{tmp_path}/opt"})
    printed = run(f"{installed} --version", copy)
    assert printed == f"devin-exporter {__version__}\n"
    settings, key = (tmp_path / "etc/devin-exporter" / name for name in ("settings", "key"))
    assert str(settings).replace(str(tmp_path), "") in unit
    assert str(key).replace(str(tmp_path), "") in unit
    assert key.stat().st_mode & 0o777 == 0o600


def test_the_links_of_the_alerts_become_ones_own(tmp_path: Path) -> None:
    shutil.copy(RULES, tmp_path)
    run(BLOCKS["docs/runbook.md: Runbook"], tmp_path)
    text = (tmp_path / "rules.yml").read_text()
    assert "example.com" not in text
    assert "localhost" not in text
    assert "https://wiki.acme.example/devin" in text


def test_a_release_is_built(copy: Path, ready: dict[str, str]) -> None:
    needs("make")
    changelog = copy / "CHANGELOG.md"
    told = changelog.read_text()
    if f"## {__version__} - " not in told:
        changelog.write_text(told.replace("## Unreleased", f"## {__version__} - 2026-01-31"))
    text = replaced(
        BLOCKS["docs/project/releasing.md: Make a release"], {"v1.2.3": f"v{__version__}"}
    )
    assert "### Added" in run(text, copy, **ready)
    built = {path.name for path in (copy / "dist").iterdir()}
    name = f"devin_exporter-{__version__}"
    assert built == {f"{name}-py3-none-any.whl", f"{name}.tar.gz"}


RUN = {
    "README.md: Try it": test_the_demo_starts_and_is_scraped,
    "README.md: Run it": test_it_is_installed_and_runs_with_a_key,
    "docs/operate/backfill.md: Prometheus": test_prometheus_has_the_history,
    "docs/operate/backfill.md: The recording rules' past": test_the_recording_rules_have_a_past,
    "docs/operate/backfill.md: VictoriaMetrics": test_victoria_metrics_takes_all_of_the_history,
    "docs/install.md: pip and systemd": test_it_is_installed_for_systemd,
    "docs/operate/other-sources.md: Devin's v2 metrics": test_another_source_runs_alone,
    "docs/operate/other-sources.md: The AIone gateway": test_another_source_runs_alone,
    "docs/project/releasing.md: Make a release": test_a_release_is_built,
    "docs/runbook.md: Runbook": test_the_links_of_the_alerts_become_ones_own,
}
COMPOSE = "docs/install.md: Everything at once: Docker Compose"
NOT_RUN = {
    "CONTRIBUTING.md: Set-up": "these are the checks themselves, and what takes half an hour",
    "CONTRIBUTING.md: Tests": "it writes golden files, which tests compare",
    COMPOSE: "it wants Docker; test_compose_up.py runs its services without",
    f"{COMPOSE} (2)": "it wants Docker; the same",
    f"{COMPOSE} (3)": "it wants Docker; the same",
    "docs/install.md: With your own Prometheus": "it wants a cluster with the Prometheus operator",
    **dict.fromkeys(
        (name for name in BLOCKS if name.startswith("docs/operate/kubernetes.md: ")),
        "it wants a cluster; tests/deploy/helm checks what the chart renders",
    ),
    **dict.fromkeys(
        (name for name in BLOCKS if name.startswith("docs/operate/storage/")),
        "it wants such a storage; tests/e2e/systems runs the agent",
    ),
    "docs/project/performance.md: Scrapes": "a benchmark of minutes, for a machine with nginx",
    "docs/project/performance.md: Rendering": "a benchmark, which wants a machine of its own",
    "docs/project/releasing.md: Verify a release": "there must be a release",
    "docs/project/releasing.md: Make a release (2)": "it pushes",
}


def test_every_block_of_commands_is_run_or_there_is_a_reason() -> None:
    assert BLOCKS.keys() == RUN.keys() | NOT_RUN.keys()
    assert not RUN.keys() & NOT_RUN.keys()
