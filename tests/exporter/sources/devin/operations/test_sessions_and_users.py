"""Sessions, limits, and what is told of users in each mode and within each limit."""

import logging
import math
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import respx

from exporter.demo.api import DemoApi
from exporter.demo.endpoints import DemoKey
from exporter.demo.people import DAY, Size
from exporter.demo.session_list import sessions
from exporter.demo.world import World
from exporter.sources.devin.members.user_policy import UserPolicy
from tests.support.processes import running
from tests.support.rig import KEY, Clock, Rig, Scrape, at, rig, simulated_api

NOW = at("2026-03-20 23:30:00")
SIZE = Size(organizations=3, users=40, days=90)
USER_SERIES = tuple(f"devin_user_consumption_{w}_acus" for w in ("today", "yesterday", "cycle"))


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def simulated(clock: Clock) -> Iterator[tuple[World, DemoApi]]:
    with simulated_api(SIZE, clock) as running:
        yield running


def polled_page(api: DemoApi, clock: Clock, **settings: str) -> tuple[Scrape, str]:
    """Everything polled once: the page parsed and as text."""
    with rig(api.url, clock, **settings) as polled:
        polled.poll()
        polled.poll("sessions", "limits")
        return polled.scrape(), polled.store.page.text.decode()


def totals(scrape: Scrape) -> dict[tuple[str, str], float]:
    """The sum of users' series by family and product."""
    sums: dict[tuple[str, str], list[float]] = {}
    for name in USER_SERIES:
        for labels, value in scrape.family(name).items():
            sums.setdefault((name, dict(labels)["product"]), []).append(value)
    return {key: math.fsum(values) for key, values in sums.items()}


def labels_of(scrape: Scrape, name: str, label: str) -> set[str]:
    return {dict(labels)[label] for labels in scrape.family(name)}


def test_sessions_are_counted_by_organization_and_state(
    simulated: tuple[World, DemoApi], clock: Clock
) -> None:
    world, api = simulated
    held = sessions(world, int(NOW) - DAY, NOW, org=None)
    expected = Counter(
        (str(row["org_id"]), str(row["status"]), str(row["status_detail"] or "")) for row in held
    )
    scrape, _ = polled_page(api, clock)
    shown = {
        (dict(k)["org_id"], dict(k)["status"], dict(k)["status_detail"]): v
        for k, v in scrape.family("devin_sessions").items()
    }
    assert shown == dict(expected)
    assert len(expected) > 5


def test_the_table_holds_the_newest_first_and_nothing_that_fell_out(
    simulated: tuple[World, DemoApi], clock: Clock
) -> None:
    world, api = simulated
    with rig(api.url, clock) as polled:
        seen: list[set[str]] = []
        for now in (NOW, NOW + 1_800, NOW + 16 * 3_600):
            clock.now = now
            polled.poll("sessions")
            scrape = polled.scrape()
            held = sessions(world, int(now) - 10 * DAY, now, org=None)
            by_age = sorted(
                held,
                key=lambda row: (-int(str(row["created_at"])), str(row["session_id"])[-20:]),
            )
            created = {
                str(row["session_id"]).removeprefix("devin-"): row["created_at"] for row in by_age
            }
            shown = {
                dict(k)["session_id"]: v
                for k, v in scrape.family("devin_recent_session_created_timestamp_seconds").items()
            }
            assert len(shown) == 25
            newest = sorted((int(str(at)) for at in created.values()), reverse=True)[:25]
            assert sorted(shown.values(), reverse=True) == newest
            assert labels_of(scrape, "devin_recent_session_info", "session_id") == set(shown)
            acus = labels_of(scrape, "devin_recent_session_acus", "session_id")
            listed = {
                str(row["session_id"]).removeprefix("devin-")
                for row in by_age
                if row["acus_consumed"]
            }
            assert acus == listed & set(shown)
            seen.append(set(shown))
        assert seen[0] != seen[2]


def test_sessions_that_a_clock_ahead_has_dated_are_asked_for_once_more(
    simulated: tuple[World, DemoApi], clock: Clock
) -> None:
    _, api = simulated
    expected, _ = polled_page(api, clock)
    for ahead in (3_600, DAY):
        with rig(api.url, Clock(NOW + ahead)) as polled:
            polled.poll("sessions")
            polled.clock.now = NOW
            (task,) = [task for task in polled.tasks if task.name == "sessions"]
            assert task.snapshot(polled.clock(), 900.0).samples == ()
            polled.poll("sessions")
            assert polled.scrape().family("devin_sessions") == expected.family("devin_sessions")


def item(session_id: str, updated: float, **fields: object) -> dict[str, object]:
    return {
        "session_id": session_id,
        "org_id": "o",
        "url": "",
        "status": "running",
        "acus_consumed": 1.0,
        "created_at": int(NOW) - 3_600,
        "updated_at": int(updated),
        **fields,
    }


def page(*items: dict[str, object], cursor: str | None = None) -> httpx.Response:
    return httpx.Response(
        200, json={"items": items, "end_cursor": cursor, "has_next_page": cursor is not None}
    )


@pytest.fixture
def api() -> Iterator[respx.Router]:
    with respx.mock(base_url="https://api.test") as router:
        yield router


@pytest.fixture
def polled(api: respx.Router, clock: Clock) -> Iterator[Rig]:
    assert api is not None
    with rig("https://api.test", clock, recent_sessions="2") as made:
        yield made


def test_a_session_that_moved_while_paging_counts_once_in_its_later_state(
    api: respx.Router, polled: Rig
) -> None:
    api.get("/v3/enterprise/sessions").mock(
        side_effect=[
            page(item("devin-a", NOW - 60, status="exit"), item("b", NOW - 50), cursor="x"),
            page(item("a", NOW - 90, status="running"), item("devin-b", NOW - 20, status="error")),
        ]
    )
    polled.poll("sessions")
    shown = polled.scrape().family("devin_sessions")
    assert {dict(k)["status"]: v for k, v in shown.items()} == {"exit": 1, "error": 1}


def test_only_what_changed_is_asked_for_and_the_rest_is_remembered_for_a_day(
    api: respx.Router, polled: Rig, clock: Clock
) -> None:
    route = api.get("/v3/enterprise/sessions")
    route.mock(
        side_effect=[
            page(item("a", NOW - 60), item("b", NOW - 3_600)),
            page(item("a", NOW + 200, status="exit")),
            httpx.Response(422),
            page(),
        ]
    )
    asked: list[int] = []
    counts: list[float] = []
    for now in (NOW, NOW + 300, NOW + 310, NOW + DAY - 3_000):
        clock.now = now
        polled.poll("sessions")
        asked.append(int(route.calls.last.request.url.params["updated_after"]))
        counts.append(sum(polled.scrape().family("devin_sessions").values()))
    assert asked[0] == int(NOW) - DAY - 1
    assert asked[1] == int(NOW) - 601
    assert asked[2] == asked[3] == int(NOW) + 300 - 601
    assert counts == [2, 2, 2, 1]


def test_no_table_where_none_is_wanted(simulated: tuple[World, DemoApi], clock: Clock) -> None:
    _, api = simulated
    scrape, _ = polled_page(api, clock, recent_sessions="0")
    assert not any(name.startswith("devin_recent_session") for name in scrape.names())
    assert scrape.family("devin_sessions")


def test_titles_are_shown_only_where_that_is_set(
    simulated: tuple[World, DemoApi], clock: Clock
) -> None:
    _, api = simulated
    without, _ = polled_page(api, clock)
    shown, _ = polled_page(api, clock, session_titles="true")
    assert labels_of(without, "devin_recent_session_info", "title") == {""}
    titles = labels_of(shown, "devin_recent_session_info", "title")
    assert all(title.startswith("Task ") for title in titles)


def test_limits_are_those_of_the_list_and_else_the_organizations_own(
    simulated: tuple[World, DemoApi], clock: Clock
) -> None:
    world, api = simulated
    scrape, _ = polled_page(api, clock)
    first, second, third = (org_id for org_id, _ in world.organizations)
    assert scrape.one("devin_enterprise_cycle_limit_acus") == 50_000
    assert scrape.one("devin_organization_cycle_limit_acus", org_id=first) == 1_000
    assert scrape.one("devin_organization_cycle_limit_acus", org_id=second) is None
    assert scrape.one("devin_organization_cycle_limit_acus", org_id=third) == 4_000
    assert scrape.one("devin_organization_session_limit_acus", org_id=first) == 20
    assert scrape.one("devin_organization_session_limit_acus", org_id=second) is None
    users = [world.people[0].id, world.people[1].id]
    assert [scrape.one("devin_user_cycle_limit_acus", user_id=u) for u in users] == [300, 0]


def test_hash_shows_no_user_anywhere_and_keeps_its_hashes(
    simulated: tuple[World, DemoApi], clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    world, api = simulated
    settings = {"user_metrics": "hash", "user_hash_key": "one-key"}
    scrape, text = polled_page(api, clock, **settings)
    again, _ = polled_page(api, clock, **settings)
    other, _ = polled_page(api, clock, user_metrics="hash", user_hash_key="other-key")
    full, _ = polled_page(api, clock)
    own_lines = "\n".join(
        record.getMessage() for record in caplog.records if record.name.startswith("exporter")
    )
    for person in world.people:
        if not person.service:
            for secret in (person.id, person.name, person.email):
                assert secret is None or secret not in text + own_lines
    hashes = labels_of(scrape, USER_SERIES[2], "user_id")
    assert len(hashes) == len(labels_of(full, USER_SERIES[2], "user_id"))
    assert hashes == labels_of(again, USER_SERIES[2], "user_id")
    assert not hashes & labels_of(other, USER_SERIES[2], "user_id")
    assert labels_of(scrape, "devin_recent_session_info", "user_id") <= hashes | {""}
    assert not scrape.family("devin_user_info")
    assert not scrape.family("devin_organization_member_info")
    assert len(scrape.family("devin_user_cycle_limit_acus")) == 2
    assert totals(scrape) == pytest.approx(totals(full), abs=1e-6)


def test_off_shows_no_user_series_and_leaves_all_else_as_it_is(
    simulated: tuple[World, DemoApi], clock: Clock
) -> None:
    _, api = simulated
    off, _ = polled_page(api, clock, user_metrics="off")
    full, _ = polled_page(api, clock)
    of_users = (
        "devin_user_",
        "devin_organization_member_info",
        "devin_recent_session_info",
        "devin_group_consumption_",  # small groups are summed
    )
    named_by_users = ("devin_session_tag_", "devin_session_repository_", "devin_repository_")
    measured = ("devin_exporter_task_duration_seconds", "devin_exporter_task_series")

    def rest(scrape: Scrape) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        return {
            key: value
            for key, value in scrape.values.items()
            if not key[0].startswith((*of_users, *named_by_users)) and key[0] not in measured
        }

    assert not any(name.startswith((*of_users[:2], *named_by_users)) for name in off.names())
    assert labels_of(off, "devin_recent_session_info", "user_id") == {""}
    assert rest(off) == rest(full)


def test_id_shows_ids_and_memberships_but_no_names(
    simulated: tuple[World, DemoApi], clock: Clock
) -> None:
    _, api = simulated
    scrape, text = polled_page(api, clock, user_metrics="id")
    full, _ = polled_page(api, clock)
    assert "@example.com" not in text
    assert not scrape.family("devin_user_info")
    members = "devin_organization_member_info"
    assert scrape.family(members) == full.family(members) != {}
    assert totals(scrape) == totals(full)


def test_beyond_the_limit_users_are_summed_up_and_totals_hold(
    simulated: tuple[World, DemoApi], clock: Clock
) -> None:
    world, api = simulated
    limited, _ = polled_page(api, clock, user_limit="10")
    full, _ = polled_page(api, clock)
    cycle = labels_of(limited, USER_SERIES[2], "user_id")
    assert len(cycle) == 11
    assert "other" in cycle
    assert totals(limited) == pytest.approx(totals(full), abs=1e-6)
    assert len(labels_of(limited, "devin_user_info", "user_id")) == 10
    assert labels_of(limited, "devin_organization_member_info", "user_id") <= cycle
    assert labels_of(limited, "devin_recent_session_info", "user_id") <= cycle | {""}
    bots = [person for person in world.people if person.service]
    assert len(labels_of(limited, "devin_service_user_info", "service_user_id")) == len(bots)


def test_others_are_not_summed_while_one_of_them_is_unknown(
    simulated: tuple[World, DemoApi], clock: Clock
) -> None:
    _, api = simulated
    with rig(api.url, clock, user_limit="5") as polled:
        polled.poll()
        assert "other" in labels_of(polled.scrape(), USER_SERIES[2], "user_id")
        clock.now = at("2026-03-21 08:00:00")
        assert labels_of(polled.scrape(), USER_SERIES[2], "user_id") == set()


def test_users_are_ranked_once_a_billing_day_by_use_and_then_by_id() -> None:
    policy = UserPolicy("full", key=None, limit=2)
    assert not policy.decided
    policy.rank({"a": 1.0, "b": 5.0, "c": 5.0, "d": 0.0}, day=1)
    assert [u for u in "abcd" if policy.own(u)] == ["b", "c"]
    policy.rank({"a": 9.0, "b": 5.0, "c": 5.0, "d": 0.0}, day=1)
    assert [u for u in "abcd" if policy.own(u)] == ["b", "c"]
    policy.rank({"a": 9.0, "b": 5.0, "c": 5.0, "d": 0.0}, day=2)
    assert [u for u in "abcd" if policy.own(u)] == ["a", "b"]
    assert policy.label("c") == "other"
    policy.listed(["a", "b"])
    assert policy.label("c") == "c"


def test_the_key_of_the_api_is_on_no_page(simulated: tuple[World, DemoApi], clock: Clock) -> None:
    _, api = simulated
    _, text = polled_page(api, clock)
    assert KEY not in text


def test_a_real_process_in_mode_hash_shows_no_user_on_any_page_or_in_its_log(
    tmp_path: Path,
) -> None:
    settings = {
        "DEVIN_SERVICE_USER_TOKEN": KEY,
        "DEVIN_USER_METRICS": "hash",
        "DEVIN_USER_HASH_KEY": "one-key",
        "DEVIN_SESSION_TITLES": "true",
        "DEVIN_REQUESTS_PER_SECOND": "1000",
        "LOG_LEVEL": "debug",
    }
    with (
        simulated_api(SIZE, Clock(time.time())) as (world, api),
        running(tmp_path, DEVIN_API_URL=api.url, **settings) as exporter,
    ):
        exporter.until("devin_user_cycle_limit_acus{")
        exporter.until("devin_recent_session_info{")
        pages = "".join(exporter.get(path).text for path in ("/metrics", "/", "/-/ready"))
        assert exporter.end() == 0
        shown = pages + exporter.log.read_text()
    assert f"{SIZE.users}" in pages
    for person in world.people:
        if not person.service:
            for secret in (person.id, person.name, person.email):
                assert secret is None or secret not in shown


@pytest.mark.parametrize("mode", ["hash", "off"])
def test_titles_are_not_shown_where_users_are_not(
    simulated: tuple[World, DemoApi], clock: Clock, mode: str
) -> None:
    _, api = simulated
    settings = {"user_metrics": mode, "user_hash_key": "one-key", "session_titles": "true"}
    scrape, _ = polled_page(api, clock, **settings)
    assert labels_of(scrape, "devin_recent_session_info", "title") == {""}


def test_the_table_reaches_back_past_a_quiet_day(clock: Clock) -> None:
    url = "https://api.test"

    def listed(request: httpx.Request) -> httpx.Response:
        after = int(request.url.params["updated_after"])
        known = [
            {**item(f"s{age}", NOW - age * DAY), "created_at": int(NOW - age * DAY) - 60}
            for age in (2, 3, 20, 40)
        ]
        kept = [each for each in known if int(str(each["updated_at"])) > after]
        return httpx.Response(200, json={"items": kept, "has_next_page": False})

    with respx.mock(base_url=url) as api, rig(url, clock) as polled:
        sessions_endpoint = api.get("/v3/enterprise/sessions").mock(side_effect=listed)
        polled.poll("sessions")
        scrape = polled.scrape()
        assert labels_of(scrape, "devin_recent_session_acus", "session_id") == {"s2", "s3", "s20"}
        assert scrape.family("devin_sessions") == {}
        asked = sessions_endpoint.call_count
        polled.poll("sessions")
        assert sessions_endpoint.call_count == asked + 1


def test_the_table_names_nobody_before_users_are_counted_or_beyond_their_limit(
    clock: Clock,
) -> None:
    without_lists = DemoKey(frozenset({"ViewAccountSessions"}))
    with simulated_api(SIZE, clock, keys={KEY: DemoKey(), "cog_few": without_lists}) as (_, api):
        with rig(api.url, clock, user_limit="3") as polled:
            polled.poll("identity", "sessions")
            early = polled.scrape()
        with rig(api.url, clock, user_limit="3", service_user_token="cog_few") as polled:
            polled.poll()
            never_counted = polled.scrape()
    for scrape in (early, never_counted):
        assert labels_of(scrape, "devin_recent_session_info", "user_id") == {""}


def test_others_are_not_told_while_one_who_left_is_unknown(clock: Clock) -> None:
    url = "https://api.test"
    daily = f"{url}/v3/enterprise/consumption/daily/users/"

    def day(acus: float) -> dict[str, object]:
        date = int(at("2026-03-20 08:00:00"))
        return {"consumption_by_date": [{"date": date, "acus": acus, "acus_by_product": {}}]}

    def member(user_id: str) -> dict[str, object]:
        return {"user_id": user_id, "role_assignments": []}

    with respx.mock(base_url=url) as api, rig(url, clock, user_limit="1") as polled:
        listed = [member("a"), member("b"), member("c")]
        api.get("/v3/enterprise/members/users").mock(
            side_effect=lambda _: httpx.Response(
                200, json={"items": listed, "has_next_page": False}
            )
        )
        api.get("/v3/enterprise/members/idp-users").respond(
            json={"items": [], "has_next_page": False}
        )
        api.get("/v3/enterprise/consumption/daily").respond(404)
        for name, acus in (("a", 20.0), ("b", 10.0), ("c", 7.0)):
            api.get(f"{daily}{name}").respond(json=day(acus))
        api.get("/v3/enterprise/consumption/cycles").respond(
            json={"items": [], "has_next_page": False}
        )
        polled.poll("cycles", "users", "user_consumption")
        other = {"user_id": "other", "product": "unknown"}
        assert polled.scrape().one("devin_user_consumption_cycle_acus", **other) == 17
        del listed[2]
        api.get(f"{daily}c").respond(404)
        for _ in range(4):
            polled.clock.now += 300
            polled.poll("users", "user_consumption")
        scrape = polled.scrape()
        assert scrape.one("devin_exporter_task_entities_missing", task="user_consumption") == 1
        assert scrape.one("devin_user_consumption_cycle_acus", **other) is None
        assert scrape.one("devin_user_consumption_cycle_acus", user_id="a", product="unknown") == 20


def test_of_several_limits_of_one_the_lowest_holds(clock: Clock) -> None:
    url = "https://api.test"
    items = [
        {"scope": scope, "cycle_acu_limit": acus, "org_id": org_id, "user_id": user_id}
        for scope, acus, org_id, user_id in (
            ("enterprise", 900, None, None),
            ("enterprise", 800, None, None),
            ("user", 30, "o", "u"),
            ("user", 20, "p", "u"),
            ("org", 5, "o", None),
            ("org", 6, "o", None),
        )
    ]
    with respx.mock(base_url=url) as api, rig(url, clock) as polled:
        for path in ("members/users", "members/idp-users"):
            api.get(f"/v3/enterprise/{path}").respond(json={"items": [], "has_next_page": False})
        api.get("/v3/enterprise/consumption/acu-limits/devin").respond(
            json={"items": items, "has_next_page": False}
        )
        polled.poll("users", "limits")
        scrape = polled.scrape()
    assert scrape.one("devin_enterprise_cycle_limit_acus") == 800
    assert scrape.one("devin_user_cycle_limit_acus", user_id="u") == 20
    assert scrape.one("devin_organization_cycle_limit_acus", org_id="o") == 5


def test_an_organizations_own_entry_never_stands_in_for_a_list_that_is_too_old(
    clock: Clock,
) -> None:
    url = "https://api.test"
    entry = {"org_id": "o", "name": "O", "max_cycle_acu_limit": 3_000}
    limit = {"scope": "org", "cycle_acu_limit": 0, "org_id": "o", "user_id": None}
    with respx.mock(base_url=url) as api, rig(url, clock) as polled:
        api.get("/v3/enterprise/organizations").respond(
            json={"items": [entry], "has_next_page": False}
        )
        limits = api.get("/v3/enterprise/consumption/acu-limits/devin")
        limits.respond(json={"items": [limit], "has_next_page": False})
        polled.poll("organizations", "limits")
        assert polled.scrape().one("devin_organization_cycle_limit_acus", org_id="o") == 0
        limits.respond(422)
        for _ in range(4):
            polled.clock.now += 300
            polled.poll("organizations", "limits")
        assert polled.scrape().one("devin_organization_cycle_limit_acus", org_id="o") is None
