"""Passwords, headers and the rate limit, in front of every endpoint."""

import base64
from contextlib import ExitStack

import httpx
import pytest

from exporter.web.config.document import RateLimit
from exporter.web.config.loaded import WebConfig
from exporter.web.config.passwords import Credentials, Passwords, credentials_of
from exporter.web.config.rate_limit import TokenBucket
from exporter.web.connections import ConnectionLimits
from tests.exporter.web.config.folder import PASSWORD, hash_of
from tests.exporter.web.serving import serving
from tests.exporter.web.test_connections import connect
from tests.support import loopback
from tests.support.rig import Clock

USERS = {"alice": hash_of(), "bob": hash_of("another", cost=5)}
GUESSERS = 200
"""More than passwords are checked at once."""
ENDPOINTS = ("/metrics", "/", "/-/healthy", "/-/ready", "/nothing")


def basic(user: str, password: str) -> dict[str, str]:
    encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {encoded}"}


@pytest.mark.parametrize("path", ENDPOINTS)
def test_no_endpoint_answers_without_the_right_password(path: str) -> None:
    with serving(ConnectionLimits(), lambda: WebConfig(users=USERS)) as served:
        wrong: list[dict[str, str]] = [
            {},
            basic("alice", "wrong"),
            basic("alice", ""),
            basic("nobody", PASSWORD),
            basic("bob", PASSWORD),
            {"Authorization": "Basic !"},
            {"Authorization": "Basic " + base64.b64encode(b"no colon").decode()},
            {"Authorization": "Basic " + base64.b64encode(b"\xff:x").decode()},
            {"Authorization": f"Bearer {PASSWORD}"},
        ]
        for headers in wrong:
            answer = loopback.get(served.url + path, headers=headers)
            assert (answer.status_code, answer.text) == (401, "Unauthorized\n")
            assert answer.headers["WWW-Authenticate"].startswith("Basic ")
        answer = loopback.get(served.url + path, headers=basic("alice", PASSWORD))
        assert answer.status_code != 401


def test_users_that_change_hold_from_the_next_request_on_one_connection() -> None:
    config = [WebConfig(users=USERS)]
    with serving(ConnectionLimits(), lambda: config[0]) as served, loopback.client() as client:
        url = f"{served.url}/-/healthy"
        assert client.get(url, headers=basic("alice", PASSWORD)).status_code == 200
        config[0] = WebConfig(users={"alice": hash_of("new")})
        assert client.get(url, headers=basic("alice", PASSWORD)).status_code == 401
        assert client.get(url, headers=basic("alice", "new")).status_code == 200
        config[0] = WebConfig()
        assert client.get(url).status_code == 200


def test_a_right_password_is_remembered_until_its_hash_changes() -> None:
    passwords = Passwords()
    given = Credentials("alice", PASSWORD.encode())
    assert not passwords.remembered(USERS, given)
    assert passwords.verify(USERS, given)
    assert passwords.remembered(USERS, given)
    assert not passwords.remembered(USERS, Credentials("alice", b"another"))
    assert not passwords.remembered({"alice": hash_of("new")}, given)
    assert not passwords.remembered({}, given)


def test_a_wrong_password_is_not_remembered_and_memory_is_bounded() -> None:
    passwords = Passwords()
    assert not passwords.verify(USERS, Credentials("alice", b"wrong"))
    assert not passwords.verify(USERS, Credentials("nobody", PASSWORD.encode()))
    many = {f"user-{number}": USERS["alice"] for number in range(200)}
    for user in many:
        assert passwords.verify(many, Credentials(user, PASSWORD.encode()))
    remembered = [
        user for user in many if passwords.remembered(many, Credentials(user, PASSWORD.encode()))
    ]
    assert 0 < len(remembered) <= 128


def test_a_user_that_does_not_exist_is_compared_as_one_that_does() -> None:
    """The comparison is with a user's hash, so it takes as long, and never lets anyone in."""
    passwords = Passwords()
    only = {"alice": hash_of()}
    assert not passwords.verify(only, Credentials("nobody", PASSWORD.encode()))
    assert not passwords.remembered(only, Credentials("nobody", PASSWORD.encode()))


@pytest.mark.parametrize("password", ["x" * 100, "a\0b", "pä'ß:€", ""])
def test_any_bytes_may_be_a_password(password: str) -> None:
    users = {"alice": hash_of(password[:72])}
    given = credentials_of(basic("alice", password)["Authorization"])
    assert given is not None
    assert Passwords().verify(users, given)


def test_the_prefixes_of_other_programs_are_understood() -> None:
    for prefix in ("$2a$", "$2b$", "$2y$"):
        users = {"alice": prefix + hash_of().removeprefix("$2b$")}
        assert Passwords().verify(users, Credentials("alice", PASSWORD.encode()))


def test_headers_are_on_every_response_and_replace_the_defaults() -> None:
    headers = {"X-Frame-Options": "sameorigin", "Strict-Transport-Security": "max-age=1"}
    with serving(ConnectionLimits(), lambda: WebConfig(headers=headers)) as served:
        for path in ENDPOINTS:
            answer = loopback.get(served.url + path)
            assert answer.headers.get_list("X-Frame-Options") == ["sameorigin"]
            assert answer.headers["Strict-Transport-Security"] == "max-age=1"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_a_rate_limit_refuses_what_is_too_much_until_its_interval_has_passed() -> None:
    config = WebConfig(rate_limit=RateLimit(interval=10, burst=2))
    with serving(ConnectionLimits(), lambda: config) as served:

        def status() -> int:
            return loopback.get(f"{served.url}/-/healthy").status_code

        assert [status() for _ in range(3)] == [200, 200, 429]
        served.clock.now += 9
        assert status() == 429
        served.clock.now += 1
        assert [status(), status()] == [200, 429]


def test_a_burst_of_0_lets_nothing_pass_and_an_interval_of_0_everything() -> None:
    clock = Clock(0.0)
    assert not TokenBucket(RateLimit(interval=1, burst=0), clock).take()
    assert all(TokenBucket(RateLimit(interval=0, burst=0), clock).take() for _ in range(100))


def test_too_many_unknown_passwords_at_once_are_refused_and_known_ones_do_not_wait() -> None:
    slow = {"slow": hash_of("slow", cost=9), "alice": USERS["alice"]}
    with serving(ConnectionLimits(), lambda: WebConfig(users=slow)) as served:
        known = basic("alice", PASSWORD)
        assert loopback.get(f"{served.url}/-/healthy", headers=known).status_code == 200
        wrong = b"GET / HTTP/1.1\r\nHost: it\r\nAuthorization: Basic c2xvdzp4\r\n\r\n"
        with ExitStack() as stack:
            guessers = [stack.enter_context(connect(served.url)) for _ in range(GUESSERS)]
            for guesser in guessers:
                guesser.sendall(wrong)
            assert loopback.get(f"{served.url}/-/healthy", headers=known).status_code == 200
            answers = [guesser.recv(12) for guesser in guessers]
    assert set(answers) <= {b"HTTP/1.1 401", b"HTTP/1.1 503"}
    assert answers.count(b"HTTP/1.1 503") >= 1


def test_head_and_other_methods_want_the_password_too() -> None:
    with serving(ConnectionLimits(), lambda: WebConfig(users=USERS)) as served:
        for method in ("HEAD", "POST", "OPTIONS"):
            assert httpx.request(method, f"{served.url}/metrics").status_code == 401
