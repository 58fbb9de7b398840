"""Requests as bytes: their heads have a limit, and several may be sent at once."""

import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest

from exporter.web.connections import ConnectionLimits
from tests.exporter.web.serving import Served, serving
from tests.exporter.web.test_connections import connect, hung_up_on, received, until

LATER = 600.0
REQUEST = b"GET /-/healthy HTTP/1.1\r\nHost: it\r\n"
LAST = b"Connection: close\r\n\r\n"
LIMIT = 2**16
CHUNKED = b"POST / HTTP/1.1\r\nHost: it\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def patient() -> Iterator[Served]:
    """A server that ends no connection because of time."""
    with serving(ConnectionLimits(head=LATER, response=LATER, idle=LATER)) as served:
        yield served


def response_to(served: Served, *sent: bytes) -> bytes:
    """All that comes until the server ends the connection."""
    with connect(served.url) as client:
        with suppress(ConnectionError):
            for part in sent:
                client.sendall(part)
        return received(client)


def test_a_head_below_the_limit_is_served(patient: Served) -> None:
    header = b"X-Long: " + b"x" * (LIMIT - 1_000) + b"\r\n"
    assert response_to(patient, REQUEST, header, LAST).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "head",
    [
        REQUEST + b"X-Long: " + b"x" * 2 * LIMIT + b"\r\n" + LAST,
        REQUEST + b"X-Short: x\r\n" * LIMIT + LAST,
        b"GET /" + b"x" * 2 * LIMIT + b" HTTP/1.1\r\nHost: it\r\n" + LAST,
    ],
    ids=["a long header", "many headers", "a long target"],
)
def test_a_head_beyond_the_limit_is_refused(patient: Served, head: bytes) -> None:
    response = response_to(patient, head)
    assert response == b"" or response.startswith(b"HTTP/1.1 400 ")
    assert b"healthy" not in response


@pytest.mark.parametrize(
    "endless",
    [
        REQUEST + b"X-Long: " + b"x" * 8 * LIMIT,
        REQUEST + b"x" * 8 * LIMIT,
        b"GET /" + b"x" * 8 * LIMIT,
        b"x" * 8 * LIMIT,
        b"\r\n" * 8 * LIMIT,
        CHUNKED + b"1;" + b"x" * 8 * LIMIT,
        CHUNKED + b"1\r\nx\r\n0\r\nX-Long: " + b"x" * 8 * LIMIT,
        CHUNKED + b"1\r\nx\r\n0\r\n" + b"X-Short: x\r\n" * 2 * LIMIT,
    ],
    ids=[
        "header",
        "name of a header",
        "target",
        "method",
        "empty lines",
        "extension of a chunk",
        "trailer",
        "trailers",
    ],
)
def test_what_never_ends_is_not_waited_for(patient: Served, endless: bytes) -> None:
    assert b"200 OK" not in response_to(patient, endless)


def test_a_body_is_no_part_of_the_head(patient: Served) -> None:
    body = b"x" * 4 * LIMIT
    head = b"POST /metrics HTTP/1.1\r\nHost: it\r\nContent-Length: %d\r\n" % len(body)
    assert response_to(patient, head, LAST, body).startswith(b"HTTP/1.1 405 ")


def test_requests_that_are_sent_at_once_are_answered_in_their_order(patient: Served) -> None:
    patient.publish_values(*(f"{number}" * 100 for number in range(20_000)), expires=5_000.0)
    metrics = b"GET /metrics HTTP/1.1\r\nHost: it\r\n\r\n"
    response = response_to(patient, metrics, REQUEST + b"\r\n", b"GET /other HTTP/1.1\r\n" + LAST)
    assert response.count(b"HTTP/1.1 ") == 3
    assert response.count(b"some_value{") == 20_000
    assert response.index(b"some_value{") < response.index(b"healthy\n") < response.index(b"404 ")


def test_the_last_of_requests_that_are_sent_at_once_has_the_time_of_a_response() -> None:
    limits = ConnectionLimits(head=LATER, response=0.2, idle=LATER)
    with serving(limits) as served:
        served.publish_values(*(f"{number}" * 100 for number in range(40_000)), expires=5_000.0)
        metrics = b"GET /metrics HTTP/1.1\r\nHost: it\r\n\r\n"
        with connect(served.url, receive_bytes=4_096) as client:
            client.sendall(REQUEST + b"\r\n" + metrics)
            assert client.recv(15, socket.MSG_PEEK) == b"HTTP/1.1 200 OK"
            until(lambda: hung_up_on(client))


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket", b"other"])
def test_an_offer_of_another_protocol_is_not_taken(patient: Served, protocol: bytes) -> None:
    offer = b"Connection: Upgrade\r\nUpgrade: " + protocol + b"\r\n\r\n"
    with connect(patient.url) as client:
        client.sendall(REQUEST + offer)
        first = b""
        while not first.endswith(b"healthy\n"):
            first += client.recv(LIMIT)
        client.sendall(REQUEST + LAST)
        assert received(client).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 600,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /metr\xc3\xadcs HTTP/1.1\r\nHost: it\r\n\r\n",
        b"CONNECT it:443 HTTP/1.1\r\nHost: it\r\n\r\n",
    ],
    ids=["TLS", "HTTP/2", "not ASCII", "CONNECT"],
)
def test_what_is_no_request_for_a_path_is_refused(patient: Served, sent: bytes) -> None:
    with connect(patient.url) as client:
        client.sendall(sent)
        assert client.recv(10) == b"HTTP/1.1 4"
