"""Each data set of the v3 API: recorded payloads in, published series out."""

import re
import weakref
from collections.abc import Callable, Iterator, Mapping

import httpx
import pytest
import respx
from prometheus_client import CollectorRegistry

from exporter import errors
from exporter.client.fan_out import MOST_FAILURES, for_each_entity
from exporter.client.request_metrics import RequestMetrics
from exporter.config.settings import load
from exporter.sources.devin import SOURCE, keys
from exporter.sources.source import Shared, open_sources
from tests.conftest import Golden
from tests.support.recorded import RECORDED, pattern_of, recorded_for
from tests.support.rig import KEY, Clock, Rig, SkippedWaits, at, fields_of, payload, rig

URL = "https://api.test"
NOW = at("2026-03-20 15:30:00")
Api = respx.Router


def listing(*items: Mapping[str, object]) -> dict[str, object]:
    """A list that fits one page."""
    return {"items": items, "end_cursor": None, "has_next_page": False}


def member(user_id: str, **fields: object) -> dict[str, object]:
    """A user as the lists show one."""
    return {"user_id": user_id, "email": None, "name": None, "role_assignments": [], **fields}


def consumption(*days: tuple[str, float, Mapping[str, float | None]]) -> dict[str, object]:
    """A consumption answer."""
    rows = [
        {"date": int(at(f"{date} 08:00:00")), "acus": acus, "acus_by_product": split}
        for date, acus, split in days
    ]
    return {"total_acus": 0.0, "consumption_by_date": rows}


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def api() -> Iterator[Api]:
    with respx.mock(base_url=URL, assert_all_called=False) as router:
        router.get("/v3/self").respond(json=payload("devin/keys/self"))
        yield router


@pytest.fixture
def polled(api: Api, clock: Clock) -> Iterator[Rig]:
    assert api is not None
    with rig(URL, clock) as made:
        yield made


CYCLES = "/v3/enterprise/consumption/cycles"
DAILY = "/v3/enterprise/consumption/daily"
ORGANIZATIONS = "/v3/enterprise/organizations"
USERS = "/v3/enterprise/members/users"
IDP_USERS = "/v3/enterprise/members/idp-users"
SERVICE_USERS = "/v3/enterprise/members/service-users"
QUEUE = "/v3/enterprise/queue"
MARCH = {"after": int(at("2026-03-05 08:00:00")), "before": int(at("2026-04-05 08:00:00"))}
FEBRUARY = {"after": int(at("2026-02-05 08:00:00")), "before": int(at("2026-03-05 08:00:00"))}


def answer_everything(api: Api) -> None:
    """Recorded answers for every endpoint, with values and fields that are not documented yet."""
    for endpoint in SOURCE.endpoints:
        any_entity = re.escape(URL) + pattern_of(endpoint.path).pattern + r"(\?|$)"
        route = api.get(url__regex=any_entity) if "{" in endpoint.path else api.get(endpoint.path)
        if endpoint.optional == keys.NOT_HERE:
            route.respond(404)
        else:
            route.respond(json=RECORDED[recorded_for(endpoint.path)])


def test_recorded_answers_become_this_page(api: Api, polled: Rig, golden: Golden) -> None:
    answer_everything(api)
    polled.poll()
    golden.check(polled.page())


def test_every_metric_of_the_source_is_published_by_one_task(polled: Rig) -> None:
    published = [metric for task in polled.tasks for metric in task.metrics]
    assert sorted(m.name for m in published) == sorted(m.name for m in SOURCE.metrics)


def test_unknown_values_and_fields_become_labels_or_are_ignored(api: Api, polled: Rig) -> None:
    answer_everything(api)
    polled.poll()
    scrape = polled.scrape()
    assert scrape.one("devin_queue_status", status="frozen") == 1
    assert scrape.one("devin_queue_status", status="normal") == 0
    assert scrape.one("devin_consumption_cycle_acus", product="orbit") == 2.5
    origins = scrape.family("devin_sessions_created_by_origin_cycle")
    assert {"webapp", "carrier_pigeon"} <= {dict(labels)["origin"] for labels in origins}
    assert scrape.family("devin_exporter_task_up").values()
    assert set(scrape.family("devin_exporter_task_up").values()) == {1.0}


# Identity


def test_a_key_of_an_organization_without_an_id_is_no_answer(api: Api, polled: Rig) -> None:
    answer_everything(api)
    api.get("/v3/self").respond(json={"org_id": ""})
    polled.poll()
    assert isinstance(polled.error("identity"), errors.ShapeError)
    assert polled.error("sessions") is None
    assert polled.scrape().one("devin_organizations") == 2


# Cycles


def test_without_a_cycle_for_now_the_calendar_month_stands_in_and_is_told_once(
    api: Api, polled: Rig, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    api.get(CYCLES).respond(json=listing())
    polled.poll("cycles")
    polled.poll("cycles")
    scrape = polled.scrape()
    assert scrape.one("devin_billing_cycle_start_timestamp_seconds") == at("2026-03-01 08:00:00")
    assert scrape.one("devin_billing_cycle_end_timestamp_seconds") == at("2026-04-01 08:00:00")
    assert len(caplog.records) == 1
    clock.now = at("2026-04-01 08:00:00")
    scrape = polled.scrape()
    assert scrape.one("devin_billing_cycle_start_timestamp_seconds") is None


@pytest.mark.parametrize("status", [403, 404])
def test_where_cycles_are_not_to_be_had_the_calendar_month_stands_in(
    api: Api, polled: Rig, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    api.get(CYCLES).respond(status)
    api.get(DAILY).respond(json=consumption(("2026-03-02", 3.0, {"devin": 3.0})))
    polled.poll("cycles", "enterprise_consumption")
    scrape = polled.scrape()
    assert scrape.one("devin_exporter_task_up", task="cycles") == 0
    assert scrape.one("devin_consumption_cycle_acus", product="devin") == 3.0
    assert scrape.one("devin_consumption_previous_cycle_acus", product="devin") == 0.0
    (record,) = caplog.records
    assert "calendar month stands in" in record.getMessage()
    assert (status == 403) == ("ViewAccountConsumption" in record.getMessage())


def test_while_nobody_has_said_which_cycle_it_is_only_the_days_are_published(
    api: Api, polled: Rig
) -> None:
    api.get(CYCLES).respond(422)
    api.get(DAILY).respond(json=consumption(("2026-03-20", 3.0, {"devin": 3.0})))
    polled.poll("cycles", "enterprise_consumption")
    scrape = polled.scrape()
    assert scrape.one("devin_consumption_today_acus", product="devin") == 3.0
    assert scrape.family("devin_consumption_cycle_acus") == {}


def test_a_cycle_once_known_holds_while_its_endpoint_fails(
    api: Api, polled: Rig, clock: Clock
) -> None:
    cycles = api.get(CYCLES)
    cycles.respond(json=listing(MARCH, FEBRUARY))
    api.get(DAILY).respond(json=consumption(("2026-03-06", 3.0, {"devin": 3.0})))
    polled.poll("cycles", "enterprise_consumption")
    cycles.respond(422)
    clock.now += 3_600
    polled.poll("cycles", "enterprise_consumption")
    scrape = polled.scrape()
    assert scrape.one("devin_consumption_cycle_acus", product="devin") == 3.0
    assert scrape.one("devin_billing_cycle_start_timestamp_seconds") is None


def test_a_list_without_the_running_cycle_is_believed_at_the_second_time(
    api: Api, polled: Rig, clock: Clock
) -> None:
    known, nothing = (
        httpx.Response(200, json={"items": [MARCH, FEBRUARY]}),
        httpx.Response(200, json={"items": []}),
    )
    answers = [known, nothing, known, nothing, nothing]
    api.get(CYCLES).mock(side_effect=answers)
    starts = []
    for _ in answers:
        polled.poll("cycles")
        starts.append(polled.scrape().one("devin_billing_cycle_start_timestamp_seconds"))
        clock.now += 60
    assert starts == [*[MARCH["after"]] * 4, at("2026-03-01 08:00:00")]


def test_a_cycle_that_a_clock_ahead_has_dated_is_not_shown(
    api: Api, polled: Rig, clock: Clock
) -> None:
    api.get(CYCLES).respond(json={"items": [MARCH, FEBRUARY]})
    polled.poll("cycles")
    clock.now -= 3_600
    (cycles,) = [task for task in polled.tasks if task.name == "cycles"]
    assert cycles.snapshot(clock(), 900.0).samples == ()
    polled.poll("cycles")
    assert polled.scrape().one("devin_billing_cycle_start_timestamp_seconds") == MARCH["after"]


def test_a_cycle_that_ends_before_it_starts_is_no_answer(api: Api, polled: Rig) -> None:
    api.get(CYCLES).respond(json=listing({"after": 10, "before": 10}))
    polled.poll("cycles")
    assert isinstance(polled.error("cycles"), errors.ShapeError)


# Consumption


def test_the_request_covers_the_previous_cycle_and_a_day_more_on_each_side(
    api: Api, polled: Rig
) -> None:
    api.get(CYCLES).respond(json=listing(MARCH, FEBRUARY))
    route = api.get(DAILY).respond(json=consumption())
    polled.poll("cycles", "enterprise_consumption")
    query = route.calls.last.request.url.params
    assert int(query["time_after"]) == at("2026-02-04 08:00:00")
    assert int(query["time_before"]) == at("2026-03-21 08:00:00")


def test_a_good_answer_without_any_day_is_zero_and_not_unknown(api: Api, polled: Rig) -> None:
    api.get(CYCLES).respond(json=listing(MARCH, FEBRUARY))
    api.get(DAILY).respond(json=consumption())
    api.get("/v3/enterprise/metrics/sessions").respond(json=session_metrics(0))
    polled.poll("cycles", "enterprise_consumption")
    assert polled.scrape().family("devin_consumption_cycle_acus") == {}
    polled.poll("session_metrics")
    for window in ("today", "yesterday", "cycle", "previous_cycle"):
        shown = polled.scrape().family(f"devin_consumption_{window}_acus")
        assert {dict(labels)["product"]: value for labels, value in shown.items()} == {
            "devin": 0.0,
            "cascade": 0.0,
            "terminal": 0.0,
        }


def test_a_product_seen_anywhere_is_published_for_every_organization(api: Api, polled: Rig) -> None:
    api.get(CYCLES).respond(json=listing(MARCH, FEBRUARY))
    api.get(ORGANIZATIONS).respond(
        json=listing({"org_id": "a", "name": "A"}, {"org_id": "b", "name": "B"})
    )
    api.get(DAILY).respond(403)
    seen = consumption(("2026-03-20", 3.0, {"devin": 1.0, "review": 2.0}))
    api.get(f"{DAILY}/organizations/a").respond(json=seen)
    api.get(f"{DAILY}/organizations/b").respond(json=consumption())
    polled.poll("cycles", "organizations", "organization_consumption")
    scrape = polled.scrape()
    name = "devin_organization_consumption_today_acus"
    assert scrape.one(name, org_id="a", product="review") == 2.0
    assert scrape.one(name, org_id="b", product="review") == 0.0


def test_a_total_that_is_not_the_sum_shows_the_rest_as_unknown(api: Api, polled: Rig) -> None:
    api.get(CYCLES).respond(json=listing(MARCH, FEBRUARY))
    api.get(DAILY).respond(
        json=consumption(
            ("2026-03-20", 5.0, {"devin": 3.0, "review": None}),
            ("2026-03-19", 1.0, {"devin": 3.0, "review": None}),
        )
    )
    polled.poll("cycles", "enterprise_consumption")
    scrape = polled.scrape()
    assert scrape.one("devin_consumption_today_acus", product="unknown") == 2.0
    assert scrape.one("devin_consumption_yesterday_acus", product="unknown") == -2.0
    assert scrape.one("devin_consumption_cycle_acus", product="unknown") == 0.0
    assert scrape.one("devin_consumption_today_acus", product="review") is None


def test_milliseconds_and_other_hours_are_the_same_day(api: Api, polled: Rig) -> None:
    api.get(CYCLES).respond(json=listing(MARCH, FEBRUARY))
    day = int(at("2026-03-20 08:00:00"))
    for date in (day, day * 1_000, day - 3_600, day - 8 * 3_600):
        row = {"date": date, "acus": 1.5, "acus_by_product": {"devin": 1.5}}
        api.get(DAILY).respond(json={"total_acus": 1.5, "consumption_by_date": [row]})
        polled.poll("cycles", "enterprise_consumption")
        assert polled.scrape().one("devin_consumption_today_acus", product="devin") == 1.5


@pytest.mark.parametrize(
    "row",
    [
        {"date": 1, "acus": "1.5", "acus_by_product": {}},
        {"date": 1.5, "acus": 1.5, "acus_by_product": {}},
        {"date": -1, "acus": 1.5, "acus_by_product": {}},
        {"date": 10**300, "acus": 1.5, "acus_by_product": {}},
        {"date": 1, "acus": 1e200, "acus_by_product": {}},
        {"date": 1, "acus": None, "acus_by_product": {}},
        {"date": 1, "acus": 1.0, "acus_by_product": {"devin": "1"}},
        {"date": 1, "acus": 1.0, "acus_by_product": []},
        {"acus": 1.0},
        [],
        None,
    ],
)
def test_a_row_of_another_shape_makes_the_whole_answer_no_answer(
    api: Api, polled: Rig, row: object
) -> None:
    api.get(CYCLES).respond(json=listing(MARCH, FEBRUARY))
    api.get(DAILY).respond(json={"total_acus": 0.0, "consumption_by_date": [row]})
    polled.poll("cycles", "enterprise_consumption")
    assert isinstance(polled.error("enterprise_consumption"), errors.ShapeError)
    assert polled.scrape().family("devin_consumption_today_acus") == {}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_none_makes_the_whole_answer_no_answer(
    api: Api, polled: Rig, number: str
) -> None:
    row = f'{{"date": 1, "acus": {number}, "acus_by_product": {{}}}}'
    body = f'{{"total_acus": 0.0, "consumption_by_date": [{row}]}}'
    api.get(DAILY).respond(200, text=body)
    polled.poll("enterprise_consumption")
    assert isinstance(polled.error("enterprise_consumption"), errors.BadAnswerError)


def test_the_same_day_twice_is_no_answer_if_its_figures_differ(api: Api, polled: Rig) -> None:
    twice = consumption(("2026-03-20", 1.0, {"devin": 1.0}), ("2026-03-20", 2.0, {"devin": 1.0}))
    api.get(DAILY).respond(json=twice)
    polled.poll("enterprise_consumption")
    assert isinstance(polled.error("enterprise_consumption"), errors.ShapeError)


def test_the_same_day_twice_with_equal_figures_is_one_day(api: Api, polled: Rig) -> None:
    day = ("2026-03-20", 1.0, {"devin": 1.0})
    same = ("2026-03-20", 1.0, {"devin": 1.0, "review": None})
    api.get(DAILY).respond(json=consumption(day, same))
    polled.poll("cycles", "enterprise_consumption")
    assert polled.scrape().one("devin_consumption_today_acus", product="devin") == 1


def test_a_user_who_left_is_asked_for_while_a_window_holds_use(
    api: Api, polled: Rig, clock: Clock
) -> None:
    api.get(CYCLES).respond(json=listing(MARCH, FEBRUARY))
    users = api.get(USERS)
    users.respond(json=listing(member("ada"), member("bob"), member("idle")))
    api.get(IDP_USERS).respond(json=listing())
    api.get(DAILY).respond(403)
    used = consumption(("2026-03-06", 4.0, {"devin": 4.0}))
    ada = api.get(f"{DAILY}/users/ada").respond(json=used)
    api.get(f"{DAILY}/users/bob").respond(json=used)
    idle = api.get(f"{DAILY}/users/idle").respond(json=consumption())
    tasks = ("cycles", "users", "user_consumption")
    polled.poll(*tasks)
    users.respond(json=listing(member("bob")))
    for _ in range(3):
        clock.now += 300
        polled.poll(*tasks)
    assert ada.call_count == 4
    assert idle.call_count == 2
    scrape = polled.scrape()
    assert scrape.one("devin_user_consumption_cycle_acus", user_id="ada", product="devin") == 4.0
    assert {dict(labels)["user_id"] for labels in scrape.family("devin_user_info")} == {"bob"}
    assert scrape.one("devin_users") == 1

    clock.now = at("2026-04-06 09:00:00")
    april = {"after": MARCH["before"], "before": int(at("2026-05-05 08:00:00"))}
    api.get(CYCLES).respond(json=listing(april, MARCH))
    polled.poll(*tasks)
    assert ada.call_count == 5
    assert '"ada"' not in polled.store.page.text.decode()

    clock.now = at("2026-05-06 09:00:00")
    may = {"after": april["before"], "before": int(at("2026-06-05 08:00:00"))}
    api.get(CYCLES).respond(json=listing(may, april, MARCH))
    polled.poll(*tasks)
    assert ada.call_count == 5
    assert polled.scrape().one("devin_exporter_task_entities_missing", task="user_consumption") == 0


def test_one_user_who_always_fails_is_counted_and_the_others_stay(api: Api, polled: Rig) -> None:
    api.get(CYCLES).respond(json=listing(MARCH, FEBRUARY))
    api.get(USERS).respond(json=listing(*(member(f"user-{n}") for n in range(30))))
    api.get(IDP_USERS).respond(json=listing())
    api.get(DAILY).respond(403)
    api.get(f"{DAILY}/users/user-7").respond(404)
    path = re.escape(f"{URL}{DAILY}/users/")
    used = consumption(("2026-03-20", 4.0, {"devin": 4.0}))
    api.get(url__regex=path).respond(json=used)
    polled.poll("cycles", "users", "user_consumption")
    scrape = polled.scrape()
    assert len(scrape.family("devin_user_consumption_today_acus")) == 29
    assert scrape.one("devin_exporter_task_up", task="user_consumption") == 0
    assert scrape.one("devin_exporter_task_entities_missing", task="user_consumption") == 1
    labels = {"task": "user_consumption", "reason": "not_found"}
    assert polled.counted("devin_exporter_task_failures_total", **labels) == 1
    assert scrape.family("devin_exporter_unattributed_cycle_acus") == {}


def test_without_a_list_there_is_nobody_to_ask_for(api: Api, polled: Rig) -> None:
    for path in (ORGANIZATIONS, USERS, IDP_USERS, SERVICE_USERS):
        api.get(path).respond(403)
    polled.poll()
    for task in ("organization_consumption", "user_consumption", "service_user_consumption"):
        assert isinstance(polled.error(task), errors.EntitiesUnknownError)
        assert polled.scrape().one("devin_exporter_task_up", task=task) == 0


# Directory


def test_a_name_goes_after_two_good_lists_without_it(api: Api, polled: Rig) -> None:
    route = api.get(ORGANIZATIONS)
    both = listing({"org_id": "a", "name": "A"}, {"org_id": "b", "name": "B"})
    route.mock(
        side_effect=[
            httpx.Response(200, json=both),
            httpx.Response(200, json=listing()),
            httpx.Response(200, json=both),
            httpx.Response(200, json=listing({"org_id": "a", "name": "A2"})),
            httpx.Response(422),
            httpx.Response(200, json=listing({"org_id": "a", "name": "A2"})),
        ]
    )

    def shown() -> set[str]:
        infos = polled.scrape().family("devin_organization_info")
        return {dict(labels)["org_name"] for labels in infos}

    seen: list[tuple[set[str], float | None]] = []
    for _ in range(6):
        polled.poll("organizations")
        seen.append((shown(), polled.scrape().one("devin_organizations")))
    assert seen == [
        ({"A", "B"}, 2),
        ({"A", "B"}, 2),
        ({"A", "B"}, 2),
        ({"A2", "B"}, 2),
        ({"A2", "B"}, 2),
        ({"A2"}, 1),
    ]


def test_a_user_on_both_lists_has_one_info_with_what_either_knows(api: Api, polled: Rig) -> None:
    api.get(USERS).respond(
        json=listing(member("ada", email="ada@x", role_assignments=[{"org_id": "o1"}]))
    )
    roles = [{"org_id": "o1"}, {"org_id": "o2"}, {"org_id": None}]
    api.get(IDP_USERS).respond(
        json=listing(
            {"user_id": "ada", "email": "other", "name": "Ada", "idp_role_assignments": roles}
        )
    )
    polled.poll("users")
    scrape = polled.scrape()
    info = {"user_id": "ada", "user_email": "ada@x", "user_name": "Ada"}
    assert scrape.family("devin_user_info") == {frozenset(info.items()): 1.0}
    members = scrape.family("devin_organization_member_info")
    assert {dict(labels)["org_id"] for labels in members} == {"o1", "o2"}
    assert scrape.one("devin_users") == 1


def test_with_one_of_two_lists_its_users_are_shown_but_not_counted(api: Api, polled: Rig) -> None:
    api.get(USERS).respond(json=listing(member("ada")))
    api.get(IDP_USERS).respond(404)
    polled.poll("users")
    scrape = polled.scrape()
    assert len(scrape.family("devin_user_info")) == 1
    assert scrape.one("devin_users") is None
    assert scrape.one("devin_exporter_task_up", task="users") == 0


def test_names_too_old_are_no_longer_shown(api: Api, polled: Rig, clock: Clock) -> None:
    api.get(SERVICE_USERS).respond(json=listing({"service_user_id": "s", "name": "bot"}))
    polled.poll("service_users")
    clock.now += 899
    assert polled.scrape().one("devin_service_users") == 1
    clock.now += 1
    scrape = polled.scrape()
    assert scrape.one("devin_service_users") is None
    assert scrape.one("devin_exporter_task_up", task="service_users") == 0


@pytest.mark.parametrize(
    ("expires_at", "fine", "told"),
    [
        (253_402_300_799_999, True, "the key expires at 9999-12-31 23:59 UTC"),
        (253_402_300_800_000, False, "expires_at"),
    ],
)
def test_a_timestamp_after_the_year_9999_is_no_answer_and_does_not_end_the_check(
    api: Api, clock: Clock, *, expires_at: int, fine: bool, told: str
) -> None:
    answer_everything(api)
    bot = {"service_user_id": "service-user-1", "name": "ci", "expires_at": expires_at}
    api.get(SERVICE_USERS).respond(json=listing(bot))
    settings = load(
        SOURCE.sections, fields_of(*SOURCE.sections, api_url=URL, service_user_token=KEY)
    )
    waits = SkippedWaits()
    shared = Shared(RequestMetrics(CollectorRegistry()), waits, waits.timing(clock))
    with open_sources((SOURCE,), settings, shared) as (opened,):
        report = SOURCE.check(opened)
    assert report.passed == fine
    assert told in "\n".join(report.lines)


# Activity


def active(start: str, users: int) -> dict[str, int]:
    """An entry of dau, wau or mau."""
    return {"start_time": int(at(start)), "end_time": 0, "active_users": users}


def answer_activity(api: Api, prefix: str = "/v3/enterprise") -> None:
    """Days, weeks and months around Friday, 20 March 2026."""
    days = [active("2026-03-19 00:00:00", 5), active("2026-03-20 00:00:00", 3)]
    weeks = [
        active("2026-03-08 00:00:00", 1),
        active("2026-03-09 00:00:00", 9),
        active("2026-03-16 00:00:00", 7),
    ]
    months = [active("2026-02-01 00:00:00", 20), active("2026-03-01 00:00:00", 15)]
    for period, entries in (("dau", days), ("wau", weeks), ("mau", months)):
        api.get(f"{prefix}/metrics/{period}").respond(json=entries)


def activity(polled: Rig) -> dict[str, float]:
    """What is published of active users."""
    page = polled.scrape()
    return {
        name.removeprefix("devin_").removesuffix("_active_users"): value
        for (name, _), value in page.values.items()
        if name.endswith("_active_users")
    }


def test_running_and_complete_days_weeks_and_months_are_told_apart(api: Api, polled: Rig) -> None:
    answer_activity(api)
    polled.poll("activity")
    assert activity(polled) == {
        "daily": 3,
        "previous_day": 5,
        "weekly": 7,
        "previous_week": 9,
        "monthly": 15,
        "previous_month": 20,
    }


def test_at_midnight_the_days_go_and_on_monday_the_weeks(
    api: Api, polled: Rig, clock: Clock
) -> None:
    answer_activity(api)
    clock.now = at("2026-03-20 23:59:59")
    polled.poll("activity")
    clock.now = at("2026-03-21 00:00:00")
    assert set(activity(polled)) == {"weekly", "previous_week", "monthly", "previous_month"}
    clock.now = at("2026-03-22 23:59:59")
    polled.poll("activity")
    assert set(activity(polled)) == {"weekly", "previous_week", "monthly", "previous_month"}
    clock.now = at("2026-03-23 00:00:00")
    assert set(activity(polled)) == {"monthly", "previous_month"}


def test_a_day_that_is_not_told_is_unknown_and_not_zero(api: Api, polled: Rig) -> None:
    answer_activity(api)
    api.get("/v3/enterprise/metrics/dau").respond(json=[])
    polled.poll("activity")
    assert set(activity(polled)) == {"weekly", "previous_week", "monthly", "previous_month"}


def test_one_of_the_three_lists_failing_leaves_the_others(api: Api, polled: Rig) -> None:
    answer_activity(api)
    api.get("/v3/enterprise/metrics/wau").respond(404)
    polled.poll("activity")
    assert set(activity(polled)) == {"daily", "previous_day", "monthly", "previous_month"}
    assert isinstance(polled.error("activity"), errors.NotFoundError)


def test_organizations_tell_their_running_windows(api: Api, polled: Rig, clock: Clock) -> None:
    api.get(ORGANIZATIONS).respond(
        json=listing({"org_id": "a", "name": "A"}, {"org_id": "b/c", "name": "B"})
    )
    answer_activity(api, "/v3/organizations/a")
    api.get(url__regex=r".*/v3/organizations/b%2Fc/metrics/.*").respond(404)
    clock.now = at("2026-03-20 23:59:00")
    polled.poll("organizations", "organization_activity")
    scrape = polled.scrape()
    assert scrape.one("devin_organization_weekly_active_users", org_id="a") == 7
    assert scrape.one("devin_exporter_task_entities_missing", task="organization_activity") == 1
    clock.now = at("2026-03-21 00:00:00")
    scrape = polled.scrape()
    assert scrape.one("devin_organization_daily_active_users", org_id="a") is None
    assert scrape.one("devin_organization_weekly_active_users", org_id="a") == 7


# Session metrics


def session_metrics(created: int, average: float = 2.5) -> dict[str, object]:
    """An answer of metrics/sessions."""
    return {
        "avg_acus_per_session": average,
        "sessions_created_count": created,
        "sessions_created_by_origin": {"webapp": created},
        "sessions_created_by_size": {"xs": 0, "s": created},
        "sessions_with_merged_prs_count": 1,
    }


def test_sessions_are_counted_in_exactly_their_windows(api: Api, polled: Rig, clock: Clock) -> None:
    api.get(CYCLES).respond(json=listing(MARCH, FEBRUARY))
    for start, end, created in (
        ("2026-03-20", "2026-03-21", 4),
        ("2026-03-19", "2026-03-20", 6),
        ("2026-03-05", "2026-04-05", 99),
    ):
        query = {
            "time_after": int(at(f"{start} 08:00:00")),
            "time_before": int(at(f"{end} 08:00:00")),
        }
        answer = session_metrics(created)
        api.get("/v3/enterprise/metrics/sessions", params=query).respond(json=answer)
    polled.poll("cycles", "session_metrics")
    scrape = polled.scrape()
    shown = {w: scrape.one(f"devin_sessions_created_{w}") for w in ("today", "yesterday", "cycle")}
    assert shown == {"today": 4, "yesterday": 6, "cycle": 99}
    assert scrape.one("devin_session_average_cycle_acus") == 2.5
    assert scrape.one("devin_sessions_created_by_size_cycle", size="xs") == 0
    clock.now = at("2026-03-21 08:00:00")
    polled.poll("cycles")
    scrape = polled.scrape()
    assert scrape.one("devin_sessions_created_today") is None
    assert scrape.one("devin_sessions_created_yesterday") is None


def test_the_average_of_no_sessions_is_unknown(api: Api, polled: Rig) -> None:
    api.get(CYCLES).respond(json=listing(MARCH, FEBRUARY))
    api.get("/v3/enterprise/metrics/sessions").respond(json=session_metrics(0, 0.0))
    polled.poll("cycles", "session_metrics")
    scrape = polled.scrape()
    assert scrape.one("devin_sessions_created_cycle") == 0
    assert scrape.one("devin_session_average_cycle_acus") is None


def test_subcategories_and_the_remainder_add_up_to_their_category(api: Api, polled: Rig) -> None:
    api.get(CYCLES).respond(json=listing(MARCH, FEBRUARY))
    path = "/v3/enterprise/metrics/sessions-by-category"
    api.get(path).respond(json=payload("devin/activity/categories"))
    polled.poll("cycles", "categories")
    scrape = polled.scrape()
    name = "devin_category_sessions_cycle"
    rows = {tuple(sorted(dict(k).items())): v for k, v in scrape.family(name).items()}
    assert {(dict(k)["category"], dict(k)["subcategory"]): v for k, v in rows.items()} == {
        ("bug_fixing", "sub-1"): 4,
        ("bug_fixing", "Crashes"): 3,
        ("bug_fixing", ""): 3,
        ("tea_making", ""): 2,
    }
    acus = scrape.family("devin_category_cycle_acus")
    assert sum(v for k, v in acus.items() if dict(k)["category"] == "bug_fixing") == 25.5


def test_price_and_pool_are_published_where_they_are_set(api: Api, clock: Clock) -> None:
    assert api is not None
    with rig(URL, clock, acu_price="2.25", acu_currency="EUR", acu_pool="0") as made:
        made.scheduler.start()
        scrape = made.scrape()
        made.scheduler.stop()
        assert scrape.one("devin_acu_price", currency="EUR") == 2.25
        assert scrape.one("devin_pool_acus") == 0


# Queue


def test_the_queue_is_forgotten_when_it_is_too_old(api: Api, polled: Rig, clock: Clock) -> None:
    api.get(QUEUE).respond(json={"queue_size": 11, "status": "elevated"})
    polled.poll("queue")
    assert polled.scrape().one("devin_queue_size") == 11
    assert polled.scrape().one("devin_queue_status", status="elevated") == 1
    clock.now += 180
    scrape = polled.scrape()
    assert scrape.family("devin_queue_status") == {}
    assert scrape.one("devin_queue_size") is None
    assert scrape.one("devin_exporter_task_up", task="queue") == 0


def test_a_403_names_the_permission(api: Api, polled: Rig) -> None:
    api.get(QUEUE).respond(403)
    polled.poll("queue")
    assert str(polled.error("queue")) == (
        f"{QUEUE} answered 403; the key needs the permission ViewAccountMetrics"
    )


@pytest.mark.parametrize(("status", "reason"), [(403, "forbidden"), (404, "not_found")])
def test_an_endpoint_that_was_there_and_is_refused_now_is_down_and_not_off(
    api: Api, polled: Rig, status: int, reason: str
) -> None:
    known = httpx.Response(200, json={"items": []})
    api.get("/v3/enterprise/hypervisors").mock(side_effect=[known, httpx.Response(status), known])
    for up in (1, 0, 1):
        polled.poll("hypervisors")
        assert polled.scrape().one("devin_exporter_task_up", task="hypervisors") == up
    labels = {"task": "hypervisors", "reason": reason}
    assert polled.counted("devin_exporter_task_failures_total", **labels) == 1


# Sweeps


def test_a_sweep_ends_at_once_when_the_key_is_refused() -> None:
    asked: list[str] = []

    def ask(entity: str) -> None:
        asked.append(entity)
        raise errors.KeyRefusedError("401")

    with pytest.raises(errors.PartialError) as failure:
        for_each_entity([str(n) for n in range(1_000)], ask, threads=1)
    assert len(asked) == 1
    assert not failure.value.complete


@pytest.mark.parametrize(("retry_after", "asked_for"), [(60.0, 1), (1.0, 20), (None, 20)])
def test_a_sweep_ends_where_the_api_asks_for_a_long_wait(
    retry_after: float | None, asked_for: int
) -> None:
    asked: list[str] = []

    def ask(entity: str) -> None:
        asked.append(entity)
        if len(asked) == 1:
            raise errors.RateLimitedError("429", retry_after=retry_after)

    with pytest.raises(errors.PartialError):
        for_each_entity([str(n) for n in range(20)], ask, threads=1)
    assert len(asked) == asked_for


def test_a_sweep_holds_no_answers_of_those_who_have_failed() -> None:
    held: list[weakref.ref[httpx.Response]] = []

    def ask(_: str) -> None:
        assert not any(answer() for answer in held)
        answer = httpx.Response(200)
        held.append(weakref.ref(answer))
        raise errors.ShapeError("it is not what it should be")

    with pytest.raises(errors.PartialError):
        for_each_entity(["a", "b", "c"], ask, threads=1)
    assert len(held) == 3


def asked_until_given_up(answers: Callable[[int], errors.PollError | None]) -> int:
    """How many of a thousand were asked before a sweep ended."""
    asked: list[str] = []

    def ask(entity: str) -> None:
        asked.append(entity)
        failure = answers(int(entity))
        if failure:
            raise failure

    with pytest.raises(errors.PartialError):
        for_each_entity([str(n) for n in range(1_000)], ask, threads=1)
    return len(asked)


def test_a_sweep_gives_up_when_nobody_succeeds() -> None:
    refused = errors.PermissionMissingError("403")
    assert asked_until_given_up(lambda _: refused) == MOST_FAILURES


def test_a_sweep_gives_up_when_many_in_a_row_get_no_answer() -> None:
    broken = errors.ServerFailedError("500")
    assert asked_until_given_up(lambda n: broken if n >= 100 else None) == 100 + MOST_FAILURES


def test_a_sweep_goes_on_past_many_who_are_refused_one_by_one() -> None:
    gone = errors.NotFoundError("404")
    assert asked_until_given_up(lambda n: gone if n >= 100 else None) == 1_000


def test_organizations_behind_a_block_that_always_fails_get_their_turn(
    api: Api, polled: Rig
) -> None:
    org_ids = [f"org-{n:02}" for n in range(40)]
    api.get(ORGANIZATIONS).respond(
        json=listing(*({"org_id": org_id, "name": ""} for org_id in org_ids))
    )
    for org_id in org_ids:
        if org_id < "org-20":
            api.get(url__regex=f".*/v3/organizations/{org_id}/metrics/.*").respond(403)
        else:
            answer_activity(api, f"/v3/organizations/{org_id}")
    polled.poll("organizations")
    for _ in range(3):
        polled.clock.now += 60
        polled.poll("organization_activity")
    shown = polled.scrape().family("devin_organization_daily_active_users")
    assert len(shown) == 20


def test_a_sweep_goes_on_where_failures_are_scattered() -> None:
    def ask(entity: str) -> None:
        if int(entity) % 2:
            raise errors.ServerFailedError("500")

    with pytest.raises(errors.PartialError) as failure:
        for_each_entity([str(n) for n in range(100)], ask, threads=1)
    assert len(failure.value.errors) == 50
    assert failure.value.complete


@pytest.mark.parametrize("fault", [errors.StoppedError("stop"), ZeroDivisionError("ours")])
def test_a_stop_or_a_fault_of_ours_ends_a_sweep(fault: Exception) -> None:
    asked: list[str] = []

    def ask(entity: str) -> None:
        asked.append(entity)
        raise fault

    with pytest.raises(type(fault)):
        for_each_entity([str(n) for n in range(1_000)], ask, threads=1)
    assert len(asked) == 1
