"""The AIone gateway: answers as its documentation shows them, and others, and what shows."""

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from zoneinfo import ZoneInfo

import httpx
import pytest
import respx
from hypothesis import given
from hypothesis import strategies as st

from exporter.client.models import parse_response
from exporter.errors import PollError, RateLimitedError, ShapeError
from exporter.exposition.render import render
from exporter.sources.aione import SOURCE
from exporter.sources.aione.dashboard import ENDPOINT, TASK
from exporter.sources.aione.samples import Dashboard, day_of, next_midnight
from tests.conftest import Golden
from tests.support.rig import Clock, Rig, Scrape, at, payload, rig_of

URL = "https://gateway.test"
NOW = at("2026-03-20 15:30:00")
"""Half an hour before midnight in Shanghai."""

SHANGHAI = "Asia/Shanghai"
ABSENT = None
Fields = Mapping[str, object]


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def dashboard() -> Iterator[respx.Route]:
    with respx.mock(base_url=URL, assert_all_called=False) as router:
        for other in SOURCE.endpoints[1:]:
            router.get(other.path).respond(404)
        yield router.get(ENDPOINT.path)


@pytest.fixture
def polled(dashboard: respx.Route, clock: Clock) -> Iterator[Rig]:
    assert dashboard is not None
    with rig_of(SOURCE, URL, clock, timezone=SHANGHAI) as made:
        yield made


def shown(dashboard: respx.Route, polled: Rig, **answer: object) -> Scrape:
    dashboard.respond(json=answer)
    polled.poll()
    assert polled.error(TASK) is None
    return polled.scrape()


def unreadable(scrape: Scrape) -> dict[str, float]:
    return {
        dict(labels)["field"]: value
        for labels, value in scrape.family("aione_unreadable_values").items()
    }


def of_aione(scrape: Scrape) -> set[str]:
    return {name for name in scrape.names() if name.startswith("aione_")}


def test_a_recorded_gateway_answer_becomes_this_page(
    dashboard: respx.Route, polled: Rig, golden: Golden
) -> None:
    dashboard.respond(json=payload("aione/aione_dashboard"))
    polled.poll()
    golden.check(polled.page())


def test_the_days_asked_for_are_those_that_the_range_says(
    dashboard: respx.Route, clock: Clock
) -> None:
    dashboard.respond(json={"tech": {"total_requests": 1}})
    with rig_of(SOURCE, URL, clock, range_days="7") as polled:
        polled.poll()
        assert dict(dashboard.calls.last.request.url.params) == {"range_days": "7"}
        assert polled.scrape().one("aione_range_seconds") == 7 * 86_400


# Sections


def sections(*names: str) -> dict[str, object]:
    told = payload("aione/aione_dashboard")
    assert isinstance(told, dict)
    return {name: told[name] for name in names}


OF_TECH = {
    "aione_tokens",
    "aione_requests",
    "aione_latency_average_seconds",
    "aione_latency_p99_seconds",
    "aione_error_ratio",
    "aione_rpm_usage_ratio",
    "aione_model_requests",
    "aione_model_tokens",
}
OF_BUSINESS = {
    "aione_conversations",
    "aione_characters",
    "aione_budget_progress_ratio",
    "aione_capacity_status",
    "aione_service_status",
    "aione_team_cost_rmb",
    "aione_team_conversations",
    "aione_team_info",
}
OF_BOTH = {
    "aione_range_seconds",
    "aione_cost_rmb",
    *(
        f"aione_{day}_{what}"
        for day in ("today", "yesterday")
        for what in ("requests", "tokens", "cost_rmb")
    ),
}


@pytest.mark.parametrize(
    ("answer", "families"),
    [
        (sections("tech"), OF_TECH | OF_BOTH),
        ({**sections("tech"), "business": None}, OF_TECH | OF_BOTH),
        (sections("business"), OF_BUSINESS | OF_BOTH),
        ({**sections("business"), "tech": None, "view_mode": "tech"}, OF_BUSINESS | OF_BOTH),
        (sections("tech", "business"), OF_TECH | OF_BUSINESS | OF_BOTH),
        (
            {"tech": {"total_requests": 1}, "business": {}},
            {"aione_range_seconds", "aione_requests"},
        ),
    ],
    ids=["tech", "tech and null", "business", "business and null", "both", "one and an empty one"],
)
def test_each_section_feeds_its_families(
    dashboard: respx.Route, polled: Rig, answer: Fields, families: set[str]
) -> None:
    assert of_aione(shown(dashboard, polled, **answer)) == families


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"tech": None, "business": None},
        {"tech": 5},
        {"tech": [], "business": "x"},
        {"tech": {}},
        {"tech": {"tokens_total": 5}, "business": {"total_conversations": None}},
    ],
)
def test_without_any_figure_the_poll_has_failed_and_the_last_answer_stays(
    dashboard: respx.Route, polled: Rig, clock: Clock, answer: Fields
) -> None:
    dashboard.respond(json=answer)
    polled.poll()
    assert isinstance(polled.error(TASK), ShapeError)
    assert of_aione(polled.scrape()) == set()
    assert polled.store.not_ready() == (TASK,)
    before = shown(dashboard, polled, **sections("tech"))
    dashboard.respond(json=answer)
    clock.now += 300
    polled.poll()
    assert polled.scrape().one("aione_requests") == before.one("aione_requests") == 8421
    assert polled.scrape().one("devin_exporter_task_up", task=TASK) == 0


def test_a_section_that_is_no_longer_told_takes_its_families_with_it(
    dashboard: respx.Route, polled: Rig
) -> None:
    shown(dashboard, polled, **sections("tech", "business"))
    after = shown(dashboard, polled, **sections("business"))
    assert of_aione(after) == OF_BUSINESS | OF_BOTH


def test_a_section_of_another_shape_is_counted_and_spares_the_other(
    dashboard: respx.Route, polled: Rig
) -> None:
    scrape = shown(dashboard, polled, tech="none today", **sections("business"))
    shared = {"aione_range_seconds", "aione_unreadable_values"}
    assert of_aione(scrape) == OF_BUSINESS | shared, "cost and days may be told there"
    assert unreadable(scrape) == {"tech": 1}


@pytest.mark.parametrize(
    ("told", "cost", "counted"),
    [
        (("10.00", "99.00"), 10, {}),
        ((None, "99.00"), 99, {}),
        (("", "99.00"), ABSENT, {"tech.total_cost_rmb": 1}),
        (("10.00", "-"), 10, {"business.total_cost_rmb": 1}),
    ],
)
def test_where_both_sections_tell_a_figure_tech_wins(
    dashboard: respx.Route,
    polled: Rig,
    told: tuple[str | None, str],
    cost: float | None,
    counted: dict[str, float],
) -> None:
    tech, business = ({"total_cost_rmb": text} for text in told)
    scrape = shown(dashboard, polled, tech=tech, business=business)
    assert scrape.one("aione_cost_rmb") == cost
    assert unreadable(scrape) == counted


# Single values

READ = "read"
COUNTED = "absent and counted"
LEFT_OUT = "absent"
TOTAL_COST_RMB = ("tech", "total_cost_rmb", "aione_cost_rmb")
TOTAL_REQUESTS = ("tech", "total_requests", "aione_requests")
ERROR_RATE_PCT = ("tech", "error_rate_pct", "aione_error_ratio")
RPM_USAGE_PCT = ("tech", "rpm_usage_pct", "aione_rpm_usage_ratio")
AVG_LATENCY_MS = ("tech", "avg_latency_ms", "aione_latency_average_seconds")
P99_LATENCY_MS = ("tech", "p99_latency_ms", "aione_latency_p99_seconds")
TOTAL_CHARS_WAN = ("business", "total_chars_wan", "aione_characters")
TOTAL_CONVERSATIONS = ("business", "total_conversations", "aione_conversations")
BUDGET_PROGRESS_PCT = ("business", "budget_progress_pct", "aione_budget_progress_ratio")


@pytest.mark.parametrize(
    ("place", "told", "value"),
    [
        (TOTAL_COST_RMB, "1,234.56", 1234.56),
        (TOTAL_COST_RMB, "1234.56", 1234.56),
        (TOTAL_COST_RMB, " 12,345,678.90 ", 12345678.9),
        (TOTAL_COST_RMB, "0", 0),
        (TOTAL_COST_RMB, "-12.50", -12.5),
        (TOTAL_COST_RMB, "1E+3", 1000),
        (TOTAL_COST_RMB, 0.1, 0.1),
        (TOTAL_COST_RMB, 7, 7),
        (TOTAL_COST_RMB, "", COUNTED),
        (TOTAL_COST_RMB, " ", COUNTED),
        (TOTAL_COST_RMB, "-", COUNTED),
        (TOTAL_COST_RMB, "12.5%", COUNTED),
        (TOTAL_COST_RMB, "1,23", COUNTED),
        (TOTAL_COST_RMB, "0,125", COUNTED),
        (TOTAL_COST_RMB, "1e-400", COUNTED),
        (TOTAL_COST_RMB, "1,234,56", COUNTED),
        (TOTAL_COST_RMB, "1.234,56", COUNTED),
        (TOTAL_COST_RMB, "¥12", COUNTED),
        (TOTAL_COST_RMB, "١٢", COUNTED),
        (TOTAL_COST_RMB, "NaN", COUNTED),
        (TOTAL_COST_RMB, "Infinity", COUNTED),
        (TOTAL_COST_RMB, "1e999", COUNTED),
        (TOTAL_COST_RMB, True, COUNTED),
        (TOTAL_COST_RMB, ["1"], COUNTED),
        (TOTAL_COST_RMB, {"rmb": 1}, COUNTED),
        (TOTAL_COST_RMB, None, LEFT_OUT),
        (TOTAL_REQUESTS, 8421, 8421),
        (TOTAL_REQUESTS, 0, 0),
        (TOTAL_REQUESTS, "8,421", 8421),
        (TOTAL_REQUESTS, 8421.0, 8421),
        (TOTAL_REQUESTS, 1.5, COUNTED),
        (TOTAL_REQUESTS, -1, COUNTED),
        (TOTAL_REQUESTS, 10**19, COUNTED),
        (TOTAL_REQUESTS, "many", COUNTED),
        (ERROR_RATE_PCT, "12.5%", 0.125),
        (ERROR_RATE_PCT, "12.5", 0.125),
        (ERROR_RATE_PCT, "0.42", 0.0042),
        (ERROR_RATE_PCT, "12.5 %", 0.125),
        (ERROR_RATE_PCT, 3, 0.03),
        (ERROR_RATE_PCT, "100%", 1),
        (ERROR_RATE_PCT, "100.1", COUNTED),
        (ERROR_RATE_PCT, "-1", COUNTED),
        (ERROR_RATE_PCT, "", COUNTED),
        (ERROR_RATE_PCT, "-", COUNTED),
        (ERROR_RATE_PCT, "%", COUNTED),
        (ERROR_RATE_PCT, "5%%", COUNTED),
        (RPM_USAGE_PCT, "130%", 1.3),
        (RPM_USAGE_PCT, "0,500%", COUNTED),
        (RPM_USAGE_PCT, "1,250.0%", 12.5),
        (AVG_LATENCY_MS, 845.5, 0.8455),
        (P99_LATENCY_MS, 3200, 3.2),
        (P99_LATENCY_MS, -1, COUNTED),
        (P99_LATENCY_MS, 10**10, COUNTED),
        (TOTAL_CHARS_WAN, 187.5, 1_875_000),
        (TOTAL_CHARS_WAN, 0.0001, 1),
        (TOTAL_CHARS_WAN, "1,000", 10_000_000),
        (TOTAL_CONVERSATIONS, 2107, 2107),
        (BUDGET_PROGRESS_PCT, "61.70", 0.617),
        (BUDGET_PROGRESS_PCT, "104.2%", 1.042),
        (BUDGET_PROGRESS_PCT, "", COUNTED),
        (BUDGET_PROGRESS_PCT, None, LEFT_OUT),
    ],
)
def test_a_value_is_published_or_absent(
    dashboard: respx.Route,
    polled: Rig,
    place: tuple[str, str, str],
    told: object,
    value: float | str,
) -> None:
    section, field, family = place
    scrape = shown(
        dashboard, polled, **{section: {field: told, "a_field_to_come": 1, "daily_trend": []}}
    )
    if isinstance(value, str):
        assert scrape.one(family) is ABSENT
        assert unreadable(scrape) == ({f"{section}.{field}": 1} if value == COUNTED else {})
    else:
        assert scrape.one(family) == value
        assert unreadable(scrape) == {}


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_what_is_no_finite_number_is_never_published(
    dashboard: respx.Route, polled: Rig, literal: str
) -> None:
    dashboard.respond(
        content=f'{{"tech": {{"avg_latency_ms": {literal}, "total_requests": 1}}}}'.encode()
    )
    polled.poll()
    scrape = polled.scrape()
    assert scrape.one("aione_latency_average_seconds") is None
    assert scrape.one("aione_requests") == 1
    assert unreadable(scrape) == {"tech.avg_latency_ms": 1}


@pytest.mark.parametrize(
    ("told", "types"),
    [
        ((100, 60, 30), {"prompt": 60, "completion": 30, "other": 10}),
        ((100, 60, 40), {"prompt": 60, "completion": 40, "other": 0}),
        ((100, 60, 50), {"prompt": 60, "completion": 50, "other": -10}),
        ((100, None, None), {"other": 100}),
        ((100, 60, None), {"prompt": 60, "other": 40}),
        ((None, 60, 30), {"prompt": 60, "completion": 30}),
        ((None, 60, None), {}),
        (("", 60, 30), {}),
        ((100, "-", 30), {}),
    ],
)
def test_tokens_by_type_add_up_to_the_total_or_are_absent(
    dashboard: respx.Route,
    polled: Rig,
    told: tuple[object, object, object],
    types: dict[str, float],
) -> None:
    names = ("total_tokens", "prompt_tokens", "completion_tokens")
    tech = dict(zip(names, told, strict=True))
    scrape = shown(dashboard, polled, tech=tech)
    assert {
        dict(labels)["type"]: value for labels, value in scrape.family("aione_tokens").items()
    } == types


# Statuses


@pytest.mark.parametrize(
    ("told", "states"),
    [
        ("sufficient", {"sufficient": 1}),
        (" sufficient ", {"sufficient": 1}),
        ("on fire", {"sufficient": 0, "on fire": 1}),
        ("", {}),
        (None, {}),
        (3, {}),
    ],
)
def test_a_status_is_a_state_set_with_open_values(
    dashboard: respx.Route, polled: Rig, told: object, states: dict[str, float]
) -> None:
    scrape = shown(dashboard, polled, business={"capacity_status": told, "daily_trend": []})
    found = scrape.family("aione_capacity_status")
    assert {dict(labels)["status"]: value for labels, value in found.items()} == states
    assert unreadable(scrape) == ({"business.capacity_status": 1} if told in ("", 3) else {})


def test_the_service_status_has_its_own_usual_value(dashboard: respx.Route, polled: Rig) -> None:
    scrape = shown(dashboard, polled, business={"service_status": "maintenance"})
    assert scrape.one("aione_service_status", status="normal") == 0
    assert scrape.one("aione_service_status", status="maintenance") == 1


# Teams and models


def team(team_id: object, cost: object = "1", **fields: object) -> dict[str, object]:
    return {
        "team_id": team_id,
        "team_name": f"team {team_id}",
        "cost_rmb": cost,
        "conversations": 2,
        **fields,
    }


def teams(dashboard: respx.Route, polled: Rig, *rows: object) -> Scrape:
    return shown(dashboard, polled, business={"team_cost_ranking": rows})


def test_a_thousand_teams_are_all_there(dashboard: respx.Route, polled: Rig) -> None:
    scrape = teams(dashboard, polled, *(team(f"t{n}", f"{n}.25") for n in range(1000)))
    assert len(scrape.family("aione_team_cost_rmb")) == 1000
    assert len(scrape.family("aione_team_info")) == 1000
    assert scrape.one("aione_team_cost_rmb", team_id="t999") == 999.25


def test_rows_of_one_team_are_added_up_as_decimals(dashboard: respx.Route, polled: Rig) -> None:
    rows = [team("a", "0.1"), team("b", "5"), team("a", "0.2", team_name="another name")]
    scrape = teams(dashboard, polled, *rows)
    assert scrape.one("aione_team_cost_rmb", team_id="a") == 0.3 != 0.1 + 0.2
    assert scrape.one("aione_team_conversations", team_id="a") == 4
    assert scrape.one("aione_team_cost_rmb", team_id="b") == 5
    assert scrape.one("aione_team_info", team_id="a", team_name="team a") == 1
    assert len(scrape.family("aione_team_info")) == 2


@pytest.mark.parametrize("part", ["", "-", None])
def test_a_team_with_a_part_that_is_unknown_has_no_sum(
    dashboard: respx.Route, polled: Rig, part: str | None
) -> None:
    scrape = teams(dashboard, polled, team("a", "0.1"), team("a", part), team("b", "5"))
    assert scrape.one("aione_team_cost_rmb", team_id="a") is None
    assert scrape.one("aione_team_conversations", team_id="a") == 4
    assert scrape.one("aione_team_cost_rmb", team_id="b") == 5
    counted = {} if part is None else {"business.team_cost_ranking.cost_rmb": 1}
    assert unreadable(scrape) == counted


def test_a_renamed_team_has_one_name_at_a_time(dashboard: respx.Route, polled: Rig) -> None:
    teams(dashboard, polled, team("a", team_name="old"))
    scrape = teams(dashboard, polled, team("a", team_name="new"))
    assert scrape.one("aione_team_info", team_id="a", team_name="new") == 1
    assert len(scrape.family("aione_team_info")) == 1


@pytest.mark.parametrize("row", [None, 5, {}, {"team_id": ""}, {"team_id": 7, "cost_rmb": "9"}])
def test_a_row_of_no_team_is_counted_and_spares_the_others(
    dashboard: respx.Route, polled: Rig, row: object
) -> None:
    scrape = teams(dashboard, polled, row, team("b", "5"))
    assert len(scrape.family("aione_team_cost_rmb")) == 1
    assert unreadable(scrape) == {"business.team_cost_ranking": 1}


def test_a_team_without_a_name_keeps_its_cost(dashboard: respx.Route, polled: Rig) -> None:
    scrape = teams(dashboard, polled, team("a", "5", team_name=""))
    assert scrape.one("aione_team_cost_rmb", team_id="a") == 5
    assert scrape.family("aione_team_info") == {}


@pytest.mark.parametrize("ranking", ["none", 5, {"a": 1}])
def test_a_ranking_that_is_no_list_is_counted(
    dashboard: respx.Route, polled: Rig, ranking: object
) -> None:
    business = {"team_cost_ranking": ranking, "total_conversations": 1}
    scrape = shown(dashboard, polled, business=business)
    assert of_aione(scrape) == {
        "aione_range_seconds",
        "aione_conversations",
        "aione_unreadable_values",
    }


def test_rows_of_one_model_are_added_up(dashboard: respx.Route, polled: Rig) -> None:
    rows = [
        {"model": "x", "requests": 1, "tokens": 10},
        {"model": "y", "requests": 5, "tokens": "?"},
        {"model": "x", "requests": 2, "tokens": 20},
    ]
    scrape = shown(dashboard, polled, tech={"model_distribution": rows})
    assert scrape.one("aione_model_requests", model="x") == 3
    assert scrape.one("aione_model_tokens", model="x") == 30
    assert scrape.one("aione_model_requests", model="y") == 5
    assert scrape.one("aione_model_tokens", model="y") is None


# Days


def day(date: object, cost: object = "1.5", **fields: object) -> dict[str, object]:
    return {"date": date, "requests": 10, "tokens": 100, "cost_rmb": cost, **fields}


def costs(scrape: Scrape) -> tuple[float | None, float | None]:
    return scrape.one("aione_yesterday_cost_rmb"), scrape.one("aione_today_cost_rmb")


@pytest.mark.parametrize(
    ("rows", "known", "counted"),
    [
        ([day("2026-03-19", "1"), day("2026-03-20", "2")], (1, 2), 0),
        ([day("2026-03-20", "2"), day("2026-03-19", "1")], (1, 2), 0),
        ([day("2026-03-19", "1")], (1, ABSENT), 0),
        ([day("2026-03-20", "2")], (ABSENT, 2), 0),
        ([day("2026-03-18", "1"), day("2026-03-21", "2")], (ABSENT, ABSENT), 0),
        ([], (ABSENT, ABSENT), 0),
        (None, (ABSENT, ABSENT), 0),
        ([day("2026-03-20", "0")], (ABSENT, 0), 0),
        ([day("2026-03-20", "2"), day("2026-03-20", "2")], (ABSENT, 2), 0),
        ([day("2026-03-20", "2"), day("2026-03-20", "3")], (ABSENT, ABSENT), 1),
        ([day("2026-03-19", "1"), day("20260320", "2")], (1, ABSENT), 1),
        ([day("2026-03-19", "1"), day("2026-02-30", "2")], (1, ABSENT), 1),
        ([day("2026-03-19", "1"), day(None, "2")], (1, ABSENT), 1),
        ([day("2026-03-19", "1"), {"cost_rmb": "2"}], (1, ABSENT), 1),
        ([day("2026-03-19", "1"), None], (1, ABSENT), 1),
    ],
)
def test_a_day_is_the_row_of_its_date_or_absent(
    dashboard: respx.Route,
    polled: Rig,
    rows: object,
    known: tuple[float | None, float | None],
    counted: int,
) -> None:
    scrape = shown(dashboard, polled, tech={"daily_trend": rows, "total_requests": 1})
    assert costs(scrape) == known
    assert unreadable(scrape) == ({"tech.daily_trend": counted} if counted else {})


def test_of_a_row_what_can_be_read_is_published(dashboard: respx.Route, polled: Rig) -> None:
    scrape = shown(dashboard, polled, tech={"daily_trend": [day("2026-03-20", "", tokens="x")]})
    assert scrape.one("aione_today_requests") == 10
    assert scrape.one("aione_today_tokens") is None
    assert scrape.one("aione_today_cost_rmb") is None
    assert unreadable(scrape) == {"tech.daily_trend.cost_rmb": 1, "tech.daily_trend.tokens": 1}


def test_of_each_day_tech_wins_and_business_fills_what_it_does_not_tell(
    dashboard: respx.Route, polled: Rig
) -> None:
    tech = [day("2026-03-20", "2", requests=None), day("2026-03-19", "-")]
    business = [day("2026-03-20", "99"), day("2026-03-19", "98")]
    scrape = shown(
        dashboard, polled, tech={"daily_trend": tech}, business={"daily_trend": business}
    )
    assert scrape.one("aione_today_requests") == 10
    assert costs(scrape) == (None, 2)


@pytest.mark.parametrize(
    "tech", ["x", [day("2026-03-20T00:00:00Z", "2")], [day("2026-03-19"), None]]
)
def test_what_tech_tells_of_a_day_and_nobody_can_read_is_not_taken_from_business(
    dashboard: respx.Route, polled: Rig, tech: object
) -> None:
    business = [day("2026-03-20", "99")]
    scrape = shown(
        dashboard, polled, tech={"daily_trend": tech}, business={"daily_trend": business}
    )
    assert scrape.one("aione_today_cost_rmb") is None
    assert unreadable(scrape) == {"tech.daily_trend": 1}


@pytest.mark.parametrize(
    ("zone", "now", "midnight"),
    [
        # Of years that are over: zone data change for those to come.
        ("Europe/Berlin", "2024-03-31 00:30:00", "2024-03-31 22:00:00"),
        ("America/Havana", "2024-11-03 04:30:00", "2024-11-04 05:00:00"),
        ("America/Santiago", "2024-09-08 03:59:00", "2024-09-08 04:00:00"),
        ("Asia/Beirut", "2024-03-30 21:59:00", "2024-03-30 22:00:00"),
        ("Pacific/Apia", "2024-01-01 10:00:00", "2024-01-01 11:00:00"),
    ],
)
def test_a_day_ends_at_midnight_also_where_clocks_change(
    zone: str, now: str, midnight: str
) -> None:
    place = ZoneInfo(zone)
    end = next_midnight(at(now), place)
    assert end == at(midnight)
    assert day_of(end - 1, place) == day_of(at(now), place)
    assert day_of(end, place) > day_of(at(now), place)


@pytest.mark.parametrize(
    ("zone", "today"), [("UTC", 20), (SHANGHAI, 20), ("Asia/Tokyo", 21), ("America/New_York", 20)]
)
def test_the_zone_says_which_row_is_todays(
    dashboard: respx.Route, clock: Clock, zone: str, today: int
) -> None:
    rows = [day(f"2026-03-{number}", str(number)) for number in range(18, 23)]
    with rig_of(SOURCE, URL, clock, timezone=zone) as polled:
        scrape = shown(dashboard, polled, tech={"daily_trend": rows})
    assert costs(scrape) == (today - 1, today)


def test_at_the_zones_midnight_the_days_are_absent_until_told_anew(
    dashboard: respx.Route, polled: Rig, clock: Clock
) -> None:
    rows = [day(f"2026-03-{number}", str(number)) for number in range(18, 22)]
    tech = {"daily_trend": rows, "total_requests": 5}
    midnight = at("2026-03-20 16:00:00")
    clock.now = midnight - 60
    assert costs(shown(dashboard, polled, tech=tech)) == (19, 20)
    clock.now = midnight - 1
    assert costs(polled.scrape()) == (19, 20)
    clock.now = midnight
    scrape = polled.scrape()
    assert costs(scrape) == (None, None)
    assert scrape.one("aione_requests") == 5
    task, *_ = polled.tasks
    assert task.next_window_end(midnight - 1) == midnight
    assert task.next_window_end(midnight) == midnight + 86_400
    clock.now = midnight + 5
    assert costs(shown(dashboard, polled, tech=tech)) == (20, 21)


def test_an_answer_to_a_request_from_before_midnight_tells_no_day_after_it(
    dashboard: respx.Route, polled: Rig, clock: Clock
) -> None:
    clock.now = at("2026-03-20 15:59:59")

    def late(_: httpx.Request) -> httpx.Response:
        clock.now = at("2026-03-20 16:00:01")
        return httpx.Response(200, json={"tech": {"daily_trend": [day("2026-03-20")]}})

    dashboard.mock(side_effect=late)
    polled.poll()
    assert costs(polled.scrape()) == (None, None)
    assert polled.scrape().one("aione_range_seconds") == 30 * 86_400


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-03-20T15:25:00Z", at("2026-03-20 15:25:00")),
        ("2026-03-20T23:25:00+08:00", at("2026-03-20 15:25:00")),
        ("2026-03-20T15:25:00.500Z", at("2026-03-20 15:25:00") + 0.5),
        ("2026-03-20 23:25:00", at("2026-03-20 15:25:00")),
        ("2026-03-20", COUNTED),
        ("five minutes ago", COUNTED),
        ("0001-01-01T00:00:00Z", COUNTED),
        ("", COUNTED),
        (1774020300, COUNTED),
        (None, LEFT_OUT),
    ],
)
def test_freshness_is_a_timestamp_where_it_parses_as_one(
    dashboard: respx.Route, polled: Rig, text: object, seconds: float | str
) -> None:
    scrape = shown(dashboard, polled, tech={"total_requests": 1}, data_freshness=text)
    known = None if isinstance(seconds, str) else seconds
    assert scrape.one("aione_data_timestamp_seconds") == known
    assert unreadable(scrape) == ({"data_freshness": 1} if seconds == COUNTED else {})


# In time


def test_what_cannot_be_read_is_told_once_in_the_log(
    dashboard: respx.Route, polled: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        shown(dashboard, polled, tech={"total_cost_rmb": "", "total_requests": "x"})
    shown(dashboard, polled, tech={"total_cost_rmb": "1", "total_requests": "x"})
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == [
        "values that make no sense are absent: tech.total_cost_rmb, tech.total_requests",
        "values that make no sense are absent: tech.total_requests",
    ]


@pytest.mark.parametrize(
    "failing",
    [
        {"status_code": 401},
        {"status_code": 404},
        {"status_code": 422, "json": {"detail": [{"loc": [], "msg": "", "type": ""}]}},
        {"status_code": 503, "headers": {"Retry-After": "0"}},
        {"html": "<html>sign in</html>"},
        {"content": b""},
        {"json": []},
        {"json": "tech"},
    ],
    ids=["refused", "404", "422", "503", "HTML", "empty", "a list", "a string"],
)
def test_a_failure_keeps_the_last_answer_until_it_is_too_old(
    dashboard: respx.Route, polled: Rig, clock: Clock, failing: dict[str, object]
) -> None:
    before = shown(dashboard, polled, **sections("tech", "business"))
    dashboard.respond(**failing)  # type: ignore[arg-type]
    clock.now += 300
    polled.poll()
    assert isinstance(polled.error(TASK), PollError)
    assert of_aione(polled.scrape()) == of_aione(before)
    assert polled.scrape().one("devin_exporter_task_up", task=TASK) == 0
    clock.now = NOW + 900
    scrape = polled.scrape()
    assert of_aione(scrape) == set()
    assert scrape.one("devin_exporter_task_entities_missing", task=TASK) == 1


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=True)
    | st.sampled_from(["", "-", "1,234.56", "12.5%", "1e9", "NaN", "2026-03-20", "a", "10:00-"])
    | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["date", "team_id", "model", "cost_rmb"]), inner)
    ),
    max_leaves=6,
)
NAMES = sorted(
    {"daily_trend", "team_cost_ranking", "model_distribution", "capacity_status"}
    | {"total_cost_rmb", "total_tokens", "prompt_tokens", "error_rate_pct", "avg_latency_ms"}
)


@given(
    tech=st.dictionaries(st.sampled_from(NAMES), VALUES),
    business=st.dictionaries(st.sampled_from(NAMES), VALUES),
    freshness=VALUES,
)
def test_whatever_is_told_can_be_published(
    tech: Fields, business: Fields, freshness: object
) -> None:
    body = json.dumps({"tech": tech, "business": business, "data_freshness": freshness}).encode()
    zone = ZoneInfo(SHANGHAI)
    told = Dashboard(parse_response(ENDPOINT.path, ENDPOINT.response, body), zone)
    samples = [*told.samples(), *told.samples_of_day(day_of(NOW, zone))]
    assert render(samples).series == len(samples)


def test_money_is_no_float_before_it_is_published() -> None:
    body = b'{"tech": {"total_cost_rmb": "0.1"}}'
    tech = parse_response(ENDPOINT.path, ENDPOINT.response, body).tech
    assert getattr(tech, "total_cost_rmb", None) == Decimal("0.1")


# Responses as clients of the gateway have met them


def test_the_error_of_a_quota_is_a_rate_limit_and_its_text_is_not_repeated(
    dashboard: respx.Route, polled: Rig
) -> None:
    dashboard.respond(429, json=payload("aione/variants/aione_error"))
    polled.poll()
    assert isinstance(polled.error(TASK), RateLimitedError)
    assert str(polled.error(TASK)) == f"{ENDPOINT.path} answered 429"
    assert of_aione(polled.scrape()) == set()


def test_the_list_of_keys_is_no_dashboard_and_nothing_of_it_is_published(
    dashboard: respx.Route, polled: Rig
) -> None:
    dashboard.respond(json=payload("aione/variants/aione_keys"))
    polled.poll()
    assert isinstance(polled.error(TASK), ShapeError)
    assert of_aione(polled.scrape()) == set()
    assert "sk-" not in polled.page()
