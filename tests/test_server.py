"""The HTTP endpoints on a real socket."""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import loopback
import pytest
from harness import Clock, Scrape
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)

from exporter.errors import ServerFailedError
from exporter.metrics import Metric
from exporter.store import Outcome, Store
from exporter.tasks import Snapshot, Task
from exporter.web.endpoints import Endpoints
from exporter.web.server import ListenError, WebServer, listen

VALUE = Metric("some_value", "A value.", ("of",))
OPENMETRICS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)


@dataclass
class Served:
    """Endpoints on a socket, and what stands behind it."""

    clock: Clock = field(default_factory=lambda: Clock(1_000.0))
    refused: list[str] = field(default_factory=list)
    refreshed: int = 0
    url: str = ""

    def __post_init__(self) -> None:
        task = Task(
            name="it<",
            source="test",
            interval=300,
            metrics=(VALUE,),
            poll=lambda: None,
            snapshot=lambda now, max_age: Snapshot(expires=now + max_age),
            main=lambda: True,
        )
        self.store = Store([task])
        registry = CollectorRegistry()
        Counter("own", "The exporter's own.", registry=registry).inc(2)
        self.endpoints = Endpoints(
            store=self.store,
            registry=registry,
            refresh=self.refresh,
            refused=lambda: self.refused,
            due_in=lambda _: 42.4,
            clock=self.clock,
            telemetry_path="/metrics",
            version="1.2.3",
        )

    def refresh(self) -> None:
        """Publish again."""
        self.refreshed += 1
        self.publish(expires=self.clock() + 100)

    def publish(self, *, expires: float) -> None:
        """Publish one series."""
        snapshot = Snapshot((VALUE(1.5, of="it"),), expires=expires)
        self.store.publish("it<", snapshot, now=self.clock())
        self.store.refresh_page()

    def ended(self, *, error: Exception | None = None) -> None:
        """Note how the task ended."""
        success = self.clock() if error is None else None
        self.store.ended("it<", Outcome(self.clock(), 0.5, error, success, 0.5))


@pytest.fixture
def served() -> Iterator[Served]:
    served = Served()
    sockets = listen([("127.0.0.1", 0)])
    served.url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    server = WebServer(served.endpoints.app(), sockets)
    server.start()
    yield served
    server.stop()


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


@pytest.mark.parametrize(
    "accept", ["*/*", "", "application/openmetrics-text;version=x", "text/plain;version=;;=", ";"]
)
def test_no_accept_header_breaks_a_scrape(served: Served, accept: str) -> None:
    served.publish(expires=5_000.0)
    answer = loopback.get(f"{served.url}/metrics", headers={"Accept": accept})
    assert answer.status_code == 200
    assert "some_value" in answer.text


def test_gzip_is_given_to_whom_asks_for_it_and_to_nobody_else(served: Served) -> None:
    served.publish(expires=5_000.0)
    with httpx.stream(
        "GET", f"{served.url}/metrics", headers={"Accept-Encoding": "gzip"}
    ) as answer:
        packed = b"".join(answer.iter_raw())
    assert answer.headers["Content-Encoding"] == "gzip"
    plain = loopback.get(f"{served.url}/metrics", headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    assert gzip.decompress(packed) == plain.content


@pytest.mark.parametrize("quality", ["0", "0.0", " 0.000"])
def test_what_is_refused_by_a_quality_of_zero_is_not_given(served: Served, quality: str) -> None:
    headers = {
        "Accept": f"application/openmetrics-text;version=1.0.0;q={quality}, text/plain",
        "Accept-Encoding": f"gzip;q={quality}, identity",
    }
    answer = loopback.get(f"{served.url}/metrics", headers=headers)
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert "Content-Encoding" not in answer.headers


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
    served.refused.append("devin")
    served.ended(error=ServerFailedError("/v3/x answered 500"))
    assert loopback.get(f"{served.url}/-/healthy").status_code == 200


def test_ready_comes_with_the_first_success_and_outlives_failures(served: Served) -> None:
    answer = loopback.get(f"{served.url}/-/ready")
    assert (answer.status_code, answer.text) == (503, "not ready: no success yet of: it<\n")
    served.ended()
    assert loopback.get(f"{served.url}/-/ready").status_code == 200


def test_a_refused_key_is_never_ready(served: Served) -> None:
    served.ended()
    served.refused.append("devin")
    answer = loopback.get(f"{served.url}/-/ready")
    assert answer.status_code == 503
    assert answer.text == "not ready: the API refuses the key of: devin\n"


def test_the_page_shows_every_task_escaped(served: Served) -> None:
    answer = loopback.get(f"{served.url}/")
    assert "<td>it&lt;</td>" in answer.text
    assert "waiting" in answer.text
    served.ended(error=ServerFailedError("/v3/<x> answered 500"))
    answer = loopback.get(f"{served.url}/")
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "/v3/&lt;x&gt; answered 500" in answer.text
    assert "down" in answer.text
    assert "in 42 s" in answer.text
    assert "1.2.3" in answer.text
    assert 'href="/metrics"' in answer.text


@pytest.mark.parametrize("path", ["/metrics", "/", "/-/healthy", "/-/ready"])
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
    server = WebServer(served.endpoints.app(), sockets)
    server.start()
    everywhere, v6, v4 = [opened.getsockname()[1] for opened in sockets]
    for address in (f"127.0.0.1:{everywhere}", f"[::1]:{everywhere}", f"[::1]:{v6}"):
        assert loopback.get(f"http://{address}/-/healthy").status_code == 200
    assert loopback.get(f"http://127.0.0.1:{v4}/-/healthy").status_code == 200
    server.stop()
