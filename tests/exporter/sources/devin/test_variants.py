"""Responses as clients of the API have met them, beside the documented ones."""

from collections.abc import Iterator

import pytest
import respx

from exporter.errors import SwitchedOffError
from tests.exporter.sources.devin.test_data_sets import CYCLES, DAILY, MARCH, URL, Api, listing
from tests.support.rig import Clock, Rig, Scrape, at, payload, rig

SESSIONS = "/v3/enterprise/metrics/sessions"
PRS = "/v3/enterprise/metrics/prs"
SCANS = "/v3/enterprise/code-scans/metrics"
ZEROS = {"cascade": 0.0, "devin": 0.0, "terminal": 0.0}


@pytest.fixture
def clock() -> Clock:
    return Clock(at("2026-03-20 15:30:00"))


@pytest.fixture
def api() -> Iterator[Api]:
    with respx.mock(base_url=URL, assert_all_called=False) as router:
        router.get("/v3/self").respond(json=payload("devin/keys/self"))
        router.get(CYCLES).respond(json=listing(MARCH))
        yield router


@pytest.fixture
def polled(api: Api, clock: Clock) -> Iterator[Rig]:
    assert api is not None
    with rig(URL, clock) as made:
        yield made


def by_label(scrape: Scrape, name: str) -> dict[str, float]:
    """The values of a family with one label."""
    return {value: acus for labels, acus in scrape.family(name).items() for _, value in labels}


# Consumption


@pytest.mark.parametrize(
    ("name", "now", "expected"),
    [
        (
            "consumption_daily_epoch",
            "2026-05-16 20:00:00",
            {"devin": 100.0, "cascade": 300.0, "terminal": 80.0, "review": 20.0},
        ),
        (
            "consumption_daily_string_date",
            "2026-05-20 20:00:00",
            {"devin": 100.0, "cascade": 300.0, "terminal": 80.0, "review": 20.0},
        ),
        (
            "consumption_daily_nulls",
            "2023-11-14 22:30:00",
            {"devin": 2.0, "cascade": 0.5, "terminal": 0.0, "review": 0.0},
        ),
    ],
)
def test_a_day_is_read_whichever_form_it_has(
    api: Api, polled: Rig, *, name: str, now: str, expected: dict[str, float]
) -> None:
    polled.clock.now = at(now)
    api.get(DAILY).respond(json=payload(f"devin/consumption/variants/{name}"))
    polled.poll("enterprise_consumption")
    assert by_label(polled.scrape(), "devin_consumption_today_acus") == expected


def test_the_day_of_a_date_without_a_time_is_absent_for_the_hour_in_which_either_day_may_run(
    api: Api, polled: Rig, clock: Clock
) -> None:
    api.get(DAILY).respond(json=payload("devin/consumption/variants/consumption_daily_string_date"))
    shown = []
    for now in ("20 06:59:59", "20 07:59:59", "20 08:00:00", "21 08:00:00"):
        clock.now = at(f"2026-05-{now}")
        polled.poll("enterprise_consumption")
        scrape = polled.scrape()
        shown.append(
            [
                scrape.one(f"devin_consumption_{window}_acus", product="devin")
                for window in ("today", "yesterday")
            ]
        )
    assert shown == [[0, 0], [None, None], [100, 0], [0, 100]]


@pytest.mark.parametrize("date", ["2026-13-01", "2026-5-1", "20260501", "today"])
def test_a_date_that_is_none_makes_the_answer_none(api: Api, polled: Rig, date: str) -> None:
    row = {"date": date, "acus": 1.0, "acus_by_product": {}}
    api.get(DAILY).respond(json={"total_acus": 1.0, "consumption_by_date": [row]})
    polled.poll("enterprise_consumption")
    assert "consumption_by_date.[].date" in str(polled.error("enterprise_consumption"))


@pytest.mark.parametrize("without", [{"acus_by_product": None}, {}])
def test_a_day_without_its_split_belongs_to_no_known_product(
    api: Api, polled: Rig, clock: Clock, without: dict[str, object]
) -> None:
    row = {"date": int(clock.now), "acus": 1.5, **without}
    api.get(DAILY).respond(json={"total_acus": 1.5, "consumption_by_date": [row]})
    polled.poll("enterprise_consumption")
    shown = by_label(polled.scrape(), "devin_consumption_today_acus")
    assert shown == {**ZEROS, "unknown": 1.5}


def test_a_plan_that_reports_nothing_for_work_that_was_done_has_no_consumption(
    api: Api, polled: Rig
) -> None:
    api.get(DAILY).respond(json=payload("devin/consumption/variants/consumption_daily_unmetered"))
    created = {"sessions_created_count": 8, "sessions_with_merged_prs_count": 0}
    running = {"sessions_created_count": 0, "sessions_with_merged_prs_count": 0}
    today = int(at("2026-03-20 08:00:00"))
    api.get(SESSIONS, params={"time_after": today}).respond(json=running)
    api.get(SESSIONS).respond(json=created)
    polled.poll("cycles", "session_metrics", "enterprise_consumption")
    scrape = polled.scrape()
    assert scrape.one("devin_metered") == 0
    assert scrape.one("devin_sessions_created_cycle") == 8
    assert not [name for name in scrape.names() if name.startswith("devin_consumption")]


# Counts


@pytest.mark.parametrize(
    ("name", "origins"),
    [
        ("metrics_sessions_without_origin", {}),
        (
            "metrics_sessions_null_avg",
            {"api": 6.0, "webapp": 1.0, "automation": 1.0, "slack": 0.0},
        ),
    ],
)
def test_what_the_counts_of_sessions_leave_out_is_absent(
    api: Api, polled: Rig, name: str, origins: dict[str, float]
) -> None:
    api.get(SESSIONS).respond(json=payload(f"devin/activity/variants/{name}"))
    polled.poll("cycles", "session_metrics")
    scrape = polled.scrape()
    assert by_label(scrape, "devin_sessions_created_by_origin_cycle") == origins
    assert scrape.one("devin_sessions_created_cycle") == 8
    assert by_label(scrape, "devin_sessions_created_by_size_cycle")["xs"] == 8
    assert scrape.one("devin_sessions_with_merged_prs_cycle") == 2
    assert scrape.one("devin_sessions_with_playbook_cycle") == 1
    assert scrape.one("devin_sessions_with_search_cycle") == 0


def test_a_mean_that_is_null_is_absent(api: Api, polled: Rig) -> None:
    api.get(SESSIONS).respond(json=payload("devin/activity/variants/metrics_sessions_null_avg"))
    polled.poll("cycles", "session_metrics")
    assert polled.scrape().family("devin_session_average_cycle_acus") == {}


def test_a_null_in_a_map_of_counts_is_absent(api: Api, polled: Rig) -> None:
    counts: dict[str, object] = {
        "sessions_created_count": 3,
        "sessions_with_merged_prs_count": 0,
        "sessions_created_by_origin": {"api": 3, "slack": None},
        "sessions_created_by_size": {"xs": None, "s": 3},
        "sessions_created_with_playbook_count": None,
    }
    api.get(SESSIONS).respond(json=counts)
    polled.poll("cycles", "session_metrics")
    scrape = polled.scrape()
    assert by_label(scrape, "devin_sessions_created_by_origin_cycle") == {"api": 3}
    assert by_label(scrape, "devin_sessions_created_by_size_cycle") == {"s": 3}
    assert scrape.family("devin_sessions_with_playbook_cycle") == {}


def test_pull_requests_that_were_taken_over_are_shown_where_the_answer_has_them(
    api: Api, polled: Rig
) -> None:
    name = "devin_prs_taken_over_cycle"
    answer = payload("devin/activity/variants/metrics_prs_taken_over")
    assert isinstance(answer, dict)
    route = api.get(PRS).respond(json=answer)
    polled.poll("cycles", "pull_requests")
    assert by_label(polled.scrape(), name) == {"open": 0, "merged": 0, "closed": 0}
    more = {"prs_taken_over_count": 6, "prs_taken_over_merged_count": 4}
    route.respond(json={**answer, **more})
    polled.poll("pull_requests")
    expected = {"open": 0, "merged": 4, "closed": 0, "other": 2}
    assert by_label(polled.scrape(), name) == expected
    route.respond(json={key: n for key, n in answer.items() if "taken_over" not in key})
    polled.poll("pull_requests")
    assert by_label(polled.scrape(), name) == {}
    assert polled.scrape().one("devin_prs_merged_cycle") == 2


# Code scans


def test_code_scans_are_those_of_the_running_cycle(api: Api, polled: Rig) -> None:
    route = api.get(SCANS).respond(json=payload("devin/operations/variants/code_scan_metrics"))
    polled.poll("cycles", "code_scans")
    scrape = polled.scrape()
    assert scrape.one("devin_code_scan_scans") == 5
    assert scrape.one("devin_code_scan_repositories") == 2
    states = {"open": 1, "merged": 3, "closed": 0}
    assert by_label(scrape, "devin_code_scan_prs") == states
    severities = {"critical": 0, "high": 1, "medium": 2, "low": 9}
    assert by_label(scrape, "devin_code_scan_open_findings") == severities
    query = dict(route.calls.last.request.url.params)
    assert query == {"time_after": str(MARCH["after"]), "time_before": str(MARCH["before"])}


@pytest.mark.parametrize("status", [403, 404])
def test_code_scans_are_off_where_the_deployment_or_the_key_lacks_them(
    api: Api, polled: Rig, status: int
) -> None:
    api.get(SCANS).respond(status, json={"detail": "no"})
    polled.poll("cycles", "code_scans")
    scrape = polled.scrape()
    assert scrape.one("devin_exporter_task_up", task="code_scans") is None
    assert polled.store.states()["code_scans"].switched_off
    reason = SwitchedOffError.reason
    failures = "devin_exporter_task_failures_total"
    assert polled.counted(failures, task="code_scans", reason=reason) is None


def test_what_an_answer_on_code_scans_leaves_out_is_absent(api: Api, polled: Rig) -> None:
    api.get(SCANS).respond(json={"scans_count": 5, "open_high_findings_count": None})
    polled.poll("cycles", "code_scans")
    shown = {name for name in polled.scrape().names() if name.startswith("devin_code_scan")}
    assert shown == {"devin_code_scan_scans"}
