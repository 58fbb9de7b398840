"""What people write: every reader takes it, and no two series become one."""

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from exporter.cli.catalogue import PUBLISHED
from exporter.client.models import ResponseModel
from exporter.demo.api import DemoApi
from exporter.demo.people import Size
from exporter.demo.world import World
from exporter.exposition.text import LONGEST, as_name, as_word
from exporter.sources import SOURCES
from tests.exporter.commands import finished
from tests.grafana.panels import DASHBOARDS
from tests.support import loopback
from tests.support.processes import running
from tests.support.prometheus import find, prometheus
from tests.support.rig import KEY, Clock, Scrape, simulated_api

BREAKING = "".join(map(chr, (*range(32), *range(0x7F, 0xA0), 0x2028, 0x2029)))
"""Every control character, and what separates lines and paragraphs."""
LONG = "\N{GRINNING FACE}" * 600
"""So long in UTF-8 that VictoriaMetrics drops the series, where it is twice as long."""
TEXTS = st.text(max_size=300) | st.text(st.sampled_from(BREAKING + " ab"), max_size=200)
RENAMED = {"name", "title", "display_name", "guardrail_name", "service_user_name"}
NOT_PUBLISHED = {"end_cursor", "scope", "principal_type"}
ADDRESSES = {"url"}


@given(TEXTS)
def test_a_text_becomes_one_short_line(text: str) -> None:
    for fit in (as_name(text), as_word(text)):
        assert len(fit) <= LONGEST
        assert not set(fit) & set(BREAKING)
        assert fit.splitlines() in ([fit], [])


@given(TEXTS)
def test_a_short_line_stays_as_it_is(text: str) -> None:
    fit = as_name(text)[: LONGEST // 2]
    assert as_name(fit) == as_word(fit) == fit


@given(TEXTS, TEXTS)
def test_two_texts_that_tell_series_apart_never_become_one(one: str, other: str) -> None:
    changed = LONG + one
    for first, second in (
        (one, other),
        (changed, LONG + other),
        (one + "\n", one + " "),
        (changed, as_word(changed)),
    ):
        assert (as_word(first) == as_word(second)) == (first == second)


def test_a_long_name_ends_in_an_ellipsis() -> None:
    assert as_name("n" * 128) == "n" * 128
    assert as_name("n" * 129) == "n" * 127 + "…"
    assert as_name("one\ntwo\u2028three\x1c\x85four\r\nfive") == "one two three  four  five"


def models(of: type[ResponseModel] = ResponseModel) -> Iterator[type[ResponseModel]]:
    for model in of.__subclasses__():
        yield model
        yield from models(model)


def bare(hint: object) -> bool:
    """Whether a type holds a text of which nothing more is said."""
    if get_origin(hint) is Annotated:
        inner = get_args(hint)[0]
        return inner is not str and bare(inner)
    return hint is str or any(bare(inner) for inner in get_args(hint))


def test_every_text_of_an_answer_is_an_id_or_made_fit() -> None:
    assert SOURCES
    fields = {
        (model.__name__, name)
        for model in models()
        if model.__module__.startswith("exporter.")
        for name, hint in get_type_hints(model, include_extras=True).items()
        if bare(hint) and not name.endswith("_id")
    }
    assert {name for _, name in fields} <= NOT_PUBLISHED | ADDRESSES, fields


def renamed(value: object, before: str) -> object:
    """The same JSON with every name in it begun by a text."""
    if isinstance(value, list):
        return [renamed(item, before) for item in value]
    if isinstance(value, dict):
        return {
            key: before + inner
            if key in RENAMED and isinstance(inner, str)
            else renamed(inner, before)
            for key, inner in value.items()
        }
    return value


@contextmanager
def naming(api: DemoApi, before: str) -> Iterator[str]:
    """A server before the API, where every name begins with a text."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = {"Authorization": self.headers["Authorization"]}
            answer = loopback.get(api.url + self.path, headers=headers)
            body = answer.content
            if answer.is_success:
                body = json.dumps(renamed(json.loads(body), before)).encode()
            self.send_response(answer.status_code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@dataclass(frozen=True)
class Named:
    """An exporter of an enterprise whose names all begin with what readers trip over."""

    world: World
    settings: dict[str, str]
    url: str
    page: str


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Named]:
    folder = tmp_path_factory.mktemp("named")
    clock = Clock(time.time())
    with (
        simulated_api(Size(organizations=3, users=8, days=60), clock) as (world, api),
        naming(api, BREAKING + LONG) as url,
    ):
        settings = {
            "DEVIN_SERVICE_USER_TOKEN": KEY,
            "DEVIN_API_URL": url,
            "DEVIN_SESSION_TITLES": "true",
            "DEVIN_REQUESTS_PER_SECOND": "500",
        }
        with running(folder, **settings) as exporter:
            for task in ("organizations", "users", "service_users", "sessions"):
                exporter.until(f'devin_exporter_task_up{{task="{task}"}} 1')
            page = exporter.until("devin_category_sessions_cycle{")
            yield Named(world, settings, exporter.url, page)


def test_cutting_makes_no_two_series_one(named: Named) -> None:
    page = Scrape.of(named.page)
    for family, kind in (("organization", "org"), ("user", "user"), ("service_user",) * 2):
        infos = page.family(f"devin_{family}_info")
        assert len(infos) == page.one(f"devin_{family}s")
        assert {len(dict(labels)[f"{kind}_name"]) for labels in infos} == {LONGEST}
    assert {len(dict(labels)["title"]) for labels in page.family("devin_recent_session_info")} <= {
        0,
        LONGEST,
    }


def test_the_history_tells_the_same_names(named: Named) -> None:
    told = finished("backfill", "--days=2", "--output=-", **named.settings)
    assert told.returncode == 0, told.stderr
    infos = r"(?m)^(devin_organization_info\{[^}]*)\}"
    assert {line.split(',job="')[0] for line in re.findall(infos, told.stdout)} == set(
        re.findall(infos, named.page)
    )


def test_a_strict_openmetrics_reader_takes_every_name(named: Named) -> None:
    accept = "application/openmetrics-text; version=1.0.0"
    text = loopback.get(f"{named.url}/metrics", headers={"Accept": accept}).text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert len(families["devin_organization_info"].samples) == 3
    assert families.keys() <= {m.name.removesuffix("_total") for m in PUBLISHED} | {
        name for name in families if name.startswith(("process_", "python_"))
    }


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_names_that_break_the_lines_of_strict_readers(named: Named) -> None:
    from datadog_checks.base import OpenMetricsBaseCheckV2  # noqa: PLC0415 - slow, and for this alone
    from datadog_checks.base.checks.openmetrics.v2.scraper import OpenMetricsScraper  # noqa: PLC0415

    instance = {
        "openmetrics_endpoint": f"{named.url}/metrics",
        "namespace": "devin",
        "metrics": [".+"],
    }
    check = OpenMetricsBaseCheckV2("devin", {}, [instance])  # type: ignore[no-untyped-call]
    scraper = OpenMetricsScraper(check, instance)  # type: ignore[no-untyped-call]
    families = scraper.parse_metrics()  # type: ignore[no-untyped-call]
    found = {family.name: len(family.samples) for family in families}
    assert found["devin_organization_info"] == 3
    assert found["devin_user_info"] == 8


def test_names_longer_than_a_scrape_allows(named: Named, tmp_path: Path) -> None:
    binary = find("prometheus", newer=False)
    if binary is None:
        pytest.skip("prometheus is missing: `make test` brings it where apt can")
    limits = {"label_value_length_limit": 512}
    direct = scrape_job("direct", named.url.removeprefix("http://"), **limits)
    with prometheus(binary, tmp_path, json.dumps({"scrape_configs": [direct]})) as server:
        server.until('up{job="direct"}')
        server.until('up{job="direct"} == 1')
        assert len(server.instant("devin_organization_info")) == 3


def scrape_job(name: str, target: str, **options: object) -> dict[str, object]:
    return {
        "job_name": name,
        "scrape_interval": "1s",
        "static_configs": [{"targets": [target]}],
        **options,
    }


def test_prometheus_scrapes_an_exporter_that_it_takes_for_a_proxy(
    named: Named, tmp_path: Path
) -> None:
    binary = find("prometheus", newer=False)
    if binary is None:
        pytest.skip("prometheus is missing: `make test` brings it where apt can")
    proxied = scrape_job("proxied", "exporter.example:9877", proxy_url=named.url)
    with prometheus(binary, tmp_path, json.dumps({"scrape_configs": [proxied]})) as server:
        server.until('up{job="proxied"} == 1')
        assert len(server.instant("devin_organization_info")) == 3


def test_grafanas_lists_hold_every_name(named: Named) -> None:
    """Its regular expressions are JavaScript's, where a dot is no end of a line of any kind."""
    boards = [json.loads(path.read_text(encoding="utf-8")) for path in DASHBOARDS]
    (pattern,) = {
        variable["regex"].strip("/").replace("(?<", "(?P<").replace(".*", "[^\n\r\u2028\u2029]*")
        for board in boards
        for variable in board["templating"]["list"]
        if variable["name"] == "org"
    }
    for labels in Scrape.of(named.page).family("devin_organization_info"):
        told = dict(labels)
        line = f'{{org_id="{told["org_id"]}",org_name="{told["org_name"]}"}} 1 1000'
        found = re.search(pattern, line)
        assert found
        assert found["text"] == told["org_name"]
        assert found["value"] == told["org_id"]
