"""One row that cannot be read costs that row, and what would be wrong without it."""

from collections.abc import Iterator

import pytest
import respx

from exporter import errors
from exporter.sources.devin.operations.automations import REFUSED_SECONDS
from tests.exporter.sources.devin.test_data_sets import (
    CYCLES,
    DAILY,
    FEBRUARY,
    IDP_USERS,
    MARCH,
    NOW,
    ORGANIZATIONS,
    SERVICE_USERS,
    URL,
    USERS,
    Api,
    answer_everything,
    consumption,
    listing,
    member,
)
from tests.support.rig import Clock, Rig, payload, rig

LIMITS = "/v3/enterprise/consumption/acu-limits/devin"
SESSIONS = "/v3/enterprise/sessions"
HYPERVISORS = "/v3/enterprise/hypervisors"
VIOLATIONS = "/v3beta1/enterprise/guardrail-violations"
CATEGORIES = "/v3/enterprise/metrics/sessions-by-category"
DAU = "/v3/enterprise/metrics/dau"
BAD = {"user_id": 7, "org_id": 7, "service_user_id": 7, "session_id": 7}


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def api() -> Iterator[Api]:
    with respx.mock(base_url=URL, assert_all_called=False) as router:
        router.get("/v3/self").respond(json=payload("devin/keys/self"))
        router.get(CYCLES).respond(json=listing(MARCH, FEBRUARY))
        router.get(IDP_USERS).respond(json=listing())
        yield router


@pytest.fixture
def polled(api: Api, clock: Clock) -> Iterator[Rig]:
    assert api is not None
    with rig(URL, clock) as made:
        yield made


def unreadable(polled: Rig, path: str) -> float | None:
    return polled.scrape().one("devin_unreadable_values", path=path)


def org(org_id: str, **fields: object) -> dict[str, object]:
    return {"org_id": org_id, "name": org_id, **fields}


def session(session_id: str, *, updated: float = NOW - 60) -> dict[str, object]:
    return {
        "session_id": session_id,
        "org_id": "org-1",
        "url": "https://app.test/s",
        "status": "running",
        "acus_consumed": 1.0,
        "created_at": int(NOW) - 3_600,
        "updated_at": int(updated),
    }


# The directory


def test_the_others_stay_and_the_count_of_a_list_with_a_row_that_cannot_be_read_is_absent(
    api: Api, polled: Rig
) -> None:
    api.get(ORGANIZATIONS).respond(json=listing(org("org-1"), BAD))
    api.get(USERS).respond(json=listing(member("ada"), BAD, member("bob")))
    bots = ({"service_user_id": "bot", "name": None}, BAD)
    api.get(SERVICE_USERS).respond(json=listing(*bots))
    polled.poll("organizations", "users", "service_users")
    scrape = polled.scrape()
    assert scrape.one("devin_organization_info", org_id="org-1", org_name="org-1") == 1
    assert len(scrape.family("devin_user_info")) == 2
    assert len(scrape.family("devin_service_user_info")) == 1
    counts = {"devin_organizations", "devin_users", "devin_service_users"}
    assert not counts & scrape.names()
    for path in (ORGANIZATIONS, USERS, SERVICE_USERS):
        assert unreadable(polled, path) == 1
    assert unreadable(polled, IDP_USERS) == 0
    assert scrape.one("devin_exporter_task_up", task="users") == 1


def test_the_count_returns_with_a_list_that_can_be_read(api: Api, polled: Rig) -> None:
    users = api.get(USERS).respond(json=listing(member("ada"), BAD))
    polled.poll("users")
    users.respond(json=listing(member("ada"), member("bob")))
    polled.poll("users")
    assert polled.scrape().one("devin_users") == 2
    assert unreadable(polled, USERS) == 0


def test_a_user_who_cannot_be_read_is_not_one_who_left(api: Api, polled: Rig, clock: Clock) -> None:
    users = api.get(USERS).respond(json=listing(member("ada"), member("bob")))
    asked = api.get(f"{DAILY}/users/bob").respond(json=consumption())
    api.get(f"{DAILY}/users/ada").respond(json=consumption())
    api.get(DAILY).respond(403)
    polled.poll("cycles", "users", "user_consumption")
    users.respond(json=listing(member("ada"), BAD))
    for _ in range(5):
        clock.now += 300
        polled.poll("users", "user_consumption")
    assert asked.call_count == 6


def test_what_was_known_of_a_row_that_cannot_be_read_grows_too_old(
    api: Api, polled: Rig, clock: Clock
) -> None:
    users = api.get(USERS).respond(json=listing(member("ada"), member("bob")))
    polled.poll("users", "cycles")
    users.respond(json=listing(member("ada"), BAD))
    shown = []
    for _ in range(4):
        clock.now += 300
        polled.poll("users")
        shown.append(len(polled.scrape().family("devin_user_info")))
    assert shown == [2, 2, 1, 1]
    assert polled.scrape().one("devin_exporter_task_up", task="users") == 0


def test_after_a_row_that_cannot_be_read_two_good_lists_drop_a_user(
    api: Api, polled: Rig, clock: Clock
) -> None:
    users = api.get(USERS)
    lists = (("ada", "bob"), ("ada",), ("ada", None), ("ada",), ("ada",))
    known = []
    for names in lists:
        rows = [BAD if name is None else member(name) for name in names]
        users.respond(json=listing(*rows))
        clock.now += 60
        polled.poll("users")
        known.append(len(polled.scrape().family("devin_user_info")))
    assert known == [2, 2, 2, 2, 1]


def test_a_list_of_which_no_row_can_be_read_is_no_answer(api: Api, polled: Rig) -> None:
    api.get(USERS).respond(json=listing(BAD, BAD))
    polled.poll("users")
    assert isinstance(polled.error("users"), errors.ShapeError)
    assert unreadable(polled, USERS) == 2


def test_a_sum_over_all_users_is_absent_while_one_of_them_cannot_be_read(
    api: Api, clock: Clock
) -> None:
    users = api.get(USERS).respond(json=listing(member("ada"), member("bob"), BAD))
    api.get(SERVICE_USERS).respond(json=listing())
    used = consumption(("2026-03-06", 4.0, {"devin": 4.0}))
    for path in ("", "/users/ada", "/users/bob", "/users/eve"):
        api.get(DAILY + path).respond(json=used)
    tasks = ("cycles", "users", "service_users", "enterprise_consumption", "user_consumption")
    sums = ("devin_exporter_unattributed_cycle_acus", "devin_user_consumption_cycle_acus")
    with rig(URL, clock, user_limit="1") as polled:
        polled.poll(*tasks)
        unattributed, by_user = (polled.scrape().family(name) for name in sums)
        assert unattributed == {}
        assert {dict(labels)["user_id"] for labels in by_user} == {"ada"}
        users.respond(json=listing(member("ada"), member("bob"), member("eve")))
        polled.poll(*tasks)
        scrape = polled.scrape()
        assert scrape.one(sums[0], scope="users") == -8
        assert scrape.one(sums[1], user_id="other", product="devin") == 8


def test_unattributed_use_is_absent_while_an_organization_cannot_be_read(
    api: Api, polled: Rig
) -> None:
    api.get(ORGANIZATIONS).respond(json=listing(org("org-1"), BAD))
    used = consumption(("2026-03-06", 4.0, {"devin": 4.0}))
    api.get(DAILY).respond(json=used)
    api.get(f"{DAILY}/organizations/org-1").respond(json=used)
    polled.poll("cycles", "organizations", "enterprise_consumption", "organization_consumption")
    scrape = polled.scrape()
    assert scrape.one("devin_organization_consumption_cycle_acus", org_id="org-1", product="devin")
    assert scrape.family("devin_exporter_unattributed_cycle_acus") == {}


def test_nulls_of_members_are_taken(api: Api, polled: Rig) -> None:
    nulls: dict[str, object] = {"role_assignments": None, "idp_role_assignments": None}
    api.get(USERS).respond(json=listing(member("ada", **nulls)))
    api.get(ORGANIZATIONS).respond(json=listing(org("org-1", name=None)))
    bot: dict[str, object] = {"service_user_id": "bot", "name": None, "expires_at": None}
    api.get(SERVICE_USERS).respond(json=listing(bot))
    polled.poll("organizations", "users", "service_users")
    scrape = polled.scrape()
    assert scrape.one("devin_users") == 1
    assert scrape.one("devin_organization_info", org_id="org-1", org_name="org-1") == 1
    labels = {"service_user_id": "bot", "service_user_name": "bot"}
    assert scrape.one("devin_service_user_info", **labels) == 1


# Cycles


def test_an_old_cycle_that_cannot_be_read_leaves_the_running_one(api: Api, polled: Rig) -> None:
    api.get(CYCLES).respond(json=listing(MARCH, {"after": None, "before": FEBRUARY["before"]}))
    api.get(DAILY).respond(json=consumption(("2026-03-06", 4.0, {"devin": 4.0})))
    polled.poll("cycles", "enterprise_consumption")
    scrape = polled.scrape()
    assert scrape.one("devin_billing_cycle_end_timestamp_seconds") == MARCH["before"]
    assert scrape.one("devin_consumption_cycle_acus", product="devin") == 4
    assert scrape.family("devin_consumption_previous_cycle_acus") == {}


def test_no_calendar_month_stands_in_for_a_running_cycle_that_cannot_be_read(
    api: Api, polled: Rig
) -> None:
    api.get(CYCLES).respond(json=listing(FEBRUARY, {"after": MARCH["after"]}))
    api.get(DAILY).respond(json=consumption(("2026-03-06", 4.0, {"devin": 4.0})))
    polled.poll("cycles", "enterprise_consumption")
    assert isinstance(polled.error("cycles"), errors.ShapeError)
    assert polled.scrape().family("devin_billing_cycle_end_timestamp_seconds") == {}
    assert polled.scrape().family("devin_consumption_cycle_acus") == {}
    assert polled.scrape().one("devin_consumption_today_acus", product="devin") == 0


def test_a_cycle_that_was_known_stays_while_its_row_cannot_be_read(
    api: Api, polled: Rig, clock: Clock
) -> None:
    polled.poll("cycles")
    api.get(CYCLES).respond(json=listing(FEBRUARY, {"after": MARCH["after"]}))
    for _ in range(3):
        clock.now += 300
        polled.poll("cycles")
    end = polled.scrape().one("devin_billing_cycle_end_timestamp_seconds")
    assert (polled.error("cycles"), end) == (None, MARCH["before"])


# Sessions


def test_sessions_have_no_counts_while_one_of_the_last_day_cannot_be_read(
    api: Api, polled: Rig, clock: Clock
) -> None:
    listed = api.get(SESSIONS).respond(json=listing(session("a"), {**BAD, "updated_at": 1}))
    polled.poll("sessions")
    first = polled.scrape()
    assert first.family("devin_sessions") == {}
    assert len(first.family("devin_recent_session_info")) == 1
    assert unreadable(polled, SESSIONS) == 1
    clock.now += 3_600
    polled.poll("sessions")
    assert polled.scrape().family("devin_sessions") == {}
    since = [int(call.request.url.params["updated_after"]) for call in listed.calls]
    assert since[-1] <= NOW - 86_400 + 3_600, "the whole day is requested until it can be read"
    listed.respond(json=listing(session("a"), session("b")))
    clock.now += 60
    polled.poll("sessions")
    states = {"org_id": "org-1", "status": "running", "status_detail": ""}
    assert polled.scrape().one("devin_sessions", **states) == 2
    polled.poll("sessions")
    last = int(listed.calls.last.request.url.params["updated_after"])
    assert last > clock.now - 3_600


# Limits


def test_the_other_limits_stay_and_none_is_taken_from_an_organizations_own_entry(
    api: Api, polled: Rig
) -> None:
    rows = (org("org-1", max_cycle_acu_limit=10), org("org-2", max_cycle_acu_limit=20))
    api.get(ORGANIZATIONS).respond(json=listing(*rows))
    good = {"scope": "org", "org_id": "org-1", "cycle_acu_limit": 5}
    listed = api.get(LIMITS).respond(json=listing(good, {**good, "cycle_acu_limit": "x"}))
    polled.poll("organizations", "limits")
    name = "devin_organization_cycle_limit_acus"
    assert polled.scrape().family(name) == {frozenset({("org_id", "org-1")}): 5}
    listed.respond(json=listing(good))
    polled.poll("limits")
    assert polled.scrape().one(name, org_id="org-2") == 20


# Operations and activity


def test_hypervisors_are_not_counted_while_one_cannot_be_read(api: Api, polled: Rig) -> None:
    good = {"hypervisor_id": "h", "status": "available", "utilization_percentage": 50}
    api.get(HYPERVISORS).respond(json=listing(good, {"hypervisor_id": "i"}))
    polled.poll("hypervisors")
    scrape = polled.scrape()
    assert scrape.family("devin_hypervisors") == {}
    assert scrape.one("devin_hypervisor_utilization_ratio", hypervisor_id="h") == 0.5


def test_violations_are_not_counted_while_one_cannot_be_read(api: Api, polled: Rig) -> None:
    good = {"violation_id": 1, "guardrail_name": "g", "action_taken": "a", "created_at": int(NOW)}
    listed = api.get(VIOLATIONS).respond(json=listing(good, {**good, "violation_id": "2"}))
    polled.poll("cycles", "guardrails")
    assert polled.scrape().family("devin_guardrail_violations_cycle") == {}
    assert polled.error("guardrails") is None
    listed.respond(json=listing(good))
    polled.poll("guardrails")
    assert len(polled.scrape().family("devin_guardrail_violations_cycle")) == 1


def test_a_category_that_cannot_be_read_leaves_the_others_and_their_rows_add_up(
    api: Api, polled: Rig
) -> None:
    part = {"subcategory_id": None, "display_name": "A", "sessions_count": 2, "acus": 1.0}
    named = {"subcategory_id": "b", "display_name": None, "sessions_count": 3, "acus": 1.0}
    bugs = {
        "category": "bugs",
        "sessions_count": 9,
        "acus": 5.0,
        "subcategories": [part, named, {**part, "display_name": None}],
    }
    plain = {"category": "plain", "sessions_count": 1, "acus": 1.0, "subcategories": None}
    rows = [bugs, {**plain, "category": None}, plain]
    api.get(CATEGORIES).respond(json={"categories": rows})
    polled.poll("cycles", "categories")
    family = polled.scrape().family("devin_category_sessions_cycle")
    shown = {tuple(sorted(dict(labels).values())): count for labels, count in family.items()}
    assert shown == {("A", "bugs"): 2, ("b", "bugs"): 3, ("", "bugs"): 4, ("", "plain"): 1}
    assert unreadable(polled, CATEGORIES) == 2


def test_a_day_of_active_users_that_cannot_be_read_leaves_the_others(api: Api, polled: Rig) -> None:
    today = {"start_time": int(NOW) // 86_400 * 86_400, "active_users": 7}
    yesterday = {"start_time": today["start_time"] - 86_400, "active_users": None}
    api.get(DAU).respond(json=[yesterday, today])
    api.get(url__regex=f"{URL}/v3/enterprise/metrics/[wm]au").respond(json=[])
    polled.poll("activity")
    assert polled.scrape().one("devin_daily_active_users") == 7
    assert polled.scrape().one("devin_previous_day_active_users") is None
    assert unreadable(polled, DAU) == 1


def test_a_day_of_consumption_that_cannot_be_read_makes_the_answer_none(
    api: Api, polled: Rig
) -> None:
    days = consumption(("2026-03-06", 4.0, {"devin": 4.0}), ("2026-03-07", 4.0, {}))
    rows = days["consumption_by_date"]
    assert isinstance(rows, list)
    rows[1]["acus"] = None
    api.get(DAILY).respond(json=days)
    polled.poll("cycles", "enterprise_consumption")
    assert isinstance(polled.error("enterprise_consumption"), errors.ShapeError)
    assert polled.scrape().family("devin_consumption_cycle_acus") == {}


# How long they are told


def test_rows_that_cannot_be_read_are_told_no_longer_than_the_answer_lasts(
    api: Api, polled: Rig, clock: Clock
) -> None:
    api.get(USERS).respond(json=listing(member("ada"), BAD))
    polled.poll("users")
    clock.now += 86_400
    assert unreadable(polled, USERS) is None


# Automations


def automations(org_id: str) -> str:
    return f"/v3/organizations/{org_id}/automations"


def test_automations_are_counted_where_the_key_may_read_them(
    api: Api, polled: Rig, clock: Clock
) -> None:
    api.get(ORGANIZATIONS).respond(json=listing(org("org-1"), org("org-2"), org("org-3")))
    good = {"automation_id": "a", "enabled": True}
    api.get(automations("org-1")).respond(json=listing(good, {**good, "enabled": False}))
    refused = api.get(automations("org-2")).respond(403, json={"detail": "Forbidden"})
    api.get(automations("org-3")).respond(json=listing(good, {"automation_id": "b"}))
    polled.poll("organizations", "automations")
    name = "devin_organization_automations"
    scrape = polled.scrape()
    assert {dict(labels)["org_id"] for labels in scrape.family(name)} == {"org-1"}
    assert scrape.one(name, org_id="org-1", state="enabled") == 1
    assert scrape.one(name, org_id="org-1", state="disabled") == 1
    assert scrape.one("devin_exporter_task_up", task="automations") == 1
    clock.now += REFUSED_SECONDS - 1
    polled.poll("organizations", "automations")
    assert refused.call_count == 1
    clock.now += 2
    refused.respond(json=listing())
    polled.poll("automations")
    assert polled.scrape().one(name, org_id="org-2", state="enabled") == 0


def test_automations_are_off_where_no_organization_lets_the_key_read_them(
    api: Api, polled: Rig
) -> None:
    api.get(ORGANIZATIONS).respond(json=listing(org("org-1"), org("org-2")))
    api.get(automations("org-1")).respond(403, json={"detail": "Forbidden"})
    api.get(automations("org-2")).respond(404)
    polled.poll("organizations", "automations")
    assert polled.scrape().one("devin_exporter_task_up", task="automations") is None
    assert polled.store.states()["automations"].switched_off


def test_a_permission_for_automations_that_is_taken_away_is_a_failure(
    api: Api, polled: Rig
) -> None:
    api.get(ORGANIZATIONS).respond(json=listing(org("org-1")))
    listed = api.get(automations("org-1")).respond(json=listing())
    polled.poll("organizations", "automations")
    listed.respond(403, json={"detail": "Forbidden"})
    polled.poll("automations")
    assert polled.scrape().one("devin_exporter_task_up", task="automations") == 0


# The check


def test_check_names_the_field_of_a_row_that_cannot_be_read_and_does_not_pass(
    api: Api, polled: Rig
) -> None:
    answer_everything(api)
    api.get(USERS).respond(json=listing(member("ada"), {"user_id": "b", "email": 7}))
    (opened,) = polled.opened
    report = opened.source.check(opened)
    told = [line for line in report.lines if "cannot be read" in line]
    assert [line.split()[0] for line in told] == [USERS]
    assert told[0].endswith("left out: email: Input should be a valid string")
    assert not report.passed
