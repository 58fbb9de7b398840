"""Where the demo's links lead, with each build of Prometheus and at each time of day."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from deploy.demo.queries import graph_page, links

REACT = '<body><div id="root"></div></body>'
CLASSIC = '<body><div id="graph_container"></div></body>'
NOTHING_BUILT_IN = "<body>This package does not include the web UI.</body>"
BUILDS = {
    "2.x": ({"/graph": REACT}, "/graph"),
    "3.x, which forwards": ({"/graph": ">/query?", "/query": REACT}, "/graph"),
    "Debian 12's": (
        {"/graph": ">/graph/", "/graph/": ">/classic/graph", "/classic/graph": CLASSIC},
        "/classic/graph",
    ),
    "Debian 13's": (
        {"/graph": NOTHING_BUILT_IN, "/classic/graph": CLASSIC},
        "/classic/graph",
    ),
    "a later one of Debian's": ({"/graph": ">/query?"}, "/user/graph.html"),
}
"""What each answers by path: a page, or where it forwards to; and the page that is linked."""


@contextmanager
def serving(pages: Mapping[str, str]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = pages.get(urlsplit(self.path).path, "")
            self.send_response(302 if page.startswith(">") else 200 if page else 404)
            if page.startswith(">"):
                self.send_header("Location", page.removeprefix(">"))
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(("pages", "linked"), BUILDS.values(), ids=BUILDS)
def test_links_lead_to_the_graph_page_that_the_build_has(
    pages: Mapping[str, str], linked: str
) -> None:
    with serving(pages) as url:
        assert graph_page(url) == linked


@pytest.mark.parametrize(
    ("now", "newest_day"),
    [
        ("2026-03-02 07:59", "2026-02-28 08:00"),
        ("2026-03-02 08:14", "2026-02-28 08:00"),
        ("2026-03-02 08:15", "2026-03-01 08:00"),
        ("2026-03-02 23:59", "2026-03-01 08:00"),
    ],
)
def test_the_days_end_with_the_newest_whose_figure_is_there(now: str, newest_day: str) -> None:
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    by_day, *_ = links("http://localhost:9090/graph", now=moment)
    assert parse_qs(urlsplit(by_day.url).query)["g0.end_input"] == [newest_day]


def test_what_a_link_holds_is_encoded_so_that_only_its_own_signs_part_it() -> None:
    for link in links("http://localhost:9090/graph", now=datetime.now(UTC)):
        query = urlsplit(link.url).query
        assert not set(query) & set(' "+()[]{},:|#')
        for part in query.split("&"):
            assert part.count("=") == 1
