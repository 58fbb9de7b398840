"""The HTTP endpoints on a real socket."""

from http.client import HTTPConnection

import httpx
import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)

from exporter.errors import ServerFailedError
from exporter.web.connections import ConnectionLimits
from exporter.web.server import ListenError, WebServer, listen
from tests.exporter.web.serving import Served
from tests.support import loopback
from tests.support.rig import Scrape

OPENMETRICS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)


def test_the_text_format_is_the_default(served: Served) -> None:
    served.publish(expires=5_000.0)
    answer = loopback.get(f"{served.url}/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    scrape = Scrape.of(answer.text)
    assert scrape.one("some_value", of="it") == 1.5
    assert scrape.one("own_total") == 2


def test_openmetrics_is_given_to_whom_asks_for_it(served: Served) -> None:
    served.publish(expires=5_000.0)
    answer = loopback.get(f"{served.url}/metrics", headers={"Accept": OPENMETRICS})
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    families = {family.name for family in openmetrics_families(answer.text)}
    assert families == {"some_value", "own"}
    assert answer.text.endswith("# EOF\n")


def test_a_scrape_after_the_pages_time_sees_it_made_anew(served: Served) -> None:
    served.publish(expires=served.clock() + 100)
    served.clock.now += 99
    loopback.get(f"{served.url}/metrics")
    assert served.refreshed == 0
    served.clock.now += 1
    loopback.get(f"{served.url}/metrics")
    loopback.get(f"{served.url}/metrics")
    assert served.refreshed == 1


def test_healthy_is_200_whatever_the_vendor_does(served: Served) -> None:
    served.refused = True
    served.ended(error=ServerFailedError("/v3/x answered 500"))
    assert loopback.get(f"{served.url}/-/healthy").status_code == 200


def test_ready_comes_with_the_first_success_and_outlives_failures(served: Served) -> None:
    answer = loopback.get(f"{served.url}/-/ready")
    assert (answer.status_code, answer.text) == (503, "not ready: no success yet of: it<\n")
    served.ended()
    assert loopback.get(f"{served.url}/-/ready").status_code == 200


def test_a_refused_key_is_never_ready(served: Served) -> None:
    served.ended()
    served.refused = True
    answer = loopback.get(f"{served.url}/-/ready")
    assert answer.status_code == 503
    assert answer.text == "not ready: the API refuses the key of: test\n"


def test_the_page_shows_every_task_escaped(served: Served) -> None:
    answer = loopback.get(f"{served.url}/")
    assert "it&lt;</th>" in answer.text
    assert "waiting" in answer.text
    served.ended(error=ServerFailedError("/v3/<x> answered 500"))
    answer = loopback.get(f"{served.url}/")
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "/v3/&lt;x&gt; answered 500" in answer.text
    assert "down" in answer.text
    assert "in 42 s" in answer.text
    assert "1.2.3" in answer.text
    assert 'href="metrics"' in answer.text


@pytest.mark.parametrize("path", ["/metrics", "/", "/api/v1/status", "/-/healthy", "/-/ready"])
def test_head_is_as_get_without_a_body(served: Served, path: str) -> None:
    get, head = loopback.get(served.url + path), httpx.head(served.url + path)
    assert head.status_code == get.status_code
    assert head.headers["Content-Type"] == get.headers["Content-Type"]
    assert head.content == b""


def test_everything_else_is_404_or_405(served: Served) -> None:
    for path in ("/other", "/metrics/", "/-/", "//metrics"):
        assert loopback.get(served.url + path).status_code == 404, path
    for method in ("POST", "PUT", "DELETE"):
        assert httpx.request(method, f"{served.url}/metrics").status_code == 405


def test_a_taken_port_is_told_with_its_address(served: Served) -> None:
    port = int(served.url.rpartition(":")[2])
    with pytest.raises(ListenError, match=f"cannot listen on 127.0.0.1:{port}: Address already"):
        listen([("127.0.0.1", 0), ("127.0.0.1", port)])


def test_an_empty_host_listens_everywhere_and_several_addresses_at_once(served: Served) -> None:
    sockets = listen([("", 0), ("::1", 0), ("127.0.0.1", 0)])
    server = WebServer(served.endpoints.app(), sockets, limits=ConnectionLimits())
    server.start()
    everywhere, v6, v4 = [opened.getsockname()[1] for opened in sockets]
    for address in (f"127.0.0.1:{everywhere}", f"[::1]:{everywhere}", f"[::1]:{v6}"):
        assert loopback.get(f"http://{address}/-/healthy").status_code == 200
    assert loopback.get(f"http://127.0.0.1:{v4}/-/healthy").status_code == 200
    server.stop()


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://exporter.example:9877/metrics", 200),
        ("HTTP://exporter.example/metrics?name=any", 200),
        ("https://exporter.example/-/healthy", 200),
        ("http://exporter.example", 200),
        ("http://exporter.example/other", 404),
        ("http://[broken/metrics", 404),
        ("http:///metrics", 404),
        ("ftp://exporter.example/metrics", 404),
        ("exporter.example:9877", 404),
        ("*", 404),
    ],
)
def test_absolute_request_targets_are_understood(served: Served, target: str, status: int) -> None:
    connection = HTTPConnection(served.url.removeprefix("http://"))
    connection.putrequest("GET", target, skip_host=True)
    connection.putheader("Host", "elsewhere.example")
    connection.endheaders()
    assert connection.getresponse().status == status
    connection.close()
