"""The product as users run it: a real process, real sockets, a simulated API."""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter import __version__
from exporter.demo import DEMO_KEYS
from exporter.demo.endpoints import V3
from exporter.demo.people import DAY, Size
from exporter.sources import SOURCES
from exporter.sources.devin import SOURCE
from tests.support import loopback
from tests.support.limits import HANG_SECONDS
from tests.support.processes import BETWEEN_LOOKS, EXPORTER, environment, finished, running
from tests.support.rig import Clock, Scrape, simulated_api

KEY = "cog_the_key_of_the_tests"
WITHIN_AN_ATTEMPT_SECONDS = 25
"""An attempt gives up after 30 seconds, and an end does not wait for that."""
DEMO_TEAMS = Path(__file__).parents[3] / "deploy" / "compose" / "demo-teams.yml"
POLLED_LAST = (
    "activity",
    "categories",
    "guardrails",
    "hypervisors",
    "limits",
    "organization_activity",
    "organization_metrics",
    "pull_requests",
    "queue",
    "searches",
    "session_metrics",
    "sessions",
)


@pytest.fixture
def silent_api() -> Iterator[str]:
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def acus_of_the_newest_day(api: str) -> float:
    """As the simulated API tells it now."""
    answer = loopback.get(
        f"{api}/v3/enterprise/consumption/daily?time_after={int(time.time()) - 2 * DAY}",
        headers={"Authorization": f"Bearer {DEMO_KEYS[V3]}"},
    ).raise_for_status()
    return float(answer.json()["consumption_by_date"][-1]["acus"])


def test_the_demo_serves_every_family_and_promtool_approves(tmp_path: Path, promtool: str) -> None:
    settings = {
        "DEVIN_ACU_PRICE": "2.25",
        "DEVIN_ACU_POOL": "9000",
        "DEVIN_TEAMS_FILE": str(DEMO_TEAMS),
    }
    with running(tmp_path, "demo", **settings) as demo:
        of_people_today = {
            f"devin_{who}_consumption_today_acus" for who in ("user", "service_user")
        }
        # Who has done nothing since 08:00 UTC has no series of the running day.
        happen_later = of_people_today | {"devin_team_prs_today"}
        for name in {metric.name for metric in SOURCE.metrics} - happen_later:
            demo.until(f"# TYPE {name} gauge")
        page = demo.until('devin_exporter_unattributed_cycle_acus{scope="users"}')
        checked = subprocess.run(
            [promtool, "check", "metrics"], input=page.encode(), capture_output=True, check=False
        )
        assert checked.returncode == 0, checked.stderr
        scrape = Scrape.of(page)
        by_people = sum(sum(scrape.family(name).values()) for name in of_people_today)
        today = sum(scrape.family("devin_consumption_today_acus").values())
        # The day goes on while one after the other is asked.
        assert today - 1e-6 <= by_people <= acus_of_the_newest_day(demo.simulated_api) + 1e-6
        ups = scrape.family("devin_exporter_task_up")
        assert len(ups) > 10
        assert set(ups.values()) == {1.0}
        assert demo.get("/-/ready").status_code == 200
        assert demo.end() == 0
        log = demo.log.read_text()
    *started, stopping = log.splitlines()
    key, teams = sorted(started, key=lambda line: "teams" in line)
    assert "the key is an enterprise's: a service user's" in key
    assert f"{DEMO_TEAMS} is in use" in teams
    assert "msg=stopping" in stopping


def test_a_thousand_scrapes_cause_no_request_beyond_the_polls(tmp_path: Path) -> None:
    clock = Clock(time.time())
    settings = {
        "DEVIN_SERVICE_USER_TOKEN": KEY,
        "DEVIN_POLL_INTERVAL": "3600",
        # With a table to fill, the first poll of the sessions may ask more than once.
        "DEVIN_RECENT_SESSIONS": "0",
        "DEVIN_SESSION_BREAKDOWN_LIMIT": "0",
    }
    with (
        simulated_api(Size(organizations=2, users=10, days=40), clock) as (_, api),
        running(
            tmp_path, "--devin.requests-per-second=1000", DEVIN_API_URL=api.url, **settings
        ) as exporter,
    ):
        exporter.until('devin_exporter_unattributed_cycle_acus{scope="users"}')
        for task in POLLED_LAST:
            exporter.until(f'devin_exporter_task_up{{task="{task}"}}')
        before = api.traffic.total()
        with loopback.client() as client:
            for _ in range(1_000):
                client.get(f"{exporter.url}/metrics").raise_for_status()
        # Everything has been polled for the hour, but for what is looked at every minute.
        every_minute = ("/v3/enterprise/queue", "/v3/enterprise/sessions")
        polls = sum(api.traffic.requests[path, 200] for path in every_minute)
        assert api.traffic.total() - before == polls - 2
        assert polls <= 4
        assert exporter.end() == 0


def test_a_wrong_key_is_never_ready_and_is_logged_once(tmp_path: Path) -> None:
    clock = Clock(1_770_000_000.0)
    with (
        simulated_api(Size(organizations=1, users=2, days=5), clock, keys={}) as (_, api),
        running(
            tmp_path,
            DEVIN_API_URL=api.url,
            DEVIN_SERVICE_USER_TOKEN="cog_wrong_key",
            DEVIN_POLL_INTERVAL="1",
        ) as exporter,
    ):
        page = exporter.until("the API refuses the key of: devin", path="/-/ready")
        assert page == "not ready: the API refuses the key of: devin\n"
        exporter.until('devin_exporter_task_up{task="queue"} 0')
        deadline = time.monotonic() + HANG_SECONDS
        while api.traffic.total() < 30:
            assert time.monotonic() < deadline
            BETWEEN_LOOKS.wait(0.05)
        assert exporter.get("/-/ready").status_code == 503
        assert exporter.get("/-/healthy").status_code == 200
        pages = "".join(exporter.get(path).text for path in ("/", "/metrics"))
        assert exporter.end() == 0
        log = exporter.log.read_text()
    assert log.count("refuses the key") == 1
    assert log.count("\n") == 2
    assert "wrong_key" not in log + pages


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_the_middle_of_a_poll_ends_it_in_time(
    tmp_path: Path, silent_api: str, number: signal.Signals
) -> None:
    settings = {"DEVIN_API_URL": silent_api, "DEVIN_SERVICE_USER_TOKEN": KEY}
    with running(tmp_path, **settings) as exporter:
        assert exporter.get("/-/healthy").status_code == 200
        page = exporter.until("(running)", path="/")
        assert "queue" in page
        exporter.process.send_signal(number)
        assert exporter.process.wait(WITHIN_AN_ATTEMPT_SECONDS) == 0


def test_an_interrupted_check_ends_at_once_and_without_a_traceback() -> None:
    with socket.create_server(("127.0.0.1", 0)) as api:
        address = f"http://127.0.0.1:{api.getsockname()[1]}"
        settings = {"DEVIN_API_URL": address, "DEVIN_SERVICE_USER_TOKEN": KEY}
        with subprocess.Popen(
            [EXPORTER, "check"], env=environment(settings), stderr=subprocess.PIPE
        ) as checking:
            connection, _ = api.accept()
            checking.send_signal(signal.SIGINT)
            _, told = checking.communicate(timeout=HANG_SECONDS)
            connection.close()
    assert checking.returncode == 130
    assert told == b""


def test_a_scrape_is_answered_while_a_poll_hangs(tmp_path: Path, silent_api: str) -> None:
    settings = {"DEVIN_API_URL": silent_api, "DEVIN_SERVICE_USER_TOKEN": KEY}
    with running(tmp_path, **settings) as exporter:
        exporter.until("(running)", path="/")
        page = exporter.get().text
        assert f'version="{__version__}"' in page
        assert "process_resident_memory_bytes" in page
        assert Scrape.of(page).family("devin_exporter_task_up") == {}
        assert exporter.end() == 0


def test_without_a_key_one_line_says_what_to_set() -> None:
    ended = finished()
    assert ended.returncode == 2
    assert ended.stdout == ""
    named = ", or ".join(source.enabled_by for source in SOURCES)
    assert named.startswith("DEVIN_SERVICE_USER_TOKEN or DEVIN_SERVICE_USER_TOKEN_FILE, or ")
    assert ended.stderr == f"devin-exporter: set {named}; `devin-exporter demo` needs none\n"


def test_bad_settings_are_one_line_each_from_environment_and_flags() -> None:
    ended = finished("--devin.concurrency=none", DEVIN_POLL_INTERVAL="0")
    assert ended.returncode == 2
    lines = ended.stderr.splitlines()
    assert [line.split(": ")[1] for line in lines] == ["DEVIN_POLL_INTERVAL", "DEVIN_CONCURRENCY"]


def test_the_demo_takes_bad_settings_no_better() -> None:
    ended = finished("demo", "--demo.users", "many")
    assert ended.returncode == 2
    assert ended.stderr.startswith("devin-exporter: DEMO_USERS: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--devin.service-user-token", "cog_secret_value"],
        ["--devin.service-user-token=cog_secret_value"],
        ["cog_secret_value"],
        ["serve", "cog_secret_value"],
    ],
)
def test_what_is_not_understood_is_refused_without_repeating_values(
    arguments: list[str],
) -> None:
    ended = finished(*arguments)
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert "cog_secret" not in ended.stderr + ended.stdout


def test_a_misspelt_variable_is_warned_about(tmp_path: Path, silent_api: str) -> None:
    settings = {
        "DEVIN_API_URL": silent_api,
        "DEVIN_SERVICE_USER_TOKEN": KEY,
        "DEVIN_POLL_INTERVALL": "5",
    }
    with running(tmp_path, **settings) as exporter:
        assert exporter.end() == 0
        log = exporter.log.read_text()
    assert "DEVIN_POLL_INTERVALL is no setting and is ignored; is DEVIN_POLL_INTERVAL meant?" in log


def test_a_taken_port_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        settings = {"DEVIN_SERVICE_USER_TOKEN": KEY, "WEB_LISTEN_ADDRESS": address}
        ended = finished(**settings)
    assert ended.returncode == 1
    assert ended.stderr == f"devin-exporter: cannot listen on {address}: Address already in use\n"


def test_the_demo_uses_no_credentials_of_the_environment(tmp_path: Path) -> None:
    settings = {
        "DEVIN_SERVICE_USER_TOKEN_FILE": "/nowhere",
        "DEVIN_API_URL": "https://api.example.com",
        "DEVIN_V2_API_KEY": "apk_user_real",
        "AIONE_TOKEN": "a_real_token",
        "AIONE_CA_FILE": "/nowhere",
        "AIONE_TIMEZONE": "Pacific/Kiritimati",
        "DEMO_USERS": "5",
        "DEMO_DAYS": "20",
    }
    with running(tmp_path, "demo", **settings) as demo:
        demo.until("devin_consumption_cycle_acus{")
        demo.until("devin_v2_sessions_cycle")
        demo.until("aione_today_cost_rmb")
        budget = Scrape.of(demo.get().text).one(
            "devin_exporter_request_budget_per_second", source="devin"
        )
        assert budget == 200
        assert demo.end() == 0
        assert "real" not in demo.log.read_text()


def test_the_demo_keeps_a_pace_that_was_asked_for(tmp_path: Path) -> None:
    with running(
        tmp_path, "demo", "--devin.requests-per-second", "77", DEMO_USERS="5", DEMO_DAYS="20"
    ) as demo:
        page = demo.until("devin_exporter_request_budget_per_second{")
        budget = Scrape.of(page).one("devin_exporter_request_budget_per_second", source="devin")
        assert budget == 77
        assert demo.end() == 0


def test_help_shows_every_setting_and_version_the_version() -> None:
    told = finished("--help")
    assert told.returncode == 0
    for text in ("--devin.poll-interval", "default: 300", "DEVIN_SERVICE_USER_TOKEN", "demo"):
        assert text in told.stdout
    assert finished("--version").stdout == f"devin-exporter {__version__}\n"


def test_the_simulated_api_also_runs_alone() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "exporter.demo"],
        env=environment({"DEMO_USERS": "3", "DEMO_DAYS": "5"}),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        headers = {"Authorization": "Bearer cog_demo"}
        answer = loopback.get(f"{url}/v3/enterprise/organizations", headers=headers)
        assert len(answer.json()["items"]) == 6
        process.terminate()
        assert process.wait(HANG_SECONDS) == 0


def test_many_scrapers_at_once_all_get_whole_pages(tmp_path: Path) -> None:
    failures: list[str] = []
    with running(tmp_path, "demo", DEMO_USERS="20", DEMO_DAYS="40") as demo:
        demo.until("devin_queue_size ")

        def scrape() -> None:
            with loopback.client() as client:
                for _ in range(25):
                    page = client.get(f"{demo.url}/metrics").text
                    try:
                        Scrape.of(page)
                    except (AssertionError, ValueError) as failure:
                        failures.append(str(failure))

        threads = [threading.Thread(target=scrape) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert demo.end() == 0
    assert failures == []
