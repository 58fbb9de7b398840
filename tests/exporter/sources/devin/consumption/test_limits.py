"""Limits: of cloud and local use, of users and of tiers, in every form that was met."""

from collections.abc import Iterator, Mapping

import pytest
import respx

from exporter.client.models import parse_response
from exporter.demo.people import Size
from exporter.errors import NotFoundError, ShapeError, SwitchedOffError
from exporter.sources.devin import SOURCE
from exporter.sources.devin.consumption.organization_limits import ENDPOINT
from tests.exporter.sources.devin.consumption.closeness import closeness
from tests.support.rig import Clock, Rig, at, payload, rig, simulated_api

URL = "https://api.test"
NOW = at("2026-03-20 15:30:00")
ORGANIZATIONS = "/v3/enterprise/organizations"
LIST = "/v3/enterprise/consumption/acu-limits/devin"
OF_ORG = "/v3beta1/enterprise/organizations/{}/consumption/acu-limits"
TIERS = "/v3beta1/enterprise/usage-policies/tiers"
CLOUD = "devin_organization_cycle_limit_acus"
LOCAL = "devin_organization_local_agent_cycle_limit_acus"
TIER = "devin_usage_tier_limit_acus"
TASKS = ("identity", "organizations", "organization_limits", "limits", "usage_tiers")
Api = respx.Router


def listing(*items: Mapping[str, object]) -> dict[str, object]:
    return {"items": items, "end_cursor": None, "has_next_page": False}


@pytest.fixture
def api() -> Iterator[Api]:
    with respx.mock(base_url=URL, assert_all_called=False) as router:
        router.get("/v3/self").respond(json=payload("devin/keys/self"))
        entries = [{"org_id": f"org-{n}", "name": f"Org {n}"} for n in (1, 2)]
        router.get(ORGANIZATIONS).respond(json=listing(*entries))
        router.get(LIST).respond(json=listing())
        for number in (1, 2):
            router.get(OF_ORG.format(f"org-{number}")).respond(json={})
        router.get(TIERS).respond(404)
        yield router


@pytest.fixture
def polled(api: Api) -> Iterator[Rig]:
    assert api is not None
    with rig(URL, Clock(NOW)) as made:
        yield made


def test_an_organizations_two_limits_are_published_apart(api: Api, polled: Rig) -> None:
    api.get(OF_ORG.format("org-1")).respond(
        json=payload("devin/consumption/variants/org_acu_limits_v3beta1")
    )
    polled.poll(*TASKS)
    scrape = polled.scrape()
    assert scrape.one(CLOUD, org_id="org-1") == 1_000
    assert scrape.one(LOCAL, org_id="org-1") == 500
    assert not {**scrape.family(CLOUD), **scrape.family(LOCAL)}.keys() & {
        frozenset({("org_id", "org-2")})
    }


def test_a_users_own_endpoint_has_the_same_shape_and_is_not_requested() -> None:
    legacy = payload("devin/consumption/variants/user_acu_limits_legacy")
    read = ENDPOINT.response.validate_python(legacy)
    assert (read.local, read.cloud) == (100, None)
    assert not [e.path for e in SOURCE.endpoints if "/users/{user_id}/consumption/acu" in e.path]


def test_a_limit_without_a_scope_is_that_of_the_id_that_is_there(api: Api, polled: Rig) -> None:
    api.get(LIST).respond(json=payload("devin/consumption/variants/acu_limits_without_scope"))
    polled.poll(*TASKS)
    assert polled.scrape().family(CLOUD) == {frozenset({("org_id", "org-1")}): 5_000}
    items: list[Mapping[str, object]] = [
        {"cycle_acu_limit": 7},
        {"cycle_acu_limit": 8, "scope": None, "user_id": "u"},
    ]
    api.get(LIST).respond(json=listing(*items))
    polled.poll("users", "limits")
    assert polled.scrape().one("devin_enterprise_cycle_limit_acus") == 7


def test_null_is_no_limit_whatever_an_organizations_own_entry_says(api: Api, polled: Rig) -> None:
    entry = {"org_id": "org-1", "name": "One", "max_cycle_acu_limit": 3_000}
    api.get(ORGANIZATIONS).respond(json=listing(entry))
    polled.poll(*TASKS)
    assert polled.scrape().one(CLOUD, org_id="org-1") == 3_000
    api.get(LIST).respond(json=payload("devin/consumption/variants/acu_limits_null"))
    polled.poll(*TASKS)
    assert polled.error("limits") is None
    assert polled.scrape().family(CLOUD) == {}


def test_of_a_listed_limit_and_the_split_one_the_lower_holds(api: Api, polled: Rig) -> None:
    api.get(OF_ORG.format("org-1")).respond(json={"cloud_agent": {"cycle_acu_limit": 40}})
    for listed, shown in ((30, 30), (50, 40), (None, 40)):
        limit = {"scope": "org", "org_id": "org-1", "cycle_acu_limit": listed}
        api.get(LIST).respond(json=listing(limit))
        polled.poll(*TASKS)
        assert polled.scrape().one(CLOUD, org_id="org-1") == shown


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"local_agent": None},
        {"local_agent": {"cycle_acu_limit": None}, "cloud_agent": {"cycle_acu_limit": None}},
    ],
)
def test_a_block_that_is_left_out_or_null_is_no_limit(
    api: Api, polled: Rig, body: Mapping[str, object]
) -> None:
    api.get(OF_ORG.format("org-1")).respond(json=body)
    polled.poll(*TASKS)
    assert polled.error("organization_limits") is None
    assert {*polled.scrape().family(CLOUD), *polled.scrape().family(LOCAL)} == set()


def test_a_block_without_its_number_is_not_taken_for_no_limit() -> None:
    with pytest.raises(ShapeError, match=r"local_agent\.cycle_acu_limit"):
        parse_response("path", ENDPOINT.response, b'{"local_agent": {}}')


@pytest.mark.parametrize("status", [403, 404])
def test_where_no_organization_has_the_endpoint_the_tasks_are_off(
    api: Api, polled: Rig, status: int
) -> None:
    for path in (OF_ORG.format("org-1"), OF_ORG.format("org-2"), TIERS):
        api.get(path).respond(status, json={"detail": "no"})
    polled.poll(*TASKS)
    states = polled.store.states()
    for task in ("organization_limits", "usage_tiers"):
        assert states[task].switched_off is not None
        assert polled.scrape().one("devin_exporter_task_up", task=task) is None
    assert polled.scrape().one("devin_exporter_task_up", task="limits") == 1


def test_one_organization_that_has_it_not_is_a_failure_and_the_others_stay(
    api: Api, polled: Rig
) -> None:
    api.get(OF_ORG.format("org-1")).respond(
        json=payload("devin/consumption/variants/org_acu_limits_v3beta1")
    )
    api.get(OF_ORG.format("org-2")).respond(404)
    polled.poll(*TASKS)
    assert not isinstance(polled.error("organization_limits"), NotFoundError | SwitchedOffError)
    assert polled.scrape().one("devin_exporter_task_up", task="organization_limits") == 0
    assert polled.scrape().one(LOCAL, org_id="org-1") == 500
    missing = "devin_exporter_task_entities_missing"
    assert polled.scrape().one(missing, task="organization_limits") == 1


def test_tiers_are_published_with_what_is_there(api: Api, polled: Rig) -> None:
    tiers: list[Mapping[str, object]] = [
        {"id": "t-1", "name": "Default", "cycle_acu_limit": 200},
        {"tier_id": "t-2", "tier_name": "Power", "cycle_acu_limit": 0},
        {"id": "t-3", "name": None, "cycle_acu_limit": 5},
        {"id": "t-4", "name": "Unlimited", "cycle_acu_limit": None},
        {"id": "t-5"},
    ]
    api.get(TIERS).respond(json=listing(*tiers))
    polled.poll(*TASKS)
    shown = {
        (dict(labels)["tier_id"], dict(labels)["tier_name"]): acus
        for labels, acus in polled.scrape().family(TIER).items()
    }
    assert shown == {("t-1", "Default"): 200, ("t-2", "Power"): 0, ("t-3", ""): 5}


def test_sessions_that_a_user_limit_or_the_contract_holds_up_are_published_as_such(
    api: Api,
) -> None:
    api.get("/v3/enterprise/sessions").respond(
        json=payload("devin/operations/variants/session_new_details")
    )
    with rig(URL, Clock(1_769_048_085 + 60)) as polled:
        polled.poll("sessions")
        shown = {
            dict(labels)["status_detail"]: sessions
            for labels, sessions in polled.scrape().family("devin_sessions").items()
        }
    assert shown == {"contract_expired": 1, "user_usage_limit_exceeded": 1, "waiting_for_user": 1}


def test_closeness_on_the_page_is_the_simulations_own() -> None:
    clock = Clock(NOW)
    size = Size(organizations=4, users=40, days=90)
    with simulated_api(size, clock) as (world, api), rig(api.url, clock) as polled:
        polled.poll()
        scrape = polled.scrape()
        shown: dict[tuple[str, str], float] = {}
        products = {"cloud": {"devin"}, "local": {"cascade", "terminal"}}
        metrics = {"cloud": CLOUD, "local": LOCAL}

        def used(label: str, name: str, of: set[str]) -> float:
            family = scrape.family(f"devin_{label}_consumption_cycle_acus")
            key = {"organization": "org_id", "user": "user_id"}[label]
            found = [(dict(labels), acus) for labels, acus in family.items()]
            return sum(a for each, a in found if each[key] == name and each["product"] in of)

        for agent, of in products.items():
            for labels, limit in scrape.family(metrics[agent]).items():
                org_id = dict(labels)["org_id"]
                shown[org_id, agent] = used("organization", org_id, of) / limit
        for labels, limit in scrape.family("devin_user_cycle_limit_acus").items():
            user_id = dict(labels)["user_id"]
            if limit:
                of = {"devin", "cascade", "terminal"}
                shown[user_id, "all"] = used("user", user_id, of) / limit
        assert shown == pytest.approx(closeness(world, NOW))
        reviews = "devin_organization_consumption_cycle_acus"
        org_id, _ = world.organizations[0]
        for product in ("review", "cascade"):
            assert (scrape.one(reviews, org_id=org_id, product=product) or 0) > 0
