"""What is published of `…/metrics/{sessions,prs,searches}`, for both kinds of keys."""

from collections.abc import Iterator, Mapping

import pytest
import respx

from exporter.demo.api import DemoApi
from exporter.demo.endpoints import DemoKey
from exporter.demo.people import Size
from exporter.demo.world import World
from tests.support.rig import KEY, Clock, Rig, Scrape, at, payload, rig, simulated_api

URL = "https://api.test"
NOW = at("2026-03-20 23:30:00")
CYCLE = (at("2026-03-05 08:00:00"), at("2026-04-05 08:00:00"))
MONTH = (at("2026-03-01 08:00:00"), at("2026-04-01 08:00:00"))
SIZE = Size(organizations=3, users=40, days=90)
COUNTS = {
    "sessions_with_merged_prs_cycle",
    "prs_created_cycle",
    "prs_open_cycle",
    "prs_merged_cycle",
    "prs_closed_cycle",
    "searches_cycle",
    "sessions_created_cycle",
}


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def simulated(clock: Clock) -> Iterator[tuple[World, DemoApi]]:
    orgs = World(SIZE, start=NOW).organizations
    keys = {
        KEY: DemoKey(),
        **{f"cog_of_{n}": DemoKey(org_id=org) for n, (org, _) in enumerate(orgs)},
    }
    with simulated_api(SIZE, clock, keys=keys) as running:
        yield running


def of_organization(scrape: Scrape, org_id: str) -> dict[str, float]:
    """The counts of one organization."""
    shown = {name: scrape.one(f"devin_organization_{name}", org_id=org_id) for name in COUNTS}
    return {name: value for name, value in shown.items() if value is not None}


def by(scrape: Scrape, name: str, label: str, org_id: str) -> dict[str, float]:
    """The series of an organization by one further label."""
    return {
        dict(labels)[label]: value
        for labels, value in scrape.family(name).items()
        if dict(labels)["org_id"] == org_id
    }


def assert_is_the_simulations(
    scrape: Scrape, world: World, org: int, window: tuple[float, float]
) -> None:
    org_id, _ = world.organizations[org]
    totals = world.sessions(*window, NOW, org=org)
    states = totals.by_pull_request
    assert of_organization(scrape, org_id) == {
        "sessions_created_cycle": totals.created,
        "sessions_with_merged_prs_cycle": states["merged"],
        "prs_created_cycle": states["merged"] + states["closed"] + states["open"],
        "prs_open_cycle": states["open"],
        "prs_merged_cycle": states["merged"],
        "prs_closed_cycle": states["closed"],
        "searches_cycle": world.searches(*window, NOW, org=org),
    }
    assert min(totals.created, states["merged"], states["open"]) > 0
    created = "devin_organization_sessions_created_by"
    assert by(scrape, f"{created}_origin_cycle", "origin", org_id) == dict(totals.by_origin)
    sizes = {size: totals.by_size[size] for size in ("xs", "s", "m", "l", "xl")}
    assert by(scrape, f"{created}_size_cycle", "size", org_id) == sizes
    mean = scrape.one("devin_organization_session_average_cycle_acus", org_id=org_id)
    assert mean == pytest.approx(totals.acus / totals.created)


def test_an_enterprises_key_gets_the_figures_of_every_organization(
    simulated: tuple[World, DemoApi], clock: Clock
) -> None:
    world, api = simulated
    with rig(api.url, clock) as polled:
        polled.poll()
        scrape = polled.scrape()
    for org in range(SIZE.organizations):
        assert_is_the_simulations(scrape, world, org, CYCLE)


def test_an_organizations_key_gets_the_figures_of_its_organization(
    simulated: tuple[World, DemoApi], clock: Clock
) -> None:
    world, api = simulated
    with rig(api.url, clock, service_user_token="cog_of_1") as polled:
        polled.poll()
        scrape = polled.scrape()
    assert_is_the_simulations(scrape, world, 1, MONTH)
    seen = {dict(labels)["org_id"] for labels in scrape.family("devin_organization_prs_open_cycle")}
    assert seen == {world.organizations[1][0]}


# Recorded answers


@pytest.fixture
def api() -> Iterator[respx.Router]:
    with respx.mock(base_url=URL, assert_all_called=False) as router:
        router.get("/v3/self").respond(json={"principal_type": "service_user", "org_id": "org-1"})
        router.get("/v3/organizations/org-1/consumption/daily").respond(
            json=payload("devin/consumption/consumption_entity")
        )
        yield router


@pytest.fixture
def polled(api: respx.Router, clock: Clock) -> Iterator[Rig]:
    assert api is not None
    with rig(URL, clock) as made:
        yield made


def shown_of(api: respx.Router, polled: Rig, answer: object) -> dict[str, Mapping[str, float]]:
    """What an organization's answer becomes: each family by its labels besides the organization."""
    api.get("/v3/organizations/org-1/metrics/sessions").respond(json=answer)
    polled.poll(
        "identity", "cycles", "organizations", "organization_consumption", "organization_metrics"
    )
    scrape = polled.scrape()
    assert scrape.one("devin_metered") == 1
    return {
        name.removeprefix("devin_organization_"): {
            ",".join(dict(labels - {("org_id", "org-1")}).values()): value
            for labels, value in scrape.family(name).items()
        }
        for name in scrape.names()
        if name.startswith("devin_organization_session")
    }


COUNTED = {
    "sessions_created_yesterday": {"": 8.0},
    "sessions_created_cycle": {"": 8.0},
    "sessions_with_merged_prs_cycle": {"": 2.0},
    "sessions_with_playbook_cycle": {"": 1.0},
    "sessions_with_search_cycle": {"": 0.0},
    "sessions_created_by_size_cycle": {"xs": 8.0, "s": 0.0, "m": 0.0, "l": 0.0, "xl": 0.0},
}
ORIGINS = {
    "sessions_created_by_origin_cycle": {"api": 6.0, "webapp": 1.0, "automation": 1.0, "slack": 0.0}
}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("org_metrics_sessions", COUNTED | ORIGINS),
        ("metrics_sessions_null_avg", COUNTED | ORIGINS),
        ("metrics_sessions_without_origin", COUNTED),
    ],
)
def test_what_an_answer_leaves_open_is_absent_and_the_rest_is_published(
    api: respx.Router, polled: Rig, name: str, shown: dict[str, Mapping[str, float]]
) -> None:
    assert shown_of(api, polled, payload(f"devin/activity/variants/{name}")) == shown


def test_a_null_in_a_map_is_unknown_and_not_zero(api: respx.Router, polled: Rig) -> None:
    answer = {
        "sessions_created_count": 3,
        "sessions_with_merged_prs_count": 0,
        "avg_acus_per_session": 1.5,
        "sessions_created_by_origin": {"api": None, "webapp": 1},
        "sessions_created_by_size": None,
    }
    shown = shown_of(api, polled, answer)
    assert shown["sessions_created_by_origin_cycle"] == {"webapp": 1}
    assert "sessions_created_by_size_cycle" not in shown
    assert shown["session_average_cycle_acus"] == {"": 1.5}


def test_the_mean_of_an_organization_makes_a_plan_metered(clock: Clock) -> None:
    answer = {
        "sessions_created_count": 3,
        "sessions_with_merged_prs_count": 0,
        "avg_acus_per_session": 1.5,
    }
    with respx.mock(base_url=URL, assert_all_called=False) as api, rig(URL, clock) as polled:
        api.get("/v3/self").respond(json={"principal_type": "service_user", "org_id": "org-1"})
        api.get("/v3/organizations/org-1/metrics/sessions").respond(json=answer)
        polled.poll("identity", "cycles", "organizations", "organization_metrics")
        polled.poll("organization_metrics")
        assert polled.scrape().one("devin_metered") == 1
