"""The client: what it sends, what it takes for an answer, and when it tries again."""

import gzip
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from email.utils import formatdate
from itertools import pairwise

import httpx
import pytest
import respx
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from pydantic import TypeAdapter

from exporter import errors
from exporter.client.body import LARGEST_BODY_BYTES
from exporter.client.endpoint import Endpoint, Request
from exporter.client.http import ATTEMPTS, LONGEST_WAIT_SECONDS, Client
from exporter.client.models import ListPage
from exporter.client.rate_limit import Priority, RateLimiter, Turns
from tests.support.limits import HANG_SECONDS
from tests.support.rig import KEY, Clock, Waits, at, make_client, raw_server

URL = "https://api.test"
NUMBER = TypeAdapter(dict[str, int])
QUEUE, USERS, USER = (
    Request(endpoint=Endpoint(path=path, response=NUMBER, feeds="what is tested"))
    for path in ("/v3/queue", "/v3/users", "/v3/users/{user_id}")
)
NUMBERS = Request(
    endpoint=Endpoint(path="/v3/list", response=TypeAdapter(ListPage[int]), feeds="what is tested")
)
NOW = at("2026-03-01 12:00:00")


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def waits(clock: Clock) -> Waits:
    return Waits(clock)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def client(clock: Clock, waits: Waits, registry: CollectorRegistry) -> Iterator[Client]:
    made = make_client(URL, registry=registry, stopping=waits, clock=clock, monotonic=clock)
    yield made
    made.close()


@pytest.fixture
def api() -> Iterator[respx.Router]:
    with respx.mock(base_url=URL, assert_all_called=False) as router:
        yield router


def test_a_request_carries_the_key_and_asks_for_json(api: respx.Router, client: Client) -> None:
    route = api.get("/v3/queue").respond(json={"n": 1})
    assert client.get(replace(QUEUE, params={"first": 200})) == {"n": 1}
    request = route.calls.last.request
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert request.headers["Accept"] == "application/json"
    assert request.url.query == b"first=200"


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
        lambda entity: entity not in {".", ".."}
    )
)
def test_every_id_arrives_as_one_encoded_path_segment(entity: str) -> None:
    with respx.mock(base_url=URL) as api:
        route = api.route().respond(json={})
        client = make_client(URL)
        client.get(replace(USER, ids={"user_id": entity}))
        path = route.calls.last.request.url.raw_path.decode()
        assert path == "/v3/users/" + "".join(
            chr(byte)
            if chr(byte).isascii() and (chr(byte).isalnum() or chr(byte) in "-._~")
            else f"%{byte:02X}"
            for byte in entity.encode()
        )


@pytest.mark.parametrize("entity", ["", ".", "..", "\ud800", "x" * 70_000])
def test_an_id_that_no_path_can_carry_is_not_asked_for(
    api: respx.Router, client: Client, entity: str
) -> None:
    route = api.route().respond(json={})
    with pytest.raises(errors.UnaskableError):
        client.get(replace(USER, ids={"user_id": entity}))
    assert route.call_count == 0


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, errors.RedirectedError),
        (401, errors.KeyRefusedError),
        (403, errors.PermissionMissingError),
        (404, errors.NotFoundError),
        (422, errors.BadRequestError),
    ],
)
def test_a_rejection_is_not_tried_again(
    api: respx.Router, client: Client, status: int, kind: type[errors.PollError]
) -> None:
    headers = {"Location": "https://elsewhere.test/"}
    route = api.get("/v3/queue").respond(status, json={"detail": "no"}, headers=headers)
    with pytest.raises(kind, match=f"/v3/queue answered {status}"):
        client.get(QUEUE)
    assert route.call_count == 1


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(
    ("content_type", "told"),
    [
        ("text/html; charset=utf-8", "text/html"),
        ("Text/Plain", "text/plain"),
        (f"text/{KEY}", "no JSON"),
    ],
)
def test_a_refusal_with_a_body_that_the_api_never_sends_is_not_the_apis(
    api: respx.Router, client: Client, status: int, content_type: str, told: str
) -> None:
    api.get("/v3/queue").respond(status, content=b"Denied", headers={"Content-Type": content_type})
    with pytest.raises(errors.InterceptedError) as failed:
        client.get(QUEUE)
    assert str(failed.value) == (
        f"/v3/queue answered {status}; sent by something between the exporter and the API ({told})"
    )
    assert not client.key_refused


@pytest.mark.parametrize("content_type", ["application/json", "application/problem+json", ""])
def test_a_refusal_in_json_or_without_a_body_is_the_apis(
    api: respx.Router, client: Client, content_type: str
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    api.get("/v3/queue").respond(403, headers=headers)
    with pytest.raises(errors.PermissionMissingError):
        client.get(QUEUE)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_passing_failure_is_tried_again_with_growing_random_waits(
    api: respx.Router, client: Client, waits: Waits, status: int
) -> None:
    route = api.get("/v3/queue").respond(status)
    with pytest.raises(errors.RejectedError):
        client.get(QUEUE)
    assert route.call_count == ATTEMPTS
    backoffs = [seconds for seconds in waits.seconds if seconds > 0.001]
    assert len(backoffs) <= ATTEMPTS - 1
    assert all(wait <= 2.0**n for n, wait in enumerate(backoffs, start=1))


def test_a_retry_that_succeeds_is_an_answer(
    api: respx.Router, client: Client, registry: CollectorRegistry
) -> None:
    api.get("/v3/queue").mock(
        side_effect=[
            httpx.ConnectError("refused"),
            httpx.ReadTimeout("slow"),
            httpx.Response(503),
            httpx.Response(200, json={"n": 1}),
        ]
    )
    assert client.get(QUEUE) == {"n": 1}
    for reason in ("connection", "timeout", "server_error"):
        labels = {"source": "test", "reason": reason}
        assert registry.get_sample_value("devin_exporter_api_retries_total", labels) == 1
    for status in ("connection", "timeout", "503", "200"):
        labels = {"source": "test", "path": "/v3/queue", "status": status}
        assert registry.get_sample_value("devin_exporter_api_requests_total", labels) == 1


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (httpx.ConnectError("refused"), errors.ConnectionFailedError),
        (httpx.ReadError("reset"), errors.ConnectionFailedError),
        (httpx.RemoteProtocolError("cut off"), errors.ConnectionFailedError),
        (httpx.ConnectTimeout("slow"), errors.DeadlineError),
        (httpx.ReadTimeout("slow"), errors.DeadlineError),
    ],
)
def test_no_answer_at_every_attempt_is_an_error_of_its_kind(
    api: respx.Router, client: Client, failure: Exception, kind: type[errors.PollError]
) -> None:
    route = api.get("/v3/queue").mock(side_effect=failure)
    with pytest.raises(kind):
        client.get(QUEUE)
    assert route.call_count == ATTEMPTS


@pytest.mark.parametrize("header", ["17", formatdate(NOW + 17, usegmt=True)])
def test_retry_after_is_respected_as_seconds_and_as_a_date(
    api: respx.Router, client: Client, waits: Waits, header: str
) -> None:
    busy = httpx.Response(429, headers={"Retry-After": header})
    api.get("/v3/queue").mock(side_effect=[busy, httpx.Response(200, json={})])
    client.get(QUEUE)
    assert max(waits.seconds) == pytest.approx(17, abs=0.01)


@pytest.mark.parametrize("header", ["0", formatdate(NOW - 60, usegmt=True)])
def test_no_time_to_wait_is_the_usual_wait(
    api: respx.Router, client: Client, waits: Waits, header: str
) -> None:
    busy = httpx.Response(429, headers={"Retry-After": header})
    api.get("/v3/queue").mock(side_effect=[busy, httpx.Response(200, json={})])
    client.get(QUEUE)
    assert 0 < sum(waits.seconds) <= 2.01


@pytest.mark.parametrize("header", ["soon", "", "-5", "1e3", "Sun, 99 Foo 2026"])
def test_a_senseless_retry_after_is_ignored(
    api: respx.Router, client: Client, waits: Waits, header: str
) -> None:
    busy = httpx.Response(429, headers={"Retry-After": header})
    api.get("/v3/queue").mock(side_effect=[busy, httpx.Response(200, json={})])
    assert client.get(QUEUE) == {}
    assert max(waits.seconds) <= 2.0


def test_a_longer_wait_than_the_cap_is_left_to_the_next_poll(
    api: respx.Router, client: Client, waits: Waits
) -> None:
    route = api.get("/v3/queue").respond(429, headers={"Retry-After": "600"})
    with pytest.raises(errors.RateLimitedError):
        client.get(QUEUE)
    assert route.call_count == 1
    assert waits.seconds == []


def test_a_rate_limit_holds_up_the_requests_of_everybody(
    api: respx.Router, client: Client, waits: Waits
) -> None:
    api.get("/v3/queue").respond(429, headers={"Retry-After": "600"})
    api.get("/v3/users").respond(json={})
    with pytest.raises(errors.RateLimitedError):
        client.get(QUEUE)
    client.get(USERS)
    assert sum(waits.seconds) == pytest.approx(LONGEST_WAIT_SECONDS)


def test_all_attempts_together_end_in_time(api: respx.Router, client: Client, clock: Clock) -> None:
    def slow(_: httpx.Request) -> httpx.Response:
        clock.now += 100
        return httpx.Response(503, headers={"Retry-After": "30"})

    route = api.get("/v3/queue").mock(side_effect=slow)
    with pytest.raises(errors.ServerFailedError):
        client.get(QUEUE)
    assert route.call_count == 1


@pytest.mark.parametrize("body", ["", "<html>gateway</html>", '{"n": 1', "NaN,", '{"n": }'])
def test_a_body_that_is_not_json_is_told_so(api: respx.Router, client: Client, body: str) -> None:
    api.get("/v3/queue").respond(200, text=body)
    with pytest.raises(errors.NotJsonError, match="/v3/queue answered with something else"):
        client.get(QUEUE)


def test_json_of_another_shape_is_told_with_its_place_but_not_its_value(
    api: respx.Router, client: Client
) -> None:
    api.get("/v3/list").respond(json={"items": "secret", "has_next_page": False})
    with pytest.raises(errors.ShapeError, match="/v3/list: items: ") as failure:
        client.get_list(NUMBERS)
    assert "secret" not in str(failure.value)


def packed_answer(content: bytes) -> httpx.Response:
    """An answer that httpx has not unpacked yet."""
    headers = {"Content-Encoding": "gzip"}
    return httpx.Response(200, stream=httpx.ByteStream(content), headers=headers)


def test_a_gzipped_answer_is_unpacked(api: respx.Router, client: Client) -> None:
    api.get("/v3/queue").mock(side_effect=lambda _: packed_answer(gzip.compress(b'{"n": 1}')))
    assert client.get(QUEUE) == {"n": 1}


def gzip_answer(content: bytes) -> bytes:
    head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


def test_broken_gzip_is_not_json() -> None:
    with raw_server(gzip_answer(b"plainly not")) as url, pytest.raises(errors.NotJsonError):
        make_client(url).get(QUEUE)


def test_gzip_that_unpacks_to_more_than_the_limit_is_not_taken_in() -> None:
    bomb = gzip.compress(b" " * (4 * LARGEST_BODY_BYTES))
    with raw_server(gzip_answer(bomb)) as url, pytest.raises(errors.BodyTooLargeError):
        make_client(url).get(QUEUE)


def test_gzip_that_unpacks_to_much_takes_little_more_memory_than_the_limit() -> None:
    bomb = gzip.compress(b" " * (4 * LARGEST_BODY_BYTES))
    with raw_server(gzip_answer(bomb)) as url:
        client = make_client(url)
        tracemalloc.start()
        with pytest.raises(errors.BodyTooLargeError):
            client.get(QUEUE)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert most < 1.5 * LARGEST_BODY_BYTES


@pytest.mark.parametrize(
    "packed",
    [gzip.compress(b'{"n": 1}')[:-8], gzip.compress(b'{"n": 1}') + b" " * 100],
    ids=["its end is missing", "something stands behind it"],
)
def test_gzip_that_is_not_whole_is_not_json(packed: bytes) -> None:
    with raw_server(gzip_answer(packed)) as url, pytest.raises(errors.NotJsonError):
        make_client(url).get(QUEUE)


def test_a_body_above_the_limit_is_not_taken_in(api: respx.Router, client: Client) -> None:
    api.get("/v3/queue").respond(200, content=b" " * (LARGEST_BODY_BYTES + 1))
    with pytest.raises(errors.BodyTooLargeError):
        client.get(QUEUE)


class Measured(httpx.SyncByteStream):
    """A body in small chunks, with the largest piece of memory that is in use at its end."""

    largest = 0

    def __iter__(self) -> Iterator[bytes]:
        tracemalloc.start()
        for _ in range(256):
            yield bytes(2**14)
        self.largest = max(trace.size for trace in tracemalloc.take_snapshot().traces)
        tracemalloc.stop()


def test_a_body_is_held_in_small_blocks(api: respx.Router, client: Client) -> None:
    body = Measured()
    api.get("/v3/queue").mock(side_effect=lambda _: httpx.Response(200, stream=body))
    with pytest.raises(errors.NotJsonError):
        client.get(QUEUE)
    assert 2**14 < body.largest < 2**18


SLOWLY = 0.05
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 " + b"x" * 1_000,
        b"HTTP/1.1 200 OK\r\n" + b"X-More: and more\r\n" * 1_000,
        ANSWER + b'{"n": 1}',
    ],
    ids=["a line without an end", "headers without an end", "an answer"],
)
def test_bytes_that_drip_are_given_up_in_time(answer: bytes, clock: Clock) -> None:
    with raw_server(answer, byte_every=SLOWLY) as url:
        client = make_client(url, stopping=Waits(clock), attempt_seconds=4 * SLOWLY)
        with pytest.raises(errors.DeadlineError, match="did not answer in time"):
            client.get(QUEUE)
        client.close()


def test_bytes_that_drip_fast_enough_are_an_answer() -> None:
    with raw_server(ANSWER + b'{"n": 1}', byte_every=0.001) as url:
        client = make_client(url, attempt_seconds=20)
        assert client.get(QUEUE) == {"n": 1}
        client.close()


def test_a_proxy_that_drips_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(b"HTTP/1.1 200 OK\r\n" * 100, byte_every=SLOWLY) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        client = make_client(
            "https://api.example.com", stopping=Waits(Clock(0.0)), attempt_seconds=2 * SLOWLY
        )
        with pytest.raises(errors.DeadlineError):
            client.get(QUEUE)
        client.close()


def test_a_list_is_read_to_its_last_page(api: respx.Router, client: Client) -> None:
    pages = [
        {"items": [1, 2], "has_next_page": True, "end_cursor": "a"},
        {"items": [3], "has_next_page": True, "end_cursor": "b", "total": 4},
        {"items": [4], "has_next_page": False, "end_cursor": None},
    ]
    route = api.get("/v3/list").mock(side_effect=[httpx.Response(200, json=p) for p in pages])
    assert client.get_list(NUMBERS) == [1, 2, 3, 4]
    queries = [dict(call.request.url.params) for call in route.calls]
    assert [query.get("after") for query in queries] == [None, "a", "b"]


@pytest.mark.parametrize("cursors", [["a", "a"], ["a", "b", "a"], [None]])
def test_a_list_whose_cursor_repeats_or_lacks_is_an_error(
    api: respx.Router, client: Client, cursors: list[str | None]
) -> None:
    pages = [{"items": [1], "has_next_page": True, "end_cursor": c} for c in cursors]
    api.get("/v3/list").mock(side_effect=[httpx.Response(200, json=p) for p in pages])
    with pytest.raises(errors.PagingError):
        client.get_list(NUMBERS)


def test_a_list_that_fails_in_the_middle_gives_no_part(api: respx.Router, client: Client) -> None:
    first = httpx.Response(200, json={"items": [1], "has_next_page": True, "end_cursor": "a"})
    api.get("/v3/list").mock(side_effect=[first, httpx.Response(404)])
    with pytest.raises(errors.NotFoundError):
        client.get_list(NUMBERS)


def test_a_row_that_cannot_be_read_costs_that_row_on_whichever_page_it_is(
    api: respx.Router, client: Client
) -> None:
    pages = [
        {"items": [1, "x"], "has_next_page": True, "end_cursor": "a"},
        {"items": [None], "has_next_page": True, "end_cursor": "b"},
        {"items": [4], "has_next_page": False, "end_cursor": None},
    ]
    api.get("/v3/list").mock(side_effect=[httpx.Response(200, json=p) for p in pages])
    listed = client.get_list(NUMBERS)
    assert (listed, listed.unreadable) == ([1, 4], 2)


def test_rows_that_cannot_be_read_are_logged_once_by_field_without_values_until_all_can(
    api: respx.Router, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "exporter")
    good, bad = ({"items": items, "has_next_page": False} for items in ([1], [1, "secret"]))
    pages = [bad, bad, good, good, bad]
    api.get("/v3/list").mock(side_effect=[httpx.Response(200, json=p) for p in pages])
    for _ in pages:
        client.get_list(NUMBERS)
    line = "rows that cannot be read are left out: 1 (row: Input should be a valid integer)"
    assert [record.getMessage() for record in caplog.records] == [line, line]


@pytest.mark.parametrize("page", [{}, {"has_next_page": None}, {"end_cursor": None}])
def test_a_page_without_a_cursor_may_leave_out_whether_it_is_the_last(
    api: respx.Router, client: Client, page: dict[str, object]
) -> None:
    api.get("/v3/list").respond(json={"items": [1], **page})
    assert client.get_list(NUMBERS) == [1]


@pytest.mark.parametrize("page", [{}, {"has_next_page": None}])
def test_a_page_with_a_cursor_must_say_whether_it_is_the_last(
    api: respx.Router, client: Client, page: dict[str, object]
) -> None:
    api.get("/v3/list").respond(json={"items": [1], "end_cursor": "a", **page})
    with pytest.raises(errors.PagingError, match="does not say whether there is a next page"):
        client.get_list(NUMBERS)


def test_a_refused_key_is_logged_once_and_its_return_too(
    api: respx.Router, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "exporter")
    refused, accepted = httpx.Response(401), httpx.Response(200, json={})
    api.get("/v3/queue").mock(side_effect=[refused, refused, accepted, accepted])
    for _ in range(2):
        with pytest.raises(errors.KeyRefusedError):
            client.get(QUEUE)
        assert client.key_refused
    for _ in range(2):
        client.get(QUEUE)
        assert not client.key_refused
    assert [record.getMessage() for record in caplog.records] == [
        "the API refuses the key (401)",
        "the API accepts the key again",
    ]


@pytest.mark.parametrize(
    "unproven",
    [
        httpx.Response(403),
        httpx.Response(404),
        httpx.Response(422),
        httpx.Response(502),
        httpx.Response(200, html="<html>We are back soon</html>"),
    ],
    ids=lambda answer: str(answer.status_code),
)
def test_only_a_good_answer_proves_that_a_key_is_accepted_again(
    api: respx.Router, client: Client, unproven: httpx.Response
) -> None:
    refused, accepted = httpx.Response(401), httpx.Response(200, json={})
    api.get("/v3/queue").mock(side_effect=[refused, *[unproven] * ATTEMPTS, accepted])
    for _ in range(2):
        with pytest.raises(errors.PollError):
            client.get(QUEUE)
        assert client.key_refused
    while client.key_refused:
        with suppress(errors.PollError):
            client.get(QUEUE)
    assert api.calls.last.response.status_code == 200


REFLECTED = b"Authorization Bearer " + KEY.encode()


@pytest.mark.parametrize(
    "answer",
    [
        REFLECTED + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + REFLECTED + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + REFLECTED + b"\r\n\r\n",
        b"HTTP/1.1 500 " + REFLECTED + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: https://x:" + REFLECTED + b"/\r\n"
        b"Content-Length: 0\r\n\r\n",
    ],
    ids=["status line", "header", "length", "phrase", "location"],
)
def test_no_bytes_of_the_other_side_reach_a_message(answer: bytes, clock: Clock) -> None:
    with raw_server(answer) as url:
        client = make_client(url, stopping=Waits(clock))
        with pytest.raises(errors.PollError) as failure:
            client.get(QUEUE)
        client.close()
    assert KEY not in str(failure.value)
    assert "Authorization" not in str(failure.value)


def test_a_redirect_to_what_is_no_url_is_a_redirect(api: respx.Router, client: Client) -> None:
    api.get("/v3/queue").respond(302, headers={"Location": "https://x:port/"})
    with pytest.raises(errors.RedirectedError):
        client.get(QUEUE)


def test_once_stopping_nothing_is_sent(api: respx.Router, client: Client, waits: Waits) -> None:
    route = api.get("/v3/queue").respond(json={})
    waits.set()
    with pytest.raises(errors.StoppedError):
        client.get(QUEUE)
    assert route.call_count == 0


@given(
    st.floats(0.1, 1_000),
    st.lists(st.floats(0, 3), min_size=2, max_size=60),
)
def test_no_second_ever_holds_more_requests_than_the_budget(
    per_second: float, pauses: list[float]
) -> None:
    clock = Clock(0.0)
    budget = RateLimiter(per_second, clock)
    sent: list[float] = []

    def wait(seconds: float) -> None:
        # Waking early is possible, and so is waking late.
        clock.now += seconds * 0.9 if seconds > 1e-6 else seconds + 1e-9

    for pause in pauses:
        clock.now += pause
        budget.acquire(wait)
        sent.append(clock.now)
    gaps = [later - earlier for earlier, later in pairwise(sent)]
    assert all(gap >= 1 / per_second - 1e-9 for gap in gaps)


def test_requests_in_flight_never_exceed_the_concurrency() -> None:
    lock = threading.Lock()
    in_flight = most = 0
    both = threading.Barrier(2, timeout=HANG_SECONDS)

    def answer(_: httpx.Request) -> httpx.Response:
        nonlocal in_flight, most
        with lock:
            in_flight += 1
            most = max(most, in_flight)
        both.wait()
        with lock:
            in_flight -= 1
        return httpx.Response(200, json={})

    with respx.mock(base_url=URL) as api:
        api.get("/v3/queue").mock(side_effect=answer)
        client = make_client(URL, concurrency=2)
        threads = [threading.Thread(target=client.get, args=(QUEUE,)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert most == 2


def test_a_429_halves_the_rate_once_for_all_that_were_sent_before() -> None:
    clock = Clock(0.0)
    budget = RateLimiter(8.0, clock)
    clock.now = 1.0
    for _ in range(5):
        budget.reduce(sent=0.5)
    assert budget.per_second() == 4.0
    budget.reduce(sent=1.0)
    assert budget.per_second() == 2.0


def test_after_429s_the_rate_recovers_slowly_and_never_exceeds_its_setting() -> None:
    clock = Clock(0.0)
    budget = RateLimiter(8.0, clock)
    for _ in range(20):
        budget.reduce(sent=clock.now)
    assert budget.per_second() == pytest.approx(8.0 / 64)
    rates = []
    for _ in range(120):
        clock.now += 10
        rates.append(budget.per_second())
    assert rates == sorted(rates)
    assert rates[29] == pytest.approx(4.0 + 8.0 / 64)
    assert rates[-1] == 8.0


def test_of_those_that_wait_the_most_urgent_goes_first() -> None:
    turns, order = Turns(1), []
    all_wait, first_may_go = threading.Event(), threading.Event()

    def pass_through(priority: Priority) -> None:
        def wait_for_slot() -> None:
            order.append(priority)
            if len(order) == 1:
                assert first_may_go.wait(HANG_SECONDS)

        with turns.turn(priority, wait_for_slot):
            pass

    waiting = [Priority.SWEEP, Priority.MOVED, Priority.QUEUE, Priority.SWEEP, Priority.TOTAL]
    threads = [threading.Thread(target=pass_through, args=(Priority.LISTS,))]
    threads[0].start()
    while not order:
        all_wait.wait(0.001)
    for priority in waiting:
        threads.append(threading.Thread(target=pass_through, args=(priority,)))
        threads[-1].start()
    while sum(turns.waiting(priority) for priority in Priority) < len(waiting):
        all_wait.wait(0.001)
    assert turns.waiting(Priority.SWEEP) == 2
    first_may_go.set()
    for thread in threads:
        thread.join()
    assert order == [Priority.LISTS, *sorted(waiting)]


def test_requests_are_counted_by_their_priority(api: respx.Router) -> None:
    registry = CollectorRegistry()
    client = make_client(URL, registry=registry, requests_per_second=500)
    api.get("/v3/queue").respond(json={})
    client.get(replace(QUEUE, priority=Priority.QUEUE))
    client.get(QUEUE)
    name = "devin_exporter_api_requests_queued_total"
    for priority, expected in ((Priority.QUEUE, 1), (Priority.LISTS, 1), (Priority.SWEEP, 0)):
        labels = {"source": "test", "priority": priority.label}
        assert registry.get_sample_value(name, labels) == expected
        waiting = registry.get_sample_value("devin_exporter_api_requests_waiting", labels)
        assert waiting == 0
    budget = "devin_exporter_request_budget_per_second"
    assert registry.get_sample_value(budget, {"source": "test"}) == 500
