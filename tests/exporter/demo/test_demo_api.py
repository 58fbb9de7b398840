"""The simulated API keeps to the documented shapes, so that it cannot drift into ours."""

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from exporter.demo import session_list
from exporter.demo.api import DemoApi
from exporter.demo.endpoints import GATEWAY, V2, V3, DemoKey, endpoints
from exporter.demo.people import DAY, DAY_START, Size, in_mid_cycle
from exporter.demo.responses import Responses
from exporter.demo.world import World
from exporter.sources import SOURCES
from exporter.sources.devin import identity
from exporter.sources.devin.operations import session_bills
from tests.support import loopback
from tests.support.limits import HANG_SECONDS
from tests.support.rig import KEY, Clock, at, simulated_api

NOW = at("2026-03-20 15:30:00")
SIZE = Size(organizations=3, users=230, days=60)
DOCUMENT: dict[str, dict[str, dict[str, dict[str, object]]]] = yaml.safe_load(
    (Path(__file__).parent / "devin-openapi.yaml").read_text(encoding="utf-8")
)
REGISTRY = Registry().with_resource(
    "urn:devin", Resource.from_contents(DOCUMENT, default_specification=DRAFT202012)
)
ENDPOINTS = {e.path: e for e in endpoints(Responses(World(SIZE, start=NOW), lambda: NOW))}
PATHS = [path for path, endpoint in ENDPOINTS.items() if endpoint.api == V3]
"""Of v3."""
DOCUMENTED = [path for path in ENDPOINTS if path in DOCUMENT["paths"]]
REQUESTED = {endpoint.path: endpoint for source in SOURCES for endpoint in source.endpoints}
OLDER = "/v2/enterprise/metrics/usage"
DASHBOARD = "/api/v1/obs/dashboard"
KEYS = {
    "apk_user_test": DemoKey(api=V2),
    "apk_user_nothing": DemoKey(api=V2, permissions=frozenset()),
    "aione_test": DemoKey(api=GATEWAY),
    KEY: DemoKey(),
    "cog_nothing": DemoKey(permissions=frozenset()),
    "cog_metrics": DemoKey(permissions=frozenset({"ViewAccountMetrics"})),
}

OPENS = {V3: KEY, V2: "apk_user_test"}
NOTHING = {V3: "cog_nothing", V2: "apk_user_nothing"}


@pytest.fixture(scope="module")
def api() -> Iterator[tuple[World, DemoApi]]:
    with simulated_api(SIZE, Clock(NOW), keys=KEYS) as running:
        yield running


def ask(
    api: DemoApi, path: str, query: Mapping[str, str | int] | None = None, *, key: str = KEY
) -> httpx.Response:
    return httpx.get(
        api.url + path,
        params=query or {},
        headers={"Authorization": f"Bearer {key}"},
        timeout=HANG_SECONDS,
        verify=loopback.NO_AUTHORITIES,
    )


def pointer(path: str, status: int, media: str) -> str:
    parts = ("paths", path, "get", "responses", str(status))
    escaped = "/".join(part.replace("~", "~0").replace("/", "~1") for part in parts)
    answer = DOCUMENT["paths"][path]["get"]["responses"]
    assert isinstance(answer, dict)
    if "$ref" in answer[str(status)]:
        escaped = answer[str(status)]["$ref"].removeprefix("#/")
    return f"urn:devin#/{escaped}/content/{media.replace('/', '~1')}/schema"


def assert_documented(path: str, answer: httpx.Response) -> None:
    media = answer.headers["Content-Type"].partition(";")[0]
    schema = {"$ref": pointer(path, answer.status_code, media)}
    Draft202012Validator(schema, registry=REGISTRY).validate(answer.json())


def entities_of(world: World, path: str) -> list[Mapping[str, str]]:
    if "{user_id}" in path:
        users = [p for p in world.people if not p.service]
        return [{"org_id": world.organizations[p.org][0], "user_id": p.id} for p in users]
    if "{service_user_id}" in path:
        bots = [p for p in world.people if p.service]
        return [{"org_id": world.organizations[p.org][0], "service_user_id": p.id} for p in bots]
    if "{session_id}" in path:
        listed = session_list.sessions(world, int(NOW) - 86_400, NOW - 3_600, org=None)
        return [{name: str(row[name]) for name in ("org_id", "session_id")} for row in listed]
    if "{org_id}" in path:
        return [{"org_id": org_id} for org_id, _ in world.organizations]
    return [{}]


@pytest.mark.parametrize("path", DOCUMENTED)
def test_every_answer_is_as_documented(api: tuple[World, DemoApi], path: str) -> None:
    world, server = api
    query = {
        "time_after": int(NOW) - 40 * 86_400,
        "time_before": int(NOW) + 86_400,
        "updated_after": int(NOW) - 86_400,
    }
    for ids in entities_of(world, path)[:60]:
        filled = path.format_map({name: quote(value, safe="") for name, value in ids.items()})
        answer = ask(server, filled, query, key=OPENS[ENDPOINTS[path].api])
        assert answer.status_code == 200
        assert_documented(path, answer)


@pytest.mark.parametrize("path", DOCUMENTED)
def test_every_refusal_is_as_documented(api: tuple[World, DemoApi], path: str) -> None:
    _, server = api
    filled = path.replace("{", "").replace("}", "")
    for key, status in (("cog_unknown", 401), (NOTHING[ENDPOINTS[path].api], 403)):
        answer = ask(server, filled, key=key)
        if path == "/v3/self" and status == 403:
            assert answer.status_code == 200
            continue
        assert answer.status_code == status
        assert_documented(path, answer)


@pytest.mark.parametrize("path", [path for path in PATHS if "{" in path])
def test_unknown_entities_are_not_found(api: tuple[World, DemoApi], path: str) -> None:
    _, server = api
    answer = ask(
        server, path.replace("{", "").replace("}", ""), {"time_after": 0, "time_before": 1}
    )
    assert answer.status_code == 404
    assert_documented(path, answer)


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/v3/enterprise/organizations", {"first": 0}),
        ("/v3/enterprise/organizations", {"first": 201}),
        ("/v3/enterprise/organizations", {"after": "x"}),
        ("/v3/enterprise/metrics/dau", {"time_after": 1}),
        ("/v3/enterprise/metrics/sessions", {"time_after": "x", "time_before": 1}),
    ],
)
def test_wrong_parameters_are_told(
    api: tuple[World, DemoApi], path: str, query: dict[str, str | int]
) -> None:
    _, server = api
    answer = ask(server, path, query)
    assert answer.status_code == 422
    assert_documented(path, answer)


def test_a_list_comes_in_pages(api: tuple[World, DemoApi]) -> None:
    world, server = api
    path = "/v3/enterprise/members/users"
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = ask(server, path, {"first": 50, **cursor}).json()
        assert len(page["items"]) <= 50
        seen.extend(item["user_id"] for item in page["items"])
        if not page["has_next_page"]:
            break
        cursor = {"after": page["end_cursor"]}
    assert seen == [person.id for person in world.people if person.direct]
    assert len(seen) > 100


def test_a_permission_opens_its_endpoints_only(api: tuple[World, DemoApi]) -> None:
    _, server = api
    opened = ask(server, "/v3/enterprise/queue", key="cog_metrics")
    closed = ask(server, "/v3/enterprise/consumption/daily", key="cog_metrics")
    assert (opened.status_code, closed.status_code) == (200, 403)


def test_all_paths_of_both_versions_are_in_the_document() -> None:
    assert set(DOCUMENTED) == {e.path for e in ENDPOINTS.values() if e.api in {V3, V2}}


def test_the_simulation_has_every_endpoint_that_is_requested_and_no_other() -> None:
    older = {identity.OLDER_ENDPOINT.path, session_bills.OLDER_ENDPOINT.path}
    assert ENDPOINTS.keys() == REQUESTED.keys() - older


def test_permissions_are_those_of_the_documented_endpoints() -> None:
    for path in PATHS:
        documented = DOCUMENT["paths"][path]["get"]["x-devin-permission"]
        ours = REQUESTED[path].permission
        assert (not ours) == str(documented).startswith(("none", "unknown"))
        if ours:
            names = re.findall(r"[A-Z]\w+", ours)
            assert any(name in str(documented) for name in names), path


@pytest.mark.parametrize("path", [OLDER, DASHBOARD])
def test_a_key_opens_its_own_api_only(api: tuple[World, DemoApi], path: str) -> None:
    _, server = api
    keys = (KEY, "apk_user_test", "aione_test")
    assert sorted(ask(server, path, key=key).status_code for key in keys) == [200, 401, 401]


@pytest.mark.parametrize(
    ("path", "key", "query"),
    [
        (OLDER, "apk_user_test", {"start_date": "yesterday"}),
        (DASHBOARD, "aione_test", {"range_days": 0}),
        (DASHBOARD, "aione_test", {"range_days": "many"}),
    ],
)
def test_wrong_parameters_of_the_other_apis_are_told_in_their_way(
    api: tuple[World, DemoApi], path: str, key: str, query: dict[str, str | int]
) -> None:
    _, server = api
    answer = ask(server, path, query, key=key)
    assert answer.status_code == 422
    assert [set(each) for each in answer.json()["detail"]] == [{"loc", "msg", "type"}]


def test_the_older_api_tells_the_stretch_asked_for(api: tuple[World, DemoApi]) -> None:
    world, server = api
    query = {"start_date": "2026-03-10T08:00:00Z", "end_date": "2026-03-12T08:00:00Z"}
    start, end = (at(text[:19].replace("T", " ")) for text in query.values())
    told = ask(server, OLDER, query, key="apk_user_test").json()
    assert told["sessions_count"] == world.sessions(start, end, NOW, org=None).created > 0


@pytest.mark.parametrize("range_days", [1, 30])
def test_the_gateways_parts_add_up(api: tuple[World, DemoApi], range_days: int) -> None:
    _, server = api
    told = ask(server, DASHBOARD, {"range_days": range_days}, key="aione_test").json()

    def money(rows: list[dict[str, str]]) -> Decimal:
        return sum((Decimal(row["cost_rmb"].replace(",", "")) for row in rows), Decimal())

    tech, business = told["tech"], told["business"]
    total = Decimal(tech["total_cost_rmb"].replace(",", ""))
    assert money(tech["daily_trend"]) == money(business["team_cost_ranking"]) == total > 0
    assert len(tech["daily_trend"]) == range_days
    for rows in (tech["daily_trend"], tech["model_distribution"]):
        assert sum(row["requests"] for row in rows) == tech["total_requests"]
        assert sum(row["tokens"] for row in rows) == tech["total_tokens"]


def test_the_same_seed_and_clock_give_the_same_answers() -> None:
    def told(seed: int) -> str:
        size = Size(organizations=2, users=20, days=30, seed=seed)
        answers = Responses(World(size, start=NOW), lambda: NOW)
        consumption = answers.consumption({}, int(NOW) - 10**6, int(NOW))
        return json.dumps([consumption, answers.users(), answers.queue()], default=str)

    assert told(1) == told(1)
    assert told(1) != told(2)


def test_the_enterprise_has_what_real_ones_have(api: tuple[World, DemoApi]) -> None:
    world, _ = api
    users = [person for person in world.people if not person.service]
    assert "email|Ü n/ï" in {user.id for user in users}
    assert any("|" in user.id and "/" in user.id for user in users)
    assert {(user.direct, user.by_group) for user in users} == {
        (True, False),
        (False, True),
        (True, True),
    }
    assert any(user.rate == 0 for user in users)
    assert any(user.rate and not user.cascade for user in users)
    assert any(user.review is None for user in users)
    today = world.founded + SIZE.days
    months = [
        sum(spend(world, day) for day in range(start, start + 28))
        for start in (world.founded, today - 31)
    ]
    assert months[1] > 1.3 * months[0]


def spend(world: World, day: int) -> float:
    return sum(sum(use.values()) for use in world.consumption(range(day, day + 1), NOW).values())


def test_weekends_are_quiet_and_the_runaway_user_is_not(api: tuple[World, DemoApi]) -> None:
    world, _ = api
    today = world.founded + SIZE.days
    days = range(today - 20, today - 4)
    weekend = [spend(world, day) for day in days if (day + 3) % 7 >= 5]
    workday = [spend(world, day) for day in days if (day + 3) % 7 < 5]
    assert max(weekend) < 0.5 * min(workday)
    told = world.personal_consumption(world.population.runaway, range(today - 9, today), NOW)
    spent = {day: sum(use.values()) for day, use in told.items()}
    assert spent[today - 1] > 5 * spent.get(today - 8, 0.0)


def test_the_list_says_0_of_some_sessions_and_their_bills_add_up_to_the_ledger(
    api: tuple[World, DemoApi],
) -> None:
    world, server = api
    day = world.founded + SIZE.days - 1
    person = world.population.runaway
    window = {"time_after": (day - 1) * DAY, "time_before": (day + 2) * DAY}
    listed = [
        row
        for row in session_list.sessions(world, (day - 2) * DAY, NOW, org=None)
        if row["user_id"] == person.id
        and day * DAY + DAY_START <= int(str(row["created_at"])) < (day + 1) * DAY + DAY_START
    ]
    bills = [
        ask(server, f"/v3/enterprise/consumption/daily/sessions/{row['session_id']}", window).json()
        for row in listed
    ]
    of_person = world.personal_consumption(person, range(day, day + 1), NOW)[day]
    assert sum(bill["total_acus"] for bill in bills) == pytest.approx(of_person["devin"])
    without = [row for row in listed if not row["acus_consumed"]]
    assert 0.1 < len(without) / len(listed) < 0.4


def test_a_session_has_no_bill_at_first_and_none_for_another_organization(
    api: tuple[World, DemoApi],
) -> None:
    world, _ = api
    row = session_list.sessions(world, int(NOW) - DAY, NOW, org=1)[0]
    session_id, created = str(row["session_id"]), int(str(row["created_at"]))
    assert session_list.bill(world, session_id, created + 599, org=1) == {}
    assert session_list.bill(world, session_id, created + 600, org=1)
    assert session_list.bill(world, session_id, created + 600, org=0) == {}
    assert session_list.bill(world, f"devin-{session_id[::-1]}", NOW, org=None) == {}


def test_a_demo_has_a_cycle_that_has_something_to_show_on_every_day_of_the_year() -> None:
    for day in range(366):
        now = NOW + day * DAY
        world = World(in_mid_cycle(Size(days=60), now), start=now)
        (start, end), *_ = world.cycles(now)
        assert 10 * DAY < now - start < end - start


def test_some_days_are_restated_up_and_some_down() -> None:
    world = World(Size(days=400), start=NOW)
    told = [world.restatement(day) for day in range(world.founded, world.founded + 400)]
    factors = [restatement.factor for restatement in told if restatement]
    assert 10 < len(factors) < 80
    assert min(factors) < 0.9
    assert max(factors) > 1.1


def test_the_queue_swells_past_both_thresholds_and_falls(api: tuple[World, DemoApi]) -> None:
    world, _ = api
    hour = [world.queue_size(NOW + minute * 60) for minute in range(60)]
    assert min(hour) <= 10
    assert max(hour) > 50
    assert any(10 < size <= 50 for size in hour)
