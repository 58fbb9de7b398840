"""The rows of docs/reference/failures.md about finding the API, and what helps to find it."""

import socket
from threading import Event

import pytest

from exporter.demo.endpoints import GATEWAY, V2, V3
from tests.failures.assertions import assert_never_answered
from tests.failures.rig import Servers, assert_no_part_of_a_key, polled, polled_tasks, stage
from tests.failures.rows import MAIN, Row
from tests.support.faulty_server import UNKNOWN_NAME, Proxy, bound


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Event:
    """Whether the name is known; no other machine is asked for it, and none has to answer."""
    known = Event()
    ask = socket.getaddrinfo

    def asked(host: str, *rest: int) -> object:
        if host != UNKNOWN_NAME:
            return ask(host, *rest)
        where = "127.0.0.1" if known.is_set() else host
        port, family, kind = rest
        return ask(where, port, family, kind, flags=socket.AI_NUMERICHOST)

    monkeypatch.setattr(socket, "getaddrinfo", asked)
    return known


def test_dns_that_fails(of: Servers, row: Row, found: Event) -> None:
    (sources,) = row.victims
    with stage(of, {"DEVIN_API_URL": f"https://{UNKNOWN_NAME}:{of.devin.port}"}) as staged:
        assert_never_answered(row, staged, sources, found.set)


def test_a_proxy_that_is_down(of: Servers, row: Row) -> None:
    (sources,) = row.victims
    nobody = bound()
    proxies: list[Proxy] = []
    settings = {
        "DEVIN_API_URL": f"https://{UNKNOWN_NAME}:{of.devin.port}",
        "HTTPS_PROXY": f"http://127.0.0.1:{nobody.getsockname()[1]}",
    }
    with nobody, stage(of, settings) as staged:
        assert_never_answered(
            row, staged, sources, lambda: proxies.append(Proxy(of.devin.port, nobody))
        )
        proxies[0].stop()


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_the_standard_proxy_variables_work_and_no_proxy_sees_the_key(
    of: Servers, variable: str
) -> None:
    proxy = Proxy(of.devin.port)
    url = f"https://{UNKNOWN_NAME}:{of.devin.port}"
    with stage(of, {"DEVIN_API_URL": url, variable: proxy.url}) as staged:
        look = polled(staged)
        assert (look.down(), look.ready, look.failures()) == (set(), 200, {})
    proxy.stop()
    assert {asked.split()[1] for asked in proxy.asked} == {f"{UNKNOWN_NAME}:{of.devin.port}"}
    assert_no_part_of_a_key(*proxy.asked)


@pytest.mark.usefixtures("found")
def test_no_proxy_names_the_hosts_that_are_asked_without_one(of: Servers) -> None:
    proxy = Proxy(of.devin.port)
    task = MAIN[V3][1]
    url = f"https://{UNKNOWN_NAME}:{of.devin.port}"
    with stage(
        of, {"DEVIN_API_URL": url, "HTTPS_PROXY": proxy.url, "NO_PROXY": UNKNOWN_NAME}
    ) as staged:
        assert polled(staged, task).failures() == {(task, "connection"): 1}
    proxy.stop()
    assert proxy.asked == []


def test_a_ca_of_ones_own_is_trusted_only_where_it_is_named(of: Servers) -> None:
    with stage(of, {"DEVIN_CA_FILE": None}) as staged:
        look = polled(staged)
        assert look.up(MAIN[GATEWAY][1]) == 1
        assert look.down() == polled_tasks(staged, (V3, V2))
        assert "certificate verify failed" in staged.logged()
