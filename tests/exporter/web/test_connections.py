"""Clients that connect and then say nothing, say it slowly, or do not read."""

import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from exporter.demo.endpoints import GATEWAY, V2, V3
from exporter.web.connections import ConnectionLimits
from exporter.web.open_files import MOST_CONNECTIONS
from tests.exporter.web.serving import serving
from tests.failures.assertions import assert_as_the_row_says, assert_series
from tests.failures.rig import Servers, course_of, polled, polled_tasks, stage
from tests.failures.rows import Row
from tests.support import loopback
from tests.support.processes import BETWEEN_LOOKS, EXPORTER, running
from tests.support.rig import Scrape

HANG_SECONDS = 120
REQUEST = b"GET /metrics HTTP/1.1\r\nHost: it\r\n\r\n"
SOON = 0.2
LATER = 600.0
SERIES = 4_000
LONG_LABELS = [f"{n}" * 200 for n in range(10_000, 10_000 + SERIES)]
"""More than a socket holds."""


def connect(url: str, *, receive_bytes: int | None = None) -> socket.socket:
    """A connection that says nothing."""
    place = urlsplit(url)
    made = socket.socket()
    made.settimeout(HANG_SECONDS)
    if receive_bytes is not None:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    made.connect((place.hostname, place.port))
    return made


@contextmanager
def silent(url: str, count: int) -> Iterator[list[socket.socket]]:
    """So many connections that say nothing."""
    with ExitStack() as stack:
        yield [stack.enter_context(connect(url)) for _ in range(count)]


@contextmanager
def unread(url: str, count: int) -> Iterator[list[socket.socket]]:
    """So many connections that ask for the metrics and read none of them."""
    with ExitStack() as stack:
        made = [stack.enter_context(connect(url, receive_bytes=4_096)) for _ in range(count)]
        for connection in made:
            connection.sendall(REQUEST)
        for connection in made:
            with suppress(ConnectionError):
                connection.recv(1, socket.MSG_PEEK)
        yield made


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + HANG_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        BETWEEN_LOOKS.wait(0.02)


def hung_up_on(connection: socket.socket) -> bool:
    """Whether one more byte is no longer taken."""
    try:
        connection.sendall(b"x")
    except ConnectionError:
        return True
    return False


def received(connection: socket.socket) -> bytes:
    """All that comes until the other side ends it."""
    parts: list[bytes] = []
    with suppress(ConnectionError):
        while part := connection.recv(1 << 16):
            parts.append(part)
    return b"".join(parts)


def test_who_says_nothing_is_hung_up_on() -> None:
    limits = ConnectionLimits(head=SOON, response=LATER, idle=LATER)
    with serving(limits) as served, connect(served.url) as quiet:
        assert received(quiet) == b""


def test_a_head_that_comes_byte_by_byte_is_not_waited_for() -> None:
    limits = ConnectionLimits(head=SOON, response=LATER, idle=LATER)
    with serving(limits) as served, connect(served.url) as slow:
        slow.sendall(REQUEST[:-4])
        until(lambda: hung_up_on(slow))


def test_the_second_head_has_no_more_time_than_the_first() -> None:
    limits = ConnectionLimits(head=SOON, response=LATER, idle=LATER)
    with serving(limits) as served, connect(served.url) as slow:
        slow.sendall(REQUEST)
        assert slow.recv(15) == b"HTTP/1.1 200 OK"
        slow.sendall(REQUEST[:10])
        assert b"HTTP/1.1" not in received(slow)


def test_between_two_requests_there_is_a_time_that_is_not_that_of_a_head() -> None:
    limits = ConnectionLimits(head=LATER, response=LATER, idle=SOON)
    with serving(limits) as served, connect(served.url) as idle:
        idle.sendall(REQUEST)
        assert received(idle).count(b"HTTP/1.1 200 OK") == 1


def test_the_time_between_two_requests_may_be_longer_than_that_of_a_head() -> None:
    limits = ConnectionLimits(head=SOON, response=LATER, idle=4 * SOON)
    with serving(limits) as served, connect(served.url) as idle:
        began = time.monotonic()
        idle.sendall(REQUEST)
        assert received(idle).count(b"HTTP/1.1 200 OK") == 1
        assert time.monotonic() - began >= limits.idle


def test_a_second_head_that_comes_after_a_long_time_has_no_more_time_either() -> None:
    limits = ConnectionLimits(head=SOON, response=LATER, idle=LATER)
    with serving(limits) as served, connect(served.url) as slow:
        slow.sendall(REQUEST)
        assert slow.recv(15) == b"HTTP/1.1 200 OK"
        with connect(served.url) as later:
            assert received(later) == b""
        slow.sendall(REQUEST[:10])
        assert b"HTTP/1.1" not in received(slow)


def test_a_response_that_nobody_reads_is_given_up() -> None:
    with serving(ConnectionLimits(head=LATER, response=SOON, idle=LATER)) as served:
        served.publish_values(*LONG_LABELS, expires=5_000.0)
        before = open_files()
        with unread(served.url, 5) as readers:
            until(lambda: open_files() <= before + len(readers))
            assert all(received(reader).count(b"some_value{") < SERIES for reader in readers)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_the_last_of_too_many_is_served_and_the_one_that_waits_longest_goes() -> None:
    limits = ConnectionLimits(head=LATER, response=LATER, idle=LATER, connections=4)
    with serving(limits) as served, silent(served.url, 4) as quiet:
        assert loopback.get(f"{served.url}/-/healthy").status_code == 200
        assert received(quiet[0]) == b""
        quiet[3].sendall(REQUEST)
        assert quiet[3].recv(15) == b"HTTP/1.1 200 OK"


def test_who_waits_for_nothing_goes_before_who_is_being_answered() -> None:
    limits = ConnectionLimits(head=LATER, response=LATER, idle=LATER, connections=3)
    with serving(limits) as served:
        served.publish_values(*LONG_LABELS, expires=5_000.0)
        with unread(served.url, 2) as readers:
            assert all(reader.recv(15) == b"HTTP/1.1 200 OK" for reader in readers)
            with silent(served.url, 2) as quiet:
                assert received(quiet[0]) == b""
                quiet[1].sendall(REQUEST.replace(b"it\r\n", b"it\r\nConnection: close\r\n"))
                assert received(quiet[1]).count(b"some_value{") == SERIES
            assert all(reader.recv(15) for reader in readers)


def test_who_has_nothing_more_to_say_still_gets_the_whole_response() -> None:
    with serving(ConnectionLimits(head=LATER, response=LATER, idle=LATER)) as served:
        served.publish_values(*LONG_LABELS, expires=5_000.0)
        with unread(served.url, 1) as (reader,):
            reader.shutdown(socket.SHUT_WR)
            assert received(reader).count(b"some_value{") == SERIES


def test_no_more_files_is_said_once_and_passes(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as api,
        running(
            tmp_path,
            DEVIN_API_URL=f"http://127.0.0.1:{api.getsockname()[1]}",
            DEVIN_SERVICE_USER_TOKEN="cog_the_key_of_the_tests",
        ) as exporter,
    ):
        assert exporter.get("/-/healthy").status_code == 200
        pid = exporter.process.pid
        used = max(int(file.name) for file in Path(f"/proc/{pid}/fd").iterdir())
        allowed = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 1, allowed[1]))
        with silent(exporter.url, 200) as clients:
            until(lambda: "Too many open files" in exporter.log.read_text())
            resource.prlimit(pid, resource.RLIMIT_NOFILE, allowed)
            clients[-1].sendall(REQUEST)
            assert clients[-1].recv(15) == b"HTTP/1.1 200 OK"
        assert exporter.end() == 0
        log = exporter.log.read_text()
    assert log.count("cannot accept connections: Too many open files") == 1
    assert log.count("\n") == 2


def test_connections_that_stay_silent(of: Servers, row: Row) -> None:
    nothing_is_lost(of, row, lambda url: silent(url, MOST_CONNECTIONS + 100))


def test_responses_that_nobody_reads(of: Servers, row: Row) -> None:
    nothing_is_lost(of, row, lambda url: unread(url, 150))


def nothing_is_lost(
    of: Servers, row: Row, besiege: Callable[[str], AbstractContextManager[object]]
) -> None:
    with stage(of) as staged:
        before = polled(staged)
        staged.logged()
        tasks = polled_tasks(staged, (V3, V2, GATEWAY))
        with besiege(str(staged.web.base_url)):
            broken = polled(staged)
            assert_as_the_row_says(row, broken, tasks)
        assert staged.logged() == row.log
        healed = polled(staged)
        assert_series(row, course_of(staged, tasks, before=before, broken=broken, healed=healed))


def test_polls_and_scrapes_go_on_beside_more_silent_connections_than_there_are_files(
    tmp_path: Path,
) -> None:
    command = ("sh", "-c", 'ulimit -n 256; exec "$@"', "sh", EXPORTER)
    settings = {"DEMO_USERS": "20", "DEMO_DAYS": "20", "DEVIN_POLL_INTERVAL": "5"}
    with running(tmp_path, "demo", command=command, **settings) as demo:
        with silent(demo.url, 600), unread(demo.url, 50):
            demo.until('devin_exporter_unattributed_cycle_acus{scope="users"}')
            later = newest_success(demo.get().text)
            until(lambda: newest_success(demo.get().text) > later)
        assert set(Scrape.of(demo.get().text).family("devin_exporter_task_up").values()) == {1.0}
        assert demo.end() == 0
        key, stopping = demo.log.read_text().splitlines()
        assert "the key is an enterprise's" in key
        assert "msg=stopping" in stopping


def newest_success(page: str) -> float:
    return max(
        Scrape.of(page).family("devin_exporter_task_last_success_timestamp_seconds").values()
    )


def test_500_idle_and_50_slow_connections_keep_nobody_from_scraping(tmp_path: Path) -> None:
    with running(tmp_path, "demo", DEMO_USERS="20", DEMO_DAYS="20") as demo:
        with silent(demo.url, 500), silent(demo.url, 50) as slow, loopback.client() as scraper:
            for byte in REQUEST[:20]:
                for connection in slow:
                    with suppress(ConnectionError):
                        connection.sendall(bytes([byte]))
                assert scraper.get(f"{demo.url}/metrics").status_code == 200
        assert demo.end() == 0


def test_as_many_files_are_opened_as_the_system_allows(tmp_path: Path) -> None:
    command = ("sh", "-c", 'ulimit -Sn 64; ulimit -Hn 4096; exec "$@"', "sh", EXPORTER)
    with running(tmp_path, "demo", command=command, DEMO_USERS="5", DEMO_DAYS="5") as demo:
        limits = Path(f"/proc/{demo.process.pid}/limits").read_text()
        (line,) = [line for line in limits.splitlines() if line.startswith("Max open files")]
        assert line.split()[3:5] == ["4096", "4096"]
        assert demo.end() == 0
