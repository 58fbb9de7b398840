"""The ACUs of sessions: by their list, or by their bill where the list says 0; large sessions."""

from collections.abc import Iterator, Mapping

import httpx
import pytest
import respx

from exporter import errors
from exporter.demo import session_list
from exporter.demo.api import DemoApi
from exporter.demo.endpoints import DemoKey
from exporter.demo.people import Size
from exporter.demo.world import World
from exporter.sources.devin import SOURCE
from exporter.sources.source import CheckReport
from tests.support.rig import KEY, Clock, Rig, Scrape, at, payload, rig, simulated_api

URL = "https://api.test"
NOW = at("2026-03-20 15:30:00")
SIZE = Size(organizations=3, users=40, days=90)
LIST = "/v3/enterprise/sessions"
DAILY = "/v3/enterprise/consumption/daily"
BILL = f"{DAILY}/sessions"
OLDER_BILL = "/v3beta1/enterprise/consumption/daily/sessions"
ACUS = "devin_recent_session_acus"


def page(*items: Mapping[str, object]) -> dict[str, object]:
    return {"items": items, "end_cursor": None, "has_next_page": False}


def session(session_id: str, *, age: float = 7_200, **fields: object) -> dict[str, object]:
    """A session that runs, was created `age` seconds ago and has just changed."""
    return {
        "session_id": session_id,
        "org_id": "org-1",
        "url": f"https://app.example.com/sessions/{session_id}",
        "status": "running",
        "status_detail": "working",
        "acus_consumed": 0.0,
        "created_at": int(NOW - age),
        "updated_at": int(NOW) - 10,
        **fields,
    }


def billed(*acus: float) -> dict[str, object]:
    """A bill over the last days."""
    rows = [
        {"date": int(NOW) - 86_400 * n, "acus": each, "acus_by_product": {"devin": each}}
        for n, each in enumerate(acus)
    ]
    return {"total_acus": sum(acus), "consumption_by_date": rows}


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def api() -> Iterator[respx.Router]:
    """A metered plan."""
    with respx.mock(base_url=URL, assert_all_called=False) as router:
        router.get("/v3/self").respond(json=payload("devin/keys/self"))
        router.get(DAILY).respond(json=billed(7.5))
        yield router


@pytest.fixture
def polled(api: respx.Router, clock: Clock) -> Iterator[Rig]:
    assert api is not None
    with rig(URL, clock, recent_sessions="3") as made:
        yield made


def poll(polled: Rig) -> Scrape:
    """Poll what the ACUs of sessions are made of, and scrape."""
    polled.poll("identity", "sessions", "enterprise_consumption", "session_consumption")
    return polled.scrape()


def acus(scrape: Scrape) -> dict[str, float]:
    return {dict(labels)["session_id"]: value for labels, value in scrape.family(ACUS).items()}


def in_table(scrape: Scrape) -> set[str]:
    return {dict(labels)["session_id"] for labels in scrape.family("devin_recent_session_info")}


# Bills


def test_a_session_with_0_acus_in_the_list_has_those_of_its_bill(
    api: respx.Router, polled: Rig
) -> None:
    api.get(LIST).respond(
        json=payload("devin/operations/variants/session_zero_acus_although_metered")
    )
    route = api.get(f"{BILL}/devin-1").respond(json=billed(1.25, 2.5))
    assert acus(poll(polled)) == {"1": 3.75}
    asked = route.calls.last.request.url.params
    created, updated = 1_769_048_085, 1_769_055_285
    assert int(asked["time_after"]) <= created
    assert int(asked["time_before"]) >= NOW > updated


def test_without_a_bill_the_acus_are_absent_and_nothing_has_failed(
    api: respx.Router, polled: Rig
) -> None:
    api.get(LIST).respond(json=page(session("a"), session("b", acus_consumed=2.0)))
    api.get(f"{BILL}/a").respond(404)
    api.get(f"{OLDER_BILL}/a").respond(404)
    scrape = poll(polled)
    assert acus(scrape) == {"b": 2.0}
    assert in_table(scrape) == {"a", "b"}
    assert scrape.one("devin_exporter_task_up", task="session_consumption") == 1


def test_a_bill_without_days_is_no_bill(api: respx.Router, polled: Rig) -> None:
    api.get(LIST).respond(json=page(session("a")))
    api.get(f"{BILL}/a").respond(json=billed())
    assert acus(poll(polled)) == {}


@pytest.mark.parametrize("told", [billed(), billed(0.0)])
def test_no_0_of_a_session_is_published_on_a_metered_plan(
    api: respx.Router, polled: Rig, told: object
) -> None:
    young = session("young", age=60)
    api.get(LIST).respond(json=page(young, session("a")))
    api.get(f"{BILL}/a").respond(json=told)
    assert acus(poll(polled)) == {}


def test_a_session_of_the_last_minutes_is_not_requested(
    api: respx.Router, polled: Rig, clock: Clock
) -> None:
    api.get(LIST).respond(json=page(session("a", age=60)))
    route = api.get(f"{BILL}/a").respond(json=billed(0.1))
    poll(polled)
    assert not route.called
    clock.now += 300
    assert acus(poll(polled)) == {"a": 0.1}


def test_nothing_is_requested_while_the_plan_is_not_known_to_be_metered(
    api: respx.Router, polled: Rig
) -> None:
    api.get(LIST).respond(json=page(session("a")))
    api.get(DAILY).respond(json=payload("devin/consumption/consumption_enterprise"))
    route = api.get(f"{BILL}/a").respond(json=billed(3.0))
    polled.poll("identity", "sessions", "session_consumption")
    assert not route.called
    assert polled.scrape().one("devin_metered") is None
    assert acus(poll(polled)) == {"a": 3.0}


def test_without_a_list_of_sessions_their_bills_fail_for_the_same_reason(
    api: respx.Router, polled: Rig
) -> None:
    polled.poll("session_consumption")
    assert isinstance(polled.error("session_consumption"), errors.EntitiesUnknownError)
    api.get(LIST).respond(403)
    scrape = poll(polled)
    assert scrape.one("devin_exporter_task_up", task="session_consumption") == 0
    assert isinstance(polled.error("session_consumption"), errors.PermissionMissingError)


def test_a_bill_stays_through_a_failure_and_is_absent_when_it_is_too_old(
    api: respx.Router, polled: Rig, clock: Clock
) -> None:
    api.get(LIST).respond(json=page(session("a", updated_at=int(NOW) + 1_500)))
    api.get(f"{BILL}/a").mock(
        side_effect=[httpx.Response(200, json=billed(3.0)), *[httpx.Response(422)] * 9]
    )
    assert acus(poll(polled)) == {"a": 3.0}
    clock.now += 600
    scrape = poll(polled)
    assert acus(scrape) == {"a": 3.0}
    assert scrape.one("devin_exporter_task_up", task="session_consumption") == 0
    clock.now += 299
    polled.poll("sessions")
    assert acus(polled.scrape()) == {"a": 3.0}
    clock.now += 4
    scrape = polled.scrape()
    assert acus(scrape) == {}
    assert in_table(scrape) == {"a"}
    name = "devin_exporter_task_entities_missing"
    assert poll(polled).one(name, task="session_consumption") == 1


def test_the_older_path_is_requested_until_the_current_one_has_a_bill(
    api: respx.Router, polled: Rig
) -> None:
    api.get(LIST).respond(json=page(session("a")))
    current = api.get(f"{BILL}/a").respond(404)
    older = api.get(f"{OLDER_BILL}/a").respond(json=billed(4.0))
    assert acus(poll(polled)) == {"a": 4.0}
    current.respond(json=billed(5.0))
    assert acus(poll(polled)) == {"a": 5.0}
    current.respond(404)
    assert acus(poll(polled)) == {}
    assert older.call_count == 1


def test_a_session_that_has_not_changed_for_an_hour_is_requested_once_an_hour(
    api: respx.Router, polled: Rig, clock: Clock
) -> None:
    api.get(LIST).respond(json=page(session("a", status="exit")))
    route = api.get(f"{BILL}/a").respond(json=billed(4.0))
    requests: list[int] = []
    for _ in range(40):
        assert acus(poll(polled)) == {"a": 4.0}
        requests.append(route.call_count)
        clock.now += 300
    # Every 300 s in the first hour, and then every 3,600 s.
    assert requests[12] == 13
    assert requests[-1] == 13 + 2


def test_one_poll_requests_50_sessions_at_most_and_in_turn(
    api: respx.Router, polled: Rig, clock: Clock
) -> None:
    sessions = [session(f"s{n:03}", age=4_000 + n) for n in range(120)]
    api.get(LIST).respond(json=page(*sessions))
    route = api.get(url__regex=rf"{URL}{BILL}/.*").respond(json=billed(1.0))
    for requests in (50, 100, 150):
        poll(polled)
        assert route.call_count == requests
        clock.now += 300
    assert len({call.request.url.path for call in route.calls}) == 120
    clock.now += 300
    assert len(acus(polled.scrape())) == 0  # the list of sessions is too old
    polled.poll("sessions")
    assert len(acus(polled.scrape())) == 3


def test_a_missing_permission_leaves_the_acus_that_the_list_has(
    api: respx.Router, polled: Rig
) -> None:
    api.get(LIST).respond(json=page(session("a"), session("b", acus_consumed=2.0)))
    api.get(f"{BILL}/a").respond(403)
    scrape = poll(polled)
    assert acus(scrape) == {"b": 2.0}
    assert scrape.one("devin_exporter_task_up", task="session_consumption") == 0
    failure = polled.error("session_consumption")
    assert isinstance(failure, errors.PartialError)
    assert "ViewAccountConsumption" in str(failure)


def test_without_the_table_no_bill_is_requested(api: respx.Router, clock: Clock) -> None:
    api.get(LIST).respond(json=page(session("a")))
    with rig(URL, clock, recent_sessions="0") as polled:
        scrape = poll(polled)
    assert scrape.one("devin_exporter_task_up", task="session_consumption") == 1
    assert scrape.names().isdisjoint({ACUS, "devin_large_session_acus"})


def test_an_organizations_key_requests_the_bills_of_its_organization(
    api: respx.Router, polled: Rig
) -> None:
    owner = {"principal_type": "service_user", "org_id": "org_a1B2c3D4e5F6g7H8"}
    own = f"/v3/organizations/{owner['org_id']}"
    api.get("/v3/self").respond(json=owner)
    api.get(f"{own}/consumption/daily").respond(json=billed(7.5))
    listed = payload("devin/operations/variants/session_list_logged_shape")
    api.get(f"{own}/sessions").respond(json=listed)
    path = f"{own}/consumption/daily/sessions/4ecd8a92151c407383bff1338ca3196b"
    api.get(path).respond(json=billed(0.5))
    polled.poll(
        "identity", "sessions", "organizations", "organization_consumption", "session_consumption"
    )
    scrape = polled.scrape()
    assert acus(scrape) == {"4ecd8a92151c407383bff1338ca3196b": 0.5}
    (labels,) = scrape.family("devin_recent_session_info")
    assert dict(labels)["org_id"] == "org_a1B2c3D4e5F6g7H8"


# Recorded lists


@pytest.mark.parametrize(
    ("name", "states"),
    [
        ("session_zero_acus_although_metered", {"1": ("running", "finished")}),
        ("session_kpi_fields", {"5": ("exit", "finished")}),
        ("session_list_logged_shape", {"4ecd8a92151c407383bff1338ca3196b": ("new", "")}),
        (
            "session_new_details",
            {
                "2": ("suspended", "contract_expired"),
                "3": ("suspended", "user_usage_limit_exceeded"),
                "4": ("suspended", "waiting_for_user"),
            },
        ),
    ],
)
def test_recorded_lists_become_rows_of_the_table(
    api: respx.Router, polled: Rig, name: str, states: Mapping[str, tuple[str, str]]
) -> None:
    api.get(LIST).respond(json=payload(f"devin/operations/variants/{name}"))
    api.get(url__regex=rf"{URL}{BILL}/.*").respond(json=billed(6.0))
    scrape = poll(polled)
    shown = {
        dict(labels)["session_id"]: (dict(labels)["status"], dict(labels)["status_detail"])
        for labels in scrape.family("devin_recent_session_info")
    }
    assert shown == states
    listed = 2.5 if name == "session_kpi_fields" else 6.0
    assert acus(scrape) == dict.fromkeys(states, listed)


# Large sessions


@pytest.mark.parametrize("by", ["list", "bill"])
def test_a_large_session_that_still_runs_is_in_the_table_however_old(
    api: respx.Router, clock: Clock, by: str
) -> None:
    large = 50.5 if by == "list" else 0.0
    old = {"age": 40_000, "acus_consumed": large}
    api.get(LIST).respond(
        json=page(
            session("runs", **old),
            session("waits", status_detail="waiting_for_user", **old),
            session("finished", status_detail="finished", **old),
            session("ended", status="exit", **old),
            session("small", age=40_000, acus_consumed=50.0),
            session("new-1", acus_consumed=1.0),
            session("new-2", acus_consumed=1.0),
        )
    )
    api.get(url__regex=rf"{URL}{BILL}/.*").respond(json=billed(50.5))
    with rig(URL, clock, recent_sessions="2") as polled:
        scrape = poll(polled)
        polled.poll("sessions")
    assert in_table(scrape) == {"new-1", "new-2", "runs", "waits"}
    assert acus(scrape) == {"new-1": 1.0, "new-2": 1.0, "runs": 50.5, "waits": 50.5}


def test_the_table_has_as_many_large_sessions_as_new_ones_at_most_the_largest_first(
    api: respx.Router, clock: Clock
) -> None:
    many = [session(f"l{n}", age=40_000, acus_consumed=100.0 + n) for n in range(9)]
    api.get(LIST).respond(json=page(*many, session("new", acus_consumed=1.0)))
    with rig(URL, clock, recent_sessions="1", large_session_acus="99.5") as polled:
        assert in_table(poll(polled)) == {"new", "l8"}


@pytest.mark.parametrize(
    ("settings", "published"),
    [
        ({}, 50.0),
        ({"large_session_acus": "99.5"}, 99.5),
        ({"recent_sessions": "0"}, None),
    ],
)
def test_the_size_of_large_sessions_is_published_as_set(
    api: respx.Router, clock: Clock, settings: dict[str, str], published: float | None
) -> None:
    assert api is not None
    with rig(URL, clock, **settings) as made:
        made.scheduler.start()
        scrape = made.scrape()
        made.scheduler.stop()
    assert scrape.one("devin_large_session_acus") == published


# The simulated API


@pytest.fixture
def simulated(clock: Clock) -> Iterator[tuple[World, DemoApi]]:
    orgs = World(SIZE, start=NOW).organizations
    keys = {KEY: DemoKey(), "cog_of_0": DemoKey(org_id=orgs[0][0])}
    with simulated_api(SIZE, clock, keys=keys) as running:
        yield running


@pytest.mark.parametrize(("key", "org"), [(KEY, None), ("cog_of_0", 0)])
def test_the_acus_of_the_newest_sessions_are_those_of_the_simulation(
    simulated: tuple[World, DemoApi], clock: Clock, key: str, org: int | None
) -> None:
    world, api = simulated
    with rig(api.url, clock, service_user_token=key, recent_sessions="100") as polled:
        polled.poll()
        shown = acus(polled.scrape())
        rows = in_table(polled.scrape())
    listed = {
        str(row["session_id"]).removeprefix("devin-"): float(str(row["acus_consumed"]))
        for row in session_list.sessions(world, int(NOW) - 10 * 86_400, NOW, org=org)
    }
    bills = {
        known_as: use["devin"]
        for known_as in rows
        for use in session_list.bill(world, known_as, NOW, org=org).values()
    }
    assert rows <= listed.keys()
    expected = {known_as: listed[known_as] or bills.get(known_as, 0.0) for known_as in rows}
    assert shown == {known_as: figure for known_as, figure in expected.items() if figure}
    by_bill = [known_as for known_as in shown if not listed[known_as]]
    assert 5 < len(by_bill) < len(shown) - 5
    assert (shown.keys() < rows) == (org is None)


def checked(polled: Rig) -> CheckReport:
    return SOURCE.check(polled.opened[0])


def row(report: CheckReport, path: str) -> str:
    (line,) = [line for line in report.lines if line.startswith(f"{path}/{{session_id}} ")]
    return line.removeprefix(f"{path}/{{session_id}} ").strip()


def test_check_requests_a_bill_and_counts_those_of_a_poll(
    simulated: tuple[World, DemoApi], clock: Clock
) -> None:
    _, api = simulated

    def cost(**settings: str) -> int:
        with rig(api.url, clock, **settings) as polled:
            report = checked(polled)
        assert report.passed
        return int("\n".join(report.lines).partition("cost about ")[2].split()[0])

    with rig(api.url, clock) as polled:
        report = checked(polled)
        assert row(report, BILL).endswith("ok")
        polled.poll()
        before = api.traffic.total()
        polled.poll("session_consumption")
        sent = api.traffic.total() - before
    assert cost() - cost(recent_sessions="0") == sent * 12 > 0


@pytest.mark.parametrize(
    ("current", "older", "told"),
    [(200, 404, ["ok"]), (404, 200, ["no bill", "ok"]), (404, 404, ["no bill", "no bill"])],
)
def test_check_requests_the_older_path_where_the_current_one_has_no_bill(
    api: respx.Router, polled: Rig, current: int, older: int, told: list[str]
) -> None:
    api.get(LIST).respond(json=page(session("a")))
    api.get(f"{BILL}/a").respond(current, json=billed(1.0))
    api.get(f"{OLDER_BILL}/a").respond(older, json=billed(1.0))
    api.get(url__regex=rf"{URL}/.*").respond(404)
    report = checked(polled)
    shown = [
        row(report, path)
        for path in (BILL, OLDER_BILL)
        if any(line.startswith(f"{path}/") for line in report.lines)
    ]
    assert len(shown) == len(told)
    assert all(result in line for result, line in zip(told, shown, strict=True))
