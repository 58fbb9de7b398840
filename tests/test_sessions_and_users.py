"""Sessions, limits, and what is told of users in each mode and within each limit."""

import logging
import math
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest
import respx
from harness import KEY, Clock, Rig, Scrape, at, rig, simulated_api

from exporter.demo.api import DemoApi
from exporter.demo.people import DAY, Size
from exporter.demo.session_list import sessions
from exporter.demo.world import World
from exporter.sources.devin.user_policy import UserPolicy

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
            acus = labels_of(scrape, "devin_recent_session_acus", "session_id")
            assert (
                acus == labels_of(scrape, "devin_recent_session_info", "session_id") == set(shown)
            )
            seen.append(acus)
        assert seen[0] != seen[2]


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
    with rig("https://api.test", clock) as made:
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
            for secret in (person.id, person.id.replace("\\", "\\\\"), person.email):
                assert secret is None or secret not in text + own_lines
    assert "Ada Amari" not in text
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
    of_users = ("devin_user_", "devin_organization_member_info", "devin_recent_session_info")
    measured = ("devin_exporter_task_duration_seconds", "devin_exporter_task_series")

    def rest(scrape: Scrape) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        return {
            key: value
            for key, value in scrape.values.items()
            if not key[0].startswith(of_users) and key[0] not in measured
        }

    assert not any(name.startswith(of_users[:2]) for name in off.names())
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
