"""What each client is given, on a real socket."""

import gzip
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPResponse

import httpx
import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)

from tests.exporter.web.scrapers import FIRST_OPENMETRICS, OPENMETRICS, SCRAPERS, TEXT, Scraper
from tests.exporter.web.serving import Served
from tests.support import loopback
from tests.support.rig import Scrape


def metrics(served: Served, headers: Sequence[tuple[str, str]]) -> tuple[HTTPResponse, bytes]:
    """Ask with these headers, line by line, and no others."""
    connection = HTTPConnection(served.url.removeprefix("http://"))
    try:
        connection.putrequest("GET", "/metrics", skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def test_there_are_many_scrapers() -> None:
    assert len({scraper.name for scraper in SCRAPERS}) == len(SCRAPERS)
    assert len({scraper.accept for scraper in SCRAPERS}) >= 36


@pytest.mark.parametrize("scraper", [pytest.param(each, id=each.name) for each in SCRAPERS])
def test_each_scraper_is_given_what_it_reads(served: Served, scraper: Scraper) -> None:
    served.publish(expires=5_000.0)
    response, body = metrics(served, scraper.headers)
    assert response.status == 200
    content_type = response.headers["Content-Type"]
    assert content_type == scraper.gets
    assert content_type.partition(";")[0] in scraper.reads.value
    assert response.headers["Content-Encoding"] == ("gzip" if scraper.gzip else None)
    text = (gzip.decompress(body) if scraper.gzip else body).decode()
    if content_type == TEXT:
        assert Scrape.of(text).one("own_total") == 2
        assert "# EOF" not in text
    else:
        families = {family.name for family in openmetrics_families(text)}
        assert families == {"some_value", "own"}


@pytest.mark.parametrize(
    ("accept", "gets"),
    [
        ("text/plain;q=0.4, application/openmetrics-text;q=0.5", OPENMETRICS),
        ("text/plain;q=0.5, application/openmetrics-text;q=0.4", TEXT),
        ("text/*;q=0.5, application/openmetrics-text;q=0.4", TEXT),
        ("application/*, text/plain;q=0.9", OPENMETRICS),
        ("*/*;q=0.5, text/plain;q=0.4", OPENMETRICS),
        ("text/plain, application/openmetrics-text", TEXT),
        ("application/openmetrics-text, text/plain", OPENMETRICS),
        ("*/*, text/plain;q=0", OPENMETRICS),
        ("*/*, application/openmetrics-text;version=1.0.0;q=0, text/plain;q=0", FIRST_OPENMETRICS),
        ("APPLICATION/OpenMetrics-Text; Version=1.0.0", OPENMETRICS),
        ('application/openmetrics-text;version="1.0.0"', OPENMETRICS),
        ('text/plain;note="a, b;q=0";q=0.1, application/openmetrics-text;q=0.5', OPENMETRICS),
        ("application/openmetrics-text;version=2.0.0", TEXT),
        ("application/openmetrics-text;version=2.0.0, */*;q=0.1", TEXT),
        ("application/openmetrics-text;q=0.123, text/plain;q=0.122", OPENMETRICS),
        ("text/plain;q=none, application/openmetrics-text;q=0.9", TEXT),
    ],
)
def test_weights_and_precision_decide_on_the_form(served: Served, accept: str, gets: str) -> None:
    response, _ = metrics(served, [("Accept", accept)])
    assert response.headers["Content-Type"] == gets


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip;q=0.4, identity;q=0.5", False),
        ("gzip;q=0.5, identity;q=0.4", True),
        ("gzip;q=0.5, identity;q=0.5", True),
        ("identity;q=0, *", True),
        ("*;q=0", False),
        ("*", False),
        ("*;q=0.5, gzip;q=0", False),
        ("*;q=0.5, identity;q=0.1", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("br", False),
        ("", False),
    ],
)
def test_weights_decide_on_compression(served: Served, encoding: str, *, packed: bool) -> None:
    response, _ = metrics(served, [("Accept-Encoding", encoding)])
    assert (response.headers["Content-Encoding"] == "gzip") == packed


@pytest.mark.parametrize("header", ["Accept", "Accept-Encoding"])
@pytest.mark.parametrize("pattern", ["a,", ",", ";", '"', '";x="', '\\"', ";a ", "*/*;q=0.5,"])
def test_a_header_as_long_as_may_be_is_read(served: Served, header: str, pattern: str) -> None:
    value = pattern * (15_000 // len(pattern))
    response, body = metrics(served, [(header, value.strip())])
    assert response.status == 200
    assert body


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
