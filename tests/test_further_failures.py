"""The rows of docs/failures.md that each need a scene of their own."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from failing import (
    INTERVAL,
    KEYS,
    NEW_KEY,
    NOW,
    FastClock,
    Figures,
    Look,
    Servers,
    Stage,
    assert_comes_back_from_nothing,
    assert_failed,
    assert_gone,
    assert_no_part_of_a_key,
    families_of,
    live,
    polled_tasks,
    servers,
    stage,
)
from failures import BY_SLUG, MAIN, Row, assert_as_the_row_says
from harness import at
from misbehaving import BEHIND_A_PROXY, Proxy, changed, only, slow, status
from processes import finished

from exporter.demo.endpoints import GATEWAY, V2, V3
from exporter.paths import fill
from exporter.scheduler import SKIPPED
from exporter.sources.devin import identity
from exporter.store import LAST_SUCCESS

HOUR = 3_600.0
DEVINS = (V3, V2)
TASK = MAIN[V3][1]


@pytest.fixture(scope="module")
def of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with servers(tmp_path_factory.mktemp("certificates")) as made:
        yield made


@pytest.fixture
def row(request: pytest.FixtureRequest) -> Row:
    """The row that has the test's name."""
    return BY_SLUG[request.node.name.removeprefix("test_")]


def polled(staged: Stage) -> Look:
    staged.rig.poll()
    return staged.look()


def test_a_redirect_to_another_host(of: Servers, row: Row) -> None:
    redirected(of, row, f"{of.gateway.url}/elsewhere")


def test_a_redirect_to_http(of: Servers, row: Row) -> None:
    redirected(of, row, f"{of.gateway.url}/elsewhere".replace("https", "http"))


def redirected(of: Servers, row: Row, elsewhere: str) -> None:
    with stage(of) as staged:
        before = polled(staged)
        connections = of.gateway.handshakes
        of.devin.misbehave(status(302, Location=elsewhere), MAIN[V3][0])
        broken = polled(staged)
        assert broken.data() == before.data()
        assert broken.failures() == {(TASK, row.reason): 1}
        assert_as_the_row_says(row, broken, {TASK})
        assert row.log in staged.logged()
        assert "/elsewhere" not in of.gateway.asked
        assert of.gateway.handshakes == connections


def from_the_start(row: Row, staged: Stage) -> None:
    tasks = {identity.TASK, TASK, MAIN[V2][1]}
    staged.rig.poll(*tasks, MAIN[GATEWAY][1])
    broken = staged.look()
    assert_as_the_row_says(row, broken, tasks)
    assert_failed(broken, tasks, {row.reason})
    assert row.log in staged.logged()
    assert not families_of(staged, tasks) & {name for name, _ in broken.data()}
    assert broken.up(MAIN[GATEWAY][1]) == 1


def test_dns_that_fails(of: Servers, row: Row) -> None:
    with stage(of, {"DEVIN_API_URL": "https://devin-api.invalid"}) as staged:
        from_the_start(row, staged)


def test_a_proxy_that_is_down(of: Servers, row: Row) -> None:
    nobody = socket.socket()
    nobody.bind(("127.0.0.1", 0))
    proxy = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    url = f"https://{BEHIND_A_PROXY}:{of.devin.port}"
    with nobody, stage(of, {"DEVIN_API_URL": url, "HTTPS_PROXY": proxy}) as staged:
        from_the_start(row, staged)


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_the_standard_proxy_variables_work_and_no_proxy_sees_the_key(
    of: Servers, variable: str
) -> None:
    proxy = Proxy(of.devin.port)
    url = f"https://{BEHIND_A_PROXY}:{of.devin.port}"
    with stage(of, {"DEVIN_API_URL": url, variable: proxy.url}) as staged:
        look = polled(staged)
        assert (look.down(), look.ready, look.failures()) == (set(), 200, {})
    proxy.stop()
    assert {asked.split()[1] for asked in proxy.asked} == {f"{BEHIND_A_PROXY}:{of.devin.port}"}
    assert_no_part_of_a_key(*proxy.asked)


def test_no_proxy_names_the_hosts_that_are_asked_without_one(of: Servers) -> None:
    proxy = Proxy(of.devin.port)
    url = f"https://{BEHIND_A_PROXY}:{of.devin.port}"
    with stage(
        of, {"DEVIN_API_URL": url, "HTTPS_PROXY": proxy.url, "NO_PROXY": BEHIND_A_PROXY}
    ) as staged:
        staged.rig.poll(TASK)
        assert staged.look().failures() == {(TASK, "connection"): 1}
    proxy.stop()
    assert proxy.asked == []


def test_a_ca_of_ones_own_is_trusted_only_where_it_is_named(of: Servers) -> None:
    with stage(of, {"DEVIN_CA_FILE": None}) as staged:
        look = polled(staged)
        assert look.up(MAIN[GATEWAY][1]) == 1
        assert look.down() == polled_tasks(staged, DEVINS)
        assert "certificate verify failed" in staged.logged()


def test_429_for_ten_minutes(of: Servers, row: Row) -> None:
    with stage(of) as staged:
        of.devin.asked.clear()
        before = polled(staged)
        asked_for_everything = len(of.devin.asked)
        staged.logged()
        of.devin.misbehave(status(429, Retry_After="600"), "/v3*")
        tasks = polled_tasks(staged, (V3,))
        for minutes in (0, 5, 10):
            staged.clock.now = NOW + minutes * 60
            of.devin.asked.clear()
            broken = polled(staged)
            assert len(of.devin.asked) <= asked_for_everything
            assert_as_the_row_says(row, broken, tasks)
            assert_failed(broken, tasks, {row.reason})
            # These are polled every minute, and so are too old after three.
            soon_old = families_of(staged, {"queue", "sessions"}) if minutes else set()
            assert_gone(before.data(), broken.data(), soon_old)
        assert row.log in staged.logged()
        of.heal()
        healed = polled(staged)
        assert (healed.down(), healed.ready) == (set(), 200)


def test_the_api_is_down_for_an_hour__then_back(of: Servers, row: Row) -> None:
    with stage(of) as staged:
        before = polled(staged)
        of.devin.refuse()
        tasks = polled_tasks(staged, DEVINS)
        seen: list[int] = []
        for minutes in (5, 14, 16, 30, 61):
            staged.clock.now = NOW + minutes * 60
            broken = polled(staged)
            assert_as_the_row_says(row, broken, tasks)
            assert_failed(broken, tasks, {row.reason})
            assert broken.data().items() <= before.data().items()
            seen.append(len(broken.data()))
        assert seen == sorted(seen, reverse=True)
        assert_comes_back_from_nothing(of, staged, broken, tasks)


def names_of_windows(look: Look, *windows: str) -> set[str]:
    """Devin's families over these windows."""
    names = {name for name, _ in of_devin(look) if "limit" not in name}
    return {name for name in names if any(f"_{window}" in name for window in windows)}


def of_devin(look: Look) -> Figures:
    return {key: value for key, value in look.data().items() if not key[0].startswith("aione_")}


def across(
    of: Servers, row: Row, *, boundary: str, ends: tuple[str, ...], stays: tuple[str, ...]
) -> None:
    """Down from shortly before a boundary until ten minutes after it."""
    end = at(boundary)
    with stage(of, at=end - 100) as staged:
        before = polled(staged)
        assert all(names_of_windows(before, window) for window in (*ends, *stays))
        of.devin.refuse()
        staged.clock.now = end - 0.001
        assert staged.look().data() == before.data()
        for seconds in (0, 5, 600):
            of.clock.now = staged.clock.now = end + seconds
            if seconds:
                staged.rig.poll()
            broken = staged.look()
            assert of_devin(broken).items() <= of_devin(before).items()
            assert broken.up(MAIN[GATEWAY][1]) == 1
            assert not names_of_windows(broken, *ends) - names_of_windows(broken, *stays)
            assert all(names_of_windows(broken, window) for window in stays)
        tasks = polled_tasks(staged, DEVINS)
        assert_as_the_row_says(row, broken, tasks)
        assert_failed(broken, tasks, {row.reason, "entities_unknown"})
        assert row.log in staged.logged()
        of.heal()
        healed = polled(staged)
        assert all(names_of_windows(healed, window) for window in (*ends, *stays))
        assert (healed.down(), healed.ready) == (set(), 200)


def test_the_api_is_down_across_00_00_utc(of: Servers, row: Row) -> None:
    across(
        of,
        row,
        boundary="2026-03-21 00:00:00",
        ends=("daily_active_users", "previous_day_active_users"),
        stays=("consumption_today", "consumption_yesterday"),
    )


def test_the_api_is_down_across_08_00_utc(of: Servers, row: Row) -> None:
    across(
        of,
        row,
        boundary="2026-03-20 08:00:00",
        ends=("today", "yesterday"),
        stays=("consumption_cycle", "consumption_previous_cycle", "daily_active_users"),
    )


def test_the_api_is_down_across_the_end_of_a_cycle(of: Servers, row: Row) -> None:
    across(
        of,
        row,
        boundary="2026-04-05 08:00:00",
        ends=("today", "yesterday", "cycle", "previous_cycle", "billing_cycle"),
        stays=("daily_active_users",),
    )


def test_404_of_the_whole_v2_api__it_is_gone(of: Servers, row: Row) -> None:
    task = MAIN[V2][1]
    with stage(of) as staged:
        before = polled(staged)
        of.devin.misbehave(status(404), "/v2*")
        broken = polled(staged)
        assert_as_the_row_says(row, broken, set())
        assert (broken.up(task), broken.failures()) == (row.up, {})
        assert broken.data() == before.data()
        assert row.log in staged.logged()
        staged.clock.now += 3 * INTERVAL + 1
        late = polled(staged)
        assert_as_the_row_says(row, late, set())
        of.heal()
        assert_gone(polled(staged).data(), late.data(), families_of(staged, {task}))


def test_one_user_whose_endpoint_always_fails(of: Servers, row: Row) -> None:
    (task,) = {"user_consumption"}
    with stage(of) as staged:
        before = polled(staged)
        told = before.page.family("devin_user_consumption_cycle_acus")
        victim = min(dict(labels)["user_id"] for labels in told)
        path = fill(f"{MAIN[V3][0]}/users/{{user_id}}", {"user_id": victim})
        of.devin.misbehave(status(500), path)
        broken = polled(staged)
        assert broken.data() == before.data()
        assert broken.failures() == {(task, row.reason): 1}
        assert_as_the_row_says(row, broken, {task})
        assert row.log in staged.logged()
        staged.clock.now += 3 * INTERVAL + 1
        late = polled(staged)
        assert_as_the_row_says(row, late, {task})
        assert late.missing(task) == 1
        of.heal()
        healed = polled(staged)
        gone = healed.data().keys() - late.data().keys()
        assert late.data().items() <= healed.data().items()
        own = {key for key in gone if key[0].startswith("devin_user_consumption")}
        assert {dict(labels)["user_id"] for _, labels in own} == {victim}
        # What belongs to no known user is not known without him.
        assert {name for name, _ in gone - own} == {"devin_exporter_unattributed_cycle_acus"}


def test_a_list_of_members_that_is_empty_for_one_poll(of: Servers, row: Row) -> None:
    with stage(of) as staged:
        before = polled(staged)
        staged.logged()
        nobody = changed(lambda page: {**page, "items": [], "total": 0})
        of.devin.misbehave(nobody, "/v3/enterprise/members*")
        broken = polled(staged)
        assert broken.data() == before.data()
        assert_as_the_row_says(row, broken, set())
        assert (broken.failures(), staged.logged()) == ({}, row.log)
        of.heal()
        assert polled(staged).data() == before.data()


FAST = 10.0
NOBODY = 65_534


def all_up(look: Look) -> bool:
    polled = {dict(labels)["task"] for labels in look.page.family(SKIPPED.name)}
    return all(look.up(task) for task in polled)


def test_a_poll_that_takes_longer_than_its_interval(of: Servers, row: Row) -> None:
    (task,) = {"user_consumption"}
    with live(of, FastClock(NOW, FAST), {"DEVIN_POLL_INTERVAL": "20"}) as watched:
        before = watched.until(all_up)
        of.devin.misbehave(slow(2.5), f"{MAIN[V3][0]}/users/*")

        def skipped(look: Look) -> bool:
            return bool(look.page.one(SKIPPED.name, task=task))

        watched.until(skipped)
        once = watched.look().page.one(
            "devin_exporter_task_last_success_timestamp_seconds", task=task
        )

        def succeeded_again(look: Look) -> bool:
            return look.page.one(LAST_SUCCESS.name, task=task) != once

        look = watched.until(succeeded_again)
        assert look.up(task) == row.up
        assert look.failures() == {}
        consumption = [key for key in before.data() if "user_consumption" in key[0]]
        assert {look.data()[key] for key in consumption} == {
            before.data()[key] for key in consumption
        }
        assert "task failed" not in watched.logged()


def of_consumption(look: Look) -> Figures:
    return {key: value for key, value in look.data().items() if "consumption" in key[0]}


def set_by(of: Servers, row: Row, seconds: float) -> None:
    clock = FastClock(NOW, FAST)
    with live(of, clock) as watched:
        before = of_consumption(watched.until(all_up))
        watched.logged()
        clock.now += seconds
        set_to = clock()

        def polled_anew(look: Look) -> bool:
            assert of_consumption(look).items() <= before.items()
            seen = look.page.family(LAST_SUCCESS.name)
            return all(set_to <= moment < set_to + HOUR / 2 for moment in seen.values())

        after = watched.until(polled_anew)
        assert row.log in watched.logged()
        assert of_consumption(after) == before
        assert_as_the_row_says(row, after, set())
        assert after.failures() == {}


def test_the_clock_of_the_machine_is_set_forward_by_an_hour(of: Servers, row: Row) -> None:
    set_by(of, row, HOUR)


def test_the_clock_of_the_machine_is_set_back_by_an_hour(of: Servers, row: Row) -> None:
    set_by(of, row, -HOUR)


def test_the_file_of_a_key_is_rewritten(of: Servers, row: Row, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(KEYS[V3])
    with stage(of, from_file(file)) as staged:
        before = polled(staged)
        staged.logged()
        file.write_text(f"{NEW_KEY}\n")
        of.devin.misbehave(only(NEW_KEY), "/v3*")
        after = polled(staged)
        assert after.data() == before.data()
        assert_as_the_row_says(row, after, set())
        assert (after.failures(), staged.logged()) == ({}, row.log)


def from_file(file: Path) -> dict[str, str | None]:
    return {"DEVIN_SERVICE_USER_TOKEN": None, "DEVIN_SERVICE_USER_TOKEN_FILE": str(file)}


def test_the_file_of_a_key_is_emptied(of: Servers, row: Row, tmp_path: Path) -> None:
    broken_key_file(of, row, tmp_path / "key", lambda file: file.write_text(""))


def test_the_file_of_a_key_is_deleted(of: Servers, row: Row, tmp_path: Path) -> None:
    broken_key_file(of, row, tmp_path / "key", Path.unlink)


def test_the_file_of_a_key_is_unreadable(of: Servers, row: Row, tmp_path: Path) -> None:
    with without_the_rights_of_root() as forbid:
        broken_key_file(of, row, tmp_path / "key", forbid)


def broken_key_file(of: Servers, row: Row, file: Path, break_: Callable[[Path], object]) -> None:
    file.write_text(KEYS[V3])
    with stage(of, from_file(file)) as staged:
        before = polled(staged)
        break_(file)
        broken = polled(staged)
        tasks = polled_tasks(staged, (V3,))
        assert broken.data() == before.data()
        assert_as_the_row_says(row, broken, tasks)
        assert_failed(broken, tasks, {row.reason})
        assert row.log in staged.logged()
        staged.clock.now += HOUR + 1
        late = polled(staged)
        os.seteuid(os.getuid())
        file.unlink(missing_ok=True)
        file.write_text(KEYS[V3])
        assert_comes_back_from_nothing(of, staged, late, tasks)


@contextmanager
def without_the_rights_of_root() -> Iterator[Callable[[Path], None]]:
    """Gives a way to forbid a file, from root itself, too, who reads everything otherwise."""

    def forbid(file: Path) -> None:
        file.chmod(0)
        if os.getuid() == 0:
            os.seteuid(NOBODY)

    try:
        yield forbid
    finally:
        os.seteuid(os.getuid())


def test_the_port_is_taken(row: Row) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = finished("demo", WEB_LISTEN_ADDRESS=f"127.0.0.1:{port}")
    assert ended.returncode == 1
    assert row.log in ended.stderr
    assert f"127.0.0.1:{port}" in ended.stderr
