"""`backfill`: what it writes is what a scrape shows, and an interruption loses nothing."""

import fcntl
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import groupby, pairwise, product
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from pydantic import TypeAdapter

from exporter.client.checkpoint import Checkpoint, CheckpointError
from exporter.client.endpoint import Endpoint, Request
from exporter.demo.api import DemoApi
from exporter.demo.endpoints import DemoKey
from exporter.demo.people import Size
from exporter.demo.world import World
from tests.exporter.commands import finished
from tests.support import loopback
from tests.support.processes import EXPORTER, environment
from tests.support.rig import KEY, Clock, rig, simulated_api

SIZE = Size(organizations=3, users=25, days=100)
FEW = Size(organizations=2, users=12, days=60)
OWN = frozenset({"job", "instance"})
Series = tuple[str, frozenset[tuple[str, str]]]
FIXED = (
    "_yesterday_acus",
    "_previous_cycle_acus",
    "devin_billing_cycle_",
    "devin_previous_",
    "devin_sessions_created_yesterday",
    "devin_organization_sessions_created_yesterday",
    "devin_prs_created_yesterday",
    "devin_organization_prs_created_yesterday",
    "devin_organization_info",
    "devin_user_info",
    "devin_organization_member_info",
    "devin_service_user_info",
    "devin_user_group_info",
    "devin_team_info",
    "devin_team_budget_acus",
    "devin_team_member_info",
    "devin_product_acu_price",
)
OF_EACH_ORGANIZATION = (
    "devin_organization_sessions_created_yesterday",
    "devin_organization_prs_created_yesterday",
)
TEAMS = """
teams:
  Ada: {emails: ["ada.amari*@example.com"], cost_center: CC-1, budget: 100}
  Automation: {users: [service-user-0001]}
  Others: {groups: [engineering]}
"""
PRICE = ("devin_acu_price", frozenset({("currency", "USD")}))


@pytest.fixture
def simulated() -> Iterator[tuple[World, DemoApi]]:
    """The world as it is now, so that the process and the simulation have one time."""
    now = time.time()
    world = World(SIZE, start=now)
    own = DemoKey(org_id=world.organizations[0][0])
    blind = DemoKey(frozenset({"ViewAccountConsumption", "ManageOrganizations"}))
    counting = DemoKey(frozenset({"ViewAccountMetrics"}))
    keys = {KEY: DemoKey(), "cog_own": own, "cog_blind": blind, "cog_counting": counting}
    with simulated_api(SIZE, Clock(now), keys=keys) as made:
        yield made


@pytest.fixture
def teams(tmp_path: Path) -> Path:
    """A teams file."""
    path = tmp_path / "teams.yml"
    path.write_text(TEAMS)
    return path


def test_a_broken_teams_file_ends_the_command_with_its_faults(
    simulated: tuple[World, DemoApi], teams: Path
) -> None:
    teams.write_text("teams:\n  A:\n    budget: much\n")
    given = settings(simulated[1], DEVIN_TEAMS_FILE=str(teams))
    ended = finished("backfill", "--days=2", "--output=-", **given)
    assert ended.returncode != 0
    assert "line 3: budget: wants a number of ACUs above 0" in ended.stderr


def settings(api: DemoApi, **more: str) -> dict[str, str]:
    return {
        "DEVIN_API_URL": api.url,
        "DEVIN_SERVICE_USER_TOKEN": KEY,
        "DEVIN_REQUESTS_PER_SECOND": "10000",
        "DEVIN_ACU_PRICE": "2.25",
        **more,
    }


def history(text: str) -> dict[Series, list[tuple[float, float]]]:
    """Each series' moments and values; the parser refuses what is not OpenMetrics.

    It is given the first and the last line of each series. Those between differ from them in two
    numbers alone, and reading them all takes it longer than it takes the product to write them.
    """
    read: list[str] = []
    courses: list[list[tuple[float, float]]] = []
    for _, lines in groupby(text.splitlines(keepends=True), key=beginning):
        first, *others = lines
        read += [first, *others[-1:]]
        if not first.startswith("# "):
            courses.append([numbers(line) for line in (first, *others)])
            assert all(one < other for (one, _), (other, _) in pairwise(courses[-1])), first
    series = {
        (sample.name, frozenset((k, v) for k, v in sample.labels.items() if k not in OWN)): None
        for family in text_string_to_metric_families("".join(read))
        for sample in family.samples
    }
    return dict(zip(series, courses, strict=True))


def beginning(line: str) -> str:
    """What the lines of a series have in common."""
    return line if line.startswith("# ") else line.rsplit(" ", 2)[0]


def numbers(line: str) -> tuple[float, float]:
    """The moment and the value of a line."""
    found = re.fullmatch(r".* (-?[0-9.]+(?:e[-+][0-9]+)?) ([0-9]+)\n", line)
    assert found, line
    return float(found[2]), float(found[1])


MODES = {
    "full": {},
    "id": {"DEVIN_USER_METRICS": "id"},
    "hash": {"DEVIN_USER_METRICS": "hash", "DEVIN_USER_HASH_KEY": "one-key"},
    "off": {"DEVIN_USER_METRICS": "off"},
    "few": {"DEVIN_USER_LIMIT": "5"},
    "owners": {"DEVIN_OWNER_GROUPS": "on-call, eng-*"},
    "few owners": {"DEVIN_OWNER_GROUPS": "on-call, eng-*", "DEVIN_USER_METRICS": "off"},
    "own": {"DEVIN_SERVICE_USER_TOKEN": "cog_own"},
}


@pytest.mark.parametrize("mode", MODES)
def test_its_last_values_are_those_of_a_scrape_under_the_same_names_and_labels(
    simulated: tuple[World, DemoApi], mode: str, teams: Path
) -> None:
    _, api = simulated
    given = settings(api, DEVIN_TEAMS_FILE=str(teams), **MODES[mode])
    ended = finished("backfill", "--days=40", "--output=-", "--until=now", **given)
    assert ended.returncode == 0, ended.stderr
    told = {series: course[-1][1] for series, course in history(ended.stdout).items()}
    assert told.pop(PRICE) == 2.25
    live_settings = {k.removeprefix("DEVIN_").lower(): v for k, v in given.items()}
    del live_settings["api_url"]
    with rig(api.url, Clock(time.time()), **live_settings) as polled:
        polled.poll()
        polled.poll()
        scrape = polled.scrape()
    live = {
        series: value
        for series, value in scrape.values.items()
        if any(name in series[0] for name in FIXED)
    }
    assert {name for name, _ in told} <= {name for name, _ in live}
    # Users who used nothing on the last day have history, but no series now.
    personal = {s for s in told if "_user_consumption_" in s[0]}
    assert {s: v for s, v in told.items() if s not in personal} == pytest.approx(
        {s: v for s, v in live.items() if "_user_consumption_" not in s[0]}, abs=1e-9
    )
    for series, value in live.items():
        if "_user_consumption_" in series[0]:
            assert told[series] == pytest.approx(value, abs=1e-9)
    assert any(name.startswith("devin_team_cons") for name, _ in told) == (mode != "own")
    assert (mode in {"full", "few", "own", "owners"}) == any(
        n == "devin_user_info" for n, _ in told
    )


def test_hash_and_off_tell_no_user(simulated: tuple[World, DemoApi], teams: Path) -> None:
    world, api = simulated
    for mode in ("hash", "off"):
        given = settings(api, DEVIN_TEAMS_FILE=str(teams), **MODES[mode])
        ended = finished("backfill", "--days=40", "--output=-", "--until=now", **given)
        for person in world.people:
            if not person.service:
                for secret in (person.id, person.name, person.email):
                    assert secret is None or secret not in ended.stdout + ended.stderr


def test_samples_stand_in_order_hourly_and_never_before_or_after_the_days_asked_for(
    simulated: tuple[World, DemoApi],
) -> None:
    _, api = simulated
    ended = finished("backfill", "--days=5", "--output=-", **settings(api))
    now = time.time()
    for course in history(ended.stdout).values():
        moments = [moment for moment, _ in course]
        assert moments == sorted(set(moments))
        assert now - 6 * 86_400 < moments[0]
        assert moments[-1] <= now - 3 * 3_600


def test_an_organization_has_no_history_before_it_was_created() -> None:
    now = time.time()
    young = Size(organizations=2, users=8, days=20)
    with simulated_api(young, Clock(now)) as (world, api):
        ended = finished("backfill", "--days=60", "--output=-", "--until=now", **settings(api))
    assert ended.returncode == 0, ended.stderr
    courses = history(ended.stdout)
    founded = world.founded * 86_400
    for (name, _), course in courses.items():
        if name.startswith("devin_organization_"):
            assert course[0][0] > founded
    of_enterprise = [c for (n, _), c in courses.items() if n == "devin_consumption_yesterday_acus"]
    assert of_enterprise
    assert all(course[0][0] > founded for course in of_enterprise)


def until(moment: float) -> str:
    return f"--until={datetime.fromtimestamp(moment, UTC).isoformat()}"


def test_an_interrupted_run_goes_on_without_asking_again_and_ends_in_the_same_file(
    tmp_path: Path,
) -> None:
    now = time.time()
    fixed = ("backfill", "--days=30", until(int(now) - 7_200))
    with simulated_api(FEW, Clock(now)) as (_, api):
        whole, resumed = tmp_path / "whole", tmp_path / "resumed"
        given = settings(api)
        assert finished(*fixed, f"--output={whole}", **given).returncode == 0
        requests = api.traffic.total()
        slow = {**given, "DEVIN_REQUESTS_PER_SECOND": "40"}
        for number in (signal.SIGKILL, signal.SIGINT):
            before = api.traffic.total()
            with subprocess.Popen(
                [EXPORTER, *fixed, f"--output={resumed}"],
                env=environment(slow),
                stderr=subprocess.DEVNULL,
            ) as running:
                while api.traffic.total() < before + 25:
                    assert running.poll() is None
                running.send_signal(number)
            assert not resumed.exists()
        before = api.traffic.total()
        ended = finished(*fixed, f"--output={resumed}", **given)
        assert ended.returncode == 0, ended.stderr
        assert resumed.read_bytes() == whole.read_bytes()
        lists = 5
        assert api.traffic.total() - before < requests - 25
        assert api.traffic.total() - before > lists
    assert sorted(path.name for path in tmp_path.iterdir()) == ["resumed", "whole"]


def test_a_partial_file_of_another_key_or_a_damaged_one_is_refused_and_kept(
    simulated: tuple[World, DemoApi], tmp_path: Path
) -> None:
    _, api = simulated
    output = tmp_path / "history"
    partial = tmp_path / "history.partial"
    for content, wanted in (
        (b"something else\n", "another address or key"),
        (b"no line", "another address or key"),
    ):
        partial.write_bytes(content)
        ended = finished("backfill", "--days=3", f"--output={output}", **settings(api))
        assert ended.returncode == 1
        assert wanted in ended.stderr
        assert partial.read_bytes() == content
        assert not output.exists()


def test_a_second_run_for_the_same_file_is_refused(
    simulated: tuple[World, DemoApi], tmp_path: Path
) -> None:
    _, api = simulated
    output = tmp_path / "history"
    with (tmp_path / "history.partial").open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        ended = finished("backfill", "--days=3", f"--output={output}", **settings(api))
    assert ended.returncode == 1
    assert "is in use by another run" in ended.stderr
    assert not output.exists()


def test_a_damaged_answer_is_named_and_the_torn_end_of_a_file_is_not(tmp_path: Path) -> None:
    path = tmp_path / "partial"
    things = Endpoint(path="/v3/things/{id}", response=TypeAdapter(list[int]), feeds="nothing")
    request = Request(endpoint=things, ids={"id": "a/b"})
    other = replace(request, ids={"id": "c"})
    journal = Checkpoint.at(path, owner="me")
    journal.add(request, b"[1,2]")
    journal.close()
    with path.open("ab") as torn:
        torn.write(b'"/v3/things/c?"\t[3')
    journal = Checkpoint.at(path, owner="me")
    assert journal.response(request) == [1, 2]
    assert journal.response(other) is None
    journal.add(other, b"[3]")
    journal.close()
    journal = Checkpoint.at(path, owner="me")
    assert journal.response(other) == [3]
    journal.close()
    path.write_bytes(path.read_bytes().replace(b"[1,2]", b"[1,x]"))
    journal = Checkpoint.at(path, owner="me")
    with pytest.raises(CheckpointError, match="damaged"):
        journal.response(request)
    journal.close()
    with path.open("ab") as garbage:
        garbage.write(b"no request\n")
    with pytest.raises(CheckpointError, match="line 4: damaged"):
        Checkpoint.at(path, owner="me")


@contextmanager
def gate(api: str, refused: str) -> Iterator[str]:
    """A server before the API that answers 403 to paths which hold a text."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = {"Authorization": self.headers["Authorization"]}
            answer = loopback.get(api + self.path, headers=headers)
            body = b"{}" if refused in self.path else answer.content
            self.send_response(403 if refused in self.path else answer.status_code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_one_organization_that_is_refused_takes_no_other_with_it() -> None:
    now = time.time()
    size = Size(organizations=3, users=8, days=60)
    with simulated_api(size, Clock(now)) as (world, api):
        refused, *others = (org_id for org_id, _ in world.organizations)
        with gate(api.url, f"/organizations/{refused}/metrics/") as url:
            given = settings(api) | {"DEVIN_API_URL": url}
            ended = finished("backfill", "--days=30", "--output=-", **given)
    assert ended.returncode == 0, ended.stderr
    told = {
        (name, dict(labels)["org_id"])
        for name, labels in history(ended.stdout)
        if name in OF_EACH_ORGANIZATION
    }
    assert told == set(product(OF_EACH_ORGANIZATION, others))
    for name in ("sessions", "prs"):
        assert f"left out: /v3/organizations/{{org_id}}/metrics/{name}" in ended.stderr


def test_what_a_key_does_not_open_is_left_out_and_named(
    simulated: tuple[World, DemoApi],
) -> None:
    _, api = simulated
    given = settings(api, DEVIN_SERVICE_USER_TOKEN="cog_blind")
    ended = finished("backfill", "--days=10", "--output=-", "--until=now", **given)
    assert ended.returncode == 0, ended.stderr
    names = {name for name, _ in history(ended.stdout)}
    assert "devin_consumption_yesterday_acus" in names
    assert "devin_organization_consumption_previous_cycle_acus" in names
    assert not any("user" in name for name in names)
    left_out = [line for line in ended.stderr.splitlines() if line.startswith("left out: ")]
    assert any("ViewAccountMembership" in line for line in left_out)
    assert any("ViewAccountMetrics" in line for line in left_out)


def test_a_key_that_tells_of_no_beginning_gets_a_history_without_days(
    simulated: tuple[World, DemoApi],
) -> None:
    _, api = simulated
    given = settings(api, DEVIN_SERVICE_USER_TOKEN="cog_counting")
    ended = finished("backfill", "--days=10", "--output=-", "--until=now", **given)
    assert ended.returncode == 0, ended.stderr
    assert "devin_acu_price" in ended.stdout
    assert "devin_sessions_created_yesterday{" not in ended.stdout
    assert "devin_prs_created_yesterday{" not in ended.stdout


def test_a_server_that_fails_leaves_no_file_and_the_answers_are_kept(
    simulated: tuple[World, DemoApi], tmp_path: Path
) -> None:
    _, api = simulated
    output = tmp_path / "history"
    ended = finished(
        "backfill",
        "--days=3",
        f"--output={output}",
        **settings(api, DEVIN_SERVICE_USER_TOKEN="cog_unknown"),
    )
    assert ended.returncode == 1
    assert "401" in ended.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--days=0", "--output=x"), "--days: wants a number from 1 to 3650"),
        (("--days=many", "--output=x"), "--days: wants a number from 1 to 3650"),
        (("--days=3",), "--output: wants a file, or - for standard output"),
        (("--output=x", "--every=7"), "--every: wants seconds that divide an hour"),
        (("--output=x", "--until=soon"), "--until: wants `now` or a time in the past"),
        (("--output=x", "--until=2999-01-01T00:00:00Z"), "--until: wants `now` or a time"),
        (("--output=x", "--until=2026-01-01T00:00:00"), "--until: wants `now` or a time"),
    ],
)
def test_flags_that_make_no_sense_are_refused(arguments: tuple[str, ...], complaint: str) -> None:
    ended = finished("backfill", *arguments, DEVIN_SERVICE_USER_TOKEN=KEY)
    assert ended.returncode == 2
    assert complaint in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_place_that_cannot_be_written_to_is_one_line(
    simulated: tuple[World, DemoApi], tmp_path: Path
) -> None:
    _, api = simulated
    output = tmp_path / "nowhere" / "history"
    ended = finished("backfill", "--days=3", f"--output={output}", **settings(api))
    assert ended.returncode == 1
    assert ended.stderr == f"devin-exporter: {output}: No such file or directory\n"


def test_flags_of_backfill_are_refused_elsewhere_and_a_key_is_needed() -> None:
    ended = finished("serve", "--days=3")
    assert ended.returncode == 2
    assert ended.stderr == "devin-exporter: --days is a flag of backfill\n"
    ended = finished("backfill", "--output=x")
    assert ended.returncode == 2
    assert "set DEVIN_SERVICE_USER_TOKEN" in ended.stderr
