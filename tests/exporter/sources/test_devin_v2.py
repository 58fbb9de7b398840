"""Devin's v2 metrics: one answer in, published series out; and how it ends."""

import logging
from collections.abc import Iterator

import httpx
import pytest
import respx

from exporter.errors import KeyRefusedError, ShapeError
from exporter.sources.devin_v2 import SOURCE
from exporter.sources.devin_v2.usage import ENDPOINT, TASK
from tests.conftest import Golden
from tests.support.rig import Clock, Rig, at, payload, rig_of

URL = "https://api.test"
NOW = at("2026-03-20 15:30:00")
SESSIONS = "devin_v2_sessions_cycle"


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def usage() -> Iterator[respx.Route]:
    with respx.mock(base_url=URL) as router:
        yield router.get(ENDPOINT.path)


@pytest.fixture
def polled(usage: respx.Route, clock: Clock) -> Iterator[Rig]:
    assert usage is not None
    with rig_of(SOURCE, URL, clock) as made:
        yield made


def test_a_recorded_v2_answer_becomes_this_page(
    usage: respx.Route, polled: Rig, golden: Golden
) -> None:
    usage.respond(json=payload("devin_v2/v2_usage"))
    polled.poll()
    golden.check(polled.page())


def test_the_server_is_left_to_choose_its_window(usage: respx.Route, polled: Rig) -> None:
    usage.respond(json=payload("devin_v2/v2_usage"))
    polled.poll()
    request = usage.calls.last.request
    assert request.url.query == b""
    assert request.headers["Authorization"].startswith("Bearer ")


@pytest.mark.parametrize(
    "wrong",
    [
        {"sessions_count": "412"},
        {"sessions_count": -1},
        {"sessions_count": 1.5},
        {"sessions_count": None},
        {"prs_merged": 10**16},
        {"prs_opened": True},
    ],
)
def test_an_answer_of_another_shape_publishes_none_of_it(
    usage: respx.Route, polled: Rig, wrong: dict[str, object]
) -> None:
    told = payload("devin_v2/v2_usage")
    assert isinstance(told, dict)
    usage.respond(json={**told, **wrong})
    polled.poll()
    assert isinstance(polled.error(TASK), ShapeError)
    assert not {name for name in polled.scrape().names() if name.startswith("devin_v2_")}


def test_a_missing_field_is_not_taken_for_zero(usage: respx.Route, polled: Rig) -> None:
    told = payload("devin_v2/v2_usage")
    assert isinstance(told, dict)
    del told["searches_count"]
    usage.respond(json=told)
    polled.poll()
    assert isinstance(polled.error(TASK), ShapeError)
    assert polled.scrape().one("devin_v2_searches_cycle") is None


@pytest.mark.parametrize("hour", [7, 8])
def test_what_was_told_before_a_cycle_may_have_ended_is_absent_until_told_anew(
    usage: respx.Route, polled: Rig, clock: Clock, hour: int
) -> None:
    usage.respond(json=payload("devin_v2/v2_usage"))
    clock.now = at(f"2026-03-21 0{hour - 1}:59:30")
    polled.poll()
    clock.now = at(f"2026-03-21 0{hour - 1}:59:59")
    assert polled.scrape().one(SESSIONS) == 412
    clock.now = at(f"2026-03-21 0{hour}:00:00")
    assert polled.scrape().one(SESSIONS) is None
    assert polled.scrape().one("devin_exporter_task_up", task=TASK) == 1
    clock.now += 5
    polled.poll()
    assert polled.scrape().one(SESSIONS) == 412


def test_an_answer_to_a_request_from_before_the_days_end_is_not_published_after_it(
    usage: respx.Route, polled: Rig, clock: Clock
) -> None:
    clock.now = at("2026-03-21 07:59:59")

    def late(_: httpx.Request) -> httpx.Response:
        clock.now = at("2026-03-21 08:00:01")
        return httpx.Response(200, json=payload("devin_v2/v2_usage"))

    usage.mock(side_effect=late)
    polled.poll()
    assert polled.scrape().one(SESSIONS) is None


@pytest.mark.parametrize("status", [404, 410])
def test_once_it_is_gone_one_line_says_so_and_nothing_reads_as_broken(
    usage: respx.Route,
    polled: Rig,
    clock: Clock,
    status: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    usage.respond(json=payload("devin_v2/v2_usage"))
    polled.poll()
    usage.respond(status)
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            clock.now += 86_400
            polled.poll()
    ours = [record for record in caplog.records if record.name.startswith("exporter")]
    (line,) = [record.getMessage() for record in ours]
    assert line == (
        f"task is off: {ENDPOINT.path} answered {status}: Devin's v2 API is gone; "
        "unset DEVIN_V2_API_KEY"
    )
    scrape = polled.scrape()
    assert scrape.one(SESSIONS) is None
    assert scrape.one("devin_exporter_task_up", task=TASK) is None
    assert polled.store.not_ready() == ()
    failures = polled.counted("devin_exporter_task_failures_total", task=TASK, reason="not_found")
    assert failures == 0


def test_gone_from_the_start_it_keeps_nobody_from_being_ready(
    usage: respx.Route, polled: Rig
) -> None:
    assert polled.store.not_ready() == (TASK,)
    usage.respond(404)
    polled.poll()
    assert polled.store.not_ready() == ()


@pytest.mark.parametrize("failing", [401, 422, 500])
def test_while_it_is_gone_an_outage_says_nothing_new_and_a_good_answer_turns_it_on(
    usage: respx.Route,
    polled: Rig,
    clock: Clock,
    failing: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    usage.respond(404)
    polled.poll()
    usage.respond(failing, headers={"Retry-After": "0"})
    clock.now += 86_400
    polled.poll()
    assert polled.scrape().one("devin_exporter_task_up", task=TASK) is None
    assert polled.store.not_ready() == ()
    failures = {
        dict(labels)["reason"]: value
        for labels, value in polled.own().family("devin_exporter_task_failures_total").items()
    }
    assert set(failures.values()) == {0}
    assert polled.client.key_refused == (failing == 401)
    usage.respond(json=payload("devin_v2/v2_usage"))
    with caplog.at_level(logging.INFO):
        clock.now += 86_400
        polled.poll()
    assert polled.scrape().one(SESSIONS) == 412
    assert polled.scrape().one("devin_exporter_task_up", task=TASK) == 1
    assert "task is on again" in caplog.messages


def test_an_outage_before_it_is_gone_is_a_failure(usage: respx.Route, polled: Rig) -> None:
    usage.respond(500, headers={"Retry-After": "0"})
    polled.poll()
    assert polled.scrape().one("devin_exporter_task_up", task=TASK) == 0
    usage.respond(410)
    polled.poll()
    assert polled.scrape().one("devin_exporter_task_up", task=TASK) is None
    usage.respond(json=payload("devin_v2/v2_usage"))
    polled.poll()
    usage.respond(503, headers={"Retry-After": "0"})
    polled.poll()
    assert polled.scrape().one("devin_exporter_task_up", task=TASK) == 0
    assert polled.scrape().one(SESSIONS) == 412


def test_a_refused_key_keeps_the_last_figures_and_is_a_failure(
    usage: respx.Route, polled: Rig, clock: Clock
) -> None:
    usage.respond(json=payload("devin_v2/v2_usage"))
    polled.poll()
    usage.respond(401)
    clock.now += 300
    polled.poll()
    assert isinstance(polled.error(TASK), KeyRefusedError)
    assert polled.client.key_refused
    assert polled.scrape().one(SESSIONS) == 412
    assert polled.scrape().one("devin_exporter_task_up", task=TASK) == 0
    clock.now = NOW + 900
    scrape = polled.scrape()
    assert scrape.one(SESSIONS) is None
    assert scrape.one("devin_exporter_task_entities_missing", task=TASK) == 1
