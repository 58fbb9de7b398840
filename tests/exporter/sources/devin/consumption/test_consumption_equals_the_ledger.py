"""Every consumption gauge against the simulation's own ledger, at the moments that matter."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain

import pytest

from exporter.demo.calendar import Calendar
from exporter.demo.people import Size
from exporter.demo.world import World, billing_day
from exporter.sources.devin.billing.windows import DAY
from tests.support.rig import Clock, Rig, at, rig, simulated_api

BASE = ("devin", "cascade", "terminal")
PRODUCTS = (*BASE, "review")
WINDOWS = ("today", "yesterday", "cycle", "previous_cycle")
SIZE = Size(organizations=3, users=30, days=100)
CONSUMPTION = (
    "enterprise_consumption",
    "organization_consumption",
    "user_consumption",
    "service_user_consumption",
)
Values = Mapping[tuple[str, str, str, str], float]


@pytest.fixture
def clock() -> Clock:
    return Clock(at("2026-03-20 15:30:00"))


@pytest.fixture
def world_and_rig(clock: Clock) -> Iterator[tuple[World, Rig]]:
    with simulated_api(SIZE, clock) as (world, api), rig(api.url, clock) as polled:
        yield world, polled


def day_ranges(world: World, now: float) -> dict[str, range]:
    """The billing days of each window, worked out from the simulation's cycles alone."""
    today = world.calendar.number(now)
    cycles = [(after // DAY, before // DAY) for after, before in world.cycles(now)]
    current = next(index for index, (first, end) in enumerate(cycles) if first <= today < end)
    return {
        "today": range(today, today + 1),
        "yesterday": range(today - 1, today),
        "cycle": range(*cycles[current]),
        "previous_cycle": range(*cycles[current + 1]),
    }


def ledger(world: World, now: float, told_at: float) -> Values:
    """Scope, entity, window and product to ACUs: what the contract wants published."""
    expected: dict[tuple[str, str, str, str], float] = {}
    for window, days in day_ranges(world, now).items():
        orgs = [("", "", None)] + [
            ("organization_", org_id, index)
            for index, (org_id, _) in enumerate(world.organizations)
        ]
        for scope, entity, org in orgs:
            told = world.consumption(days, told_at, org=org)
            for product in PRODUCTS:
                acus = math.fsum(use.get(product, 0.0) for use in told.values())
                expected[scope, entity, window, product] = acus
        if window == "previous_cycle":
            continue
        for person in world.people:
            told = world.personal_consumption(person, days, told_at)
            scope = "service_user_" if person.service else "user_"
            for product in PRODUCTS:
                acus = math.fsum(use.get(product, 0.0) for use in told.values())
                if acus:
                    expected[scope, person.id, window, product] = acus
    return expected


def published(polled: Rig) -> Values:
    """The same as the page shows it."""
    scrape = polled.scrape()
    labels = {
        "": None,
        "organization_": "org_id",
        "user_": "user_id",
        "service_user_": "service_user_id",
    }
    found: dict[tuple[str, str, str, str], float] = {}
    for scope, label in labels.items():
        for window in WINDOWS:
            for pairs, value in scrape.family(f"devin_{scope}consumption_{window}_acus").items():
                named = dict(pairs)
                found[scope, named[label] if label else "", window, named["product"]] = value
    return found


def assert_shows(polled: Rig, expected: Values, *windows: str) -> None:
    """Exactly the expected series of these windows, and nothing of any other."""
    shown = published(polled)
    wanted = {key: acus for key, acus in expected.items() if key[2] in windows}
    assert shown.keys() == wanted.keys()
    for key, acus in wanted.items():
        assert shown[key] == pytest.approx(acus, abs=1e-6), key


def test_every_gauge_equals_the_ledger_in_the_middle_of_a_cycle(
    world_and_rig: tuple[World, Rig], clock: Clock
) -> None:
    world, polled = world_and_rig
    polled.poll()
    assert_shows(polled, ledger(world, clock(), clock()), *WINDOWS)
    scopes = {key[0] for key in published(polled)}
    assert scopes == {"", "organization_", "user_", "service_user_"}


def test_at_eight_the_day_ends_without_a_request_and_is_told_anew_by_the_next_poll(
    world_and_rig: tuple[World, Rig], clock: Clock
) -> None:
    world, polled = world_and_rig
    clock.now = polled_at = at("2026-03-21 07:50:00")
    polled.poll()
    clock.now = at("2026-03-21 07:59:59.9")
    assert_shows(polled, ledger(world, polled_at, polled_at), *WINDOWS)

    clock.now = at("2026-03-21 08:00:00")
    assert_shows(polled, ledger(world, clock(), polled_at), "cycle", "previous_cycle")

    seen_at_ten_to_eight = ledger(world, polled_at, polled_at)["", "", "today", "cascade"]
    clock.now = at("2026-03-21 08:00:05")
    polled.poll(*CONSUMPTION)
    expected = ledger(world, clock(), clock())
    assert_shows(polled, expected, *WINDOWS)
    assert expected["", "", "yesterday", "cascade"] > seen_at_ten_to_eight + 1e-3


def test_a_poll_sent_before_eight_never_fills_the_new_day(
    world_and_rig: tuple[World, Rig], clock: Clock
) -> None:
    _, polled = world_and_rig
    clock.now = at("2026-03-21 07:59:59")
    polled.poll()
    clock.now = at("2026-03-21 08:03:00")
    shown = {key[2] for key in published(polled)}
    assert shown == {"cycle", "previous_cycle"}


def test_at_a_cycles_end_its_windows_wait_for_the_new_cycle(
    world_and_rig: tuple[World, Rig], clock: Clock
) -> None:
    world, polled = world_and_rig
    clock.now = at("2026-04-05 07:59:00")
    polled.poll()
    assert_shows(polled, ledger(world, clock(), clock()), *WINDOWS)
    end = polled.scrape().one("devin_billing_cycle_end_timestamp_seconds")
    assert end == at("2026-04-05 08:00:00")

    clock.now = at("2026-04-05 08:00:00")
    assert published(polled) == {}
    assert polled.scrape().one("devin_billing_cycle_end_timestamp_seconds") is None

    clock.now = at("2026-04-05 08:00:05")
    polled.poll(*CONSUMPTION)
    expected = ledger(world, clock(), clock())
    assert_shows(polled, expected, "today", "yesterday")

    polled.poll("cycles")
    assert_shows(polled, expected, *WINDOWS)
    start = polled.scrape().one("devin_billing_cycle_start_timestamp_seconds")
    assert start == at("2026-04-05 08:00:00")


@pytest.mark.parametrize(
    "moment",
    [
        "2026-04-04 23:59:59",
        "2026-04-05 08:00:00",
        "2026-04-06 07:59:59",
        "2026-04-30 23:59:59",
        "2026-05-01 00:00:00",
        "2026-12-31 23:59:59",
        "2027-01-01 00:00:00",
        "2027-01-01 08:00:00",
        "2028-02-29 12:00:00",
    ],
)
def test_every_gauge_equals_the_ledger_at_the_turns_of_the_calendar(moment: str) -> None:
    clock = Clock(at(moment))
    with simulated_api(SIZE, clock) as (world, api), rig(api.url, clock) as polled:
        polled.poll()
        assert_shows(polled, ledger(world, clock(), clock()), *WINDOWS)


LOS_ANGELES = replace(SIZE, calendar=Calendar("los-angeles"))
DAYS_APART = "2026-07-05 06:50:00"
"""In summer, shortly before a cycle ends at midnight in Los Angeles."""


@pytest.mark.parametrize(
    ("moment", "hour"),
    [
        ("2026-01-15 07:59:59", 8),
        ("2026-03-08 08:00:00", 8),
        ("2026-03-09 06:59:59", 8),
        ("2026-03-09 20:00:00", 7),
        ("2026-07-15 06:59:59", 7),
        ("2026-07-15 08:00:00", 7),
        ("2026-11-01 20:00:00", 7),
        ("2026-11-02 07:59:59", 7),
        ("2026-11-02 20:00:00", 8),
    ],
)
def test_every_gauge_equals_the_ledger_where_days_start_at_midnight_in_los_angeles(
    moment: str, hour: float
) -> None:
    clock = Clock(at(moment))
    with simulated_api(LOS_ANGELES, clock) as (world, api), rig(api.url, clock) as polled:
        polled.poll()
        assert_shows(polled, ledger(world, clock(), clock()), *WINDOWS)
        assert polled.scrape().one("devin_billing_day_start_hour") == hour
        created = {
            window: world.sessions(
                world.calendar.start_of(days[0]), world.calendar.end_of(days[-1]), clock(), org=None
            ).created
            for window, days in day_ranges(world, clock()).items()
        }
        for window in ("today", "yesterday", "cycle"):
            shown = polled.scrape().one(f"devin_sessions_created_{window}")
            assert shown == created[window]


def test_a_day_and_a_cycle_that_may_have_ended_are_absent_until_they_have_ended_everywhere() -> (
    None
):
    clock = Clock(polled_at := at(DAYS_APART))
    with simulated_api(LOS_ANGELES, clock) as (world, api), rig(api.url, clock) as polled:
        polled.poll()
        assert_shows(polled, ledger(world, polled_at, polled_at), *WINDOWS)
        for moment in ("07:00:00", "07:30:00", "07:59:59"):
            clock.now = at(f"2026-07-05 {moment}")
            polled.poll()
            assert published(polled) == {}
            names = polled.scrape().names()
            assert not [name for name in names if name.startswith("devin_sessions_created")]
            assert "devin_billing_cycle_start_timestamp_seconds" not in names
        clock.now = at("2026-07-05 08:00:00")
        polled.poll()
        assert_shows(polled, ledger(world, clock(), clock()), *WINDOWS)
        start = polled.scrape().one("devin_billing_cycle_start_timestamp_seconds")
        assert start == at("2026-07-05 07:00:00")


def test_the_hour_that_is_not_the_documented_one_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock(at(DAYS_APART))
    with simulated_api(LOS_ANGELES, clock) as (_, api), rig(api.url, clock) as polled:
        for _ in range(3):
            polled.poll()
            clock.now += DAY
    lines = [record.getMessage() for record in caplog.records if "days start" in record.msg]
    (line,) = lines
    assert line.startswith("billing days start at 07:00 UTC by the API's timestamps, not at 08:00")


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_restated_day_takes_its_new_value_at_the_next_poll(direction: str) -> None:
    clock = Clock(at("2026-03-20 15:30:00"))
    one_by_one = {"concurrency": "1"}
    with simulated_api(SIZE, clock) as (world, api), rig(api.url, clock, **one_by_one) as polled:
        restated = [
            (day, told)
            for day in range(world.founded + 30, world.founded + 300)
            if (told := world.restatement(day))
            and (told.factor > 1) == (direction == "up")
            # One that still is yesterday when it is restated.
            and told.at < (day + 2) * DAY + 8 * 3_600
        ]
        day, told = restated[0]
        clock.now = told.at - 1
        polled.poll()
        before = polled.scrape().one("devin_consumption_yesterday_acus", product="devin")
        clock.now = told.at
        polled.poll()
        after = polled.scrape().one("devin_consumption_yesterday_acus", product="devin")
        assert billing_day(clock()) == day + 1
        assert before is not None
        assert after == pytest.approx(before * told.factor)
        assert_shows(polled, ledger(world, clock(), clock()), *WINDOWS)


def test_the_simulation_leaves_days_out_and_says_null_for_review(
    world_and_rig: tuple[World, Rig], clock: Clock
) -> None:
    world, _ = world_and_rig
    days = range(billing_day(clock()) - 60, billing_day(clock()) + 1)
    users = [person for person in world.people if not person.service and person.rate]
    told = [world.personal_consumption(user, days, clock()) for user in users]
    assert any(0 < len(by_day) < len(days) for by_day in told)
    without_review = [user for user in users if user.review is None]
    assert without_review
    assert any(user.review is not None for user in users)


def test_what_users_do_not_account_for_is_nothing_and_of_organizations_the_terminal(
    world_and_rig: tuple[World, Rig], clock: Clock
) -> None:
    world, polled = world_and_rig
    polled.poll()
    expected = ledger(world, clock(), clock())
    tied_to_users = expected["", "", "cycle", "terminal"]
    scrape = polled.scrape()
    name = "devin_exporter_unattributed_cycle_acus"
    assert scrape.one(name, scope="organizations") == pytest.approx(tied_to_users, abs=1e-6)
    assert scrape.one(name, scope="users") == 0


def test_what_is_unattributed_is_absent_until_every_part_is_known(
    world_and_rig: tuple[World, Rig],
) -> None:
    _, polled = world_and_rig
    polled.poll("cycles", "organizations", "users", "enterprise_consumption")
    polled.poll("user_consumption", "organization_consumption")
    shown = polled.scrape().family("devin_exporter_unattributed_cycle_acus")
    assert [dict(labels)["scope"] for labels in shown] == ["organizations"]


def test_users_on_either_list_or_both_appear_once_and_any_id_works(
    world_and_rig: tuple[World, Rig],
) -> None:
    world, polled = world_and_rig
    polled.poll()
    users = [person for person in world.people if not person.service]
    assert {(user.direct, user.by_group) for user in users} == {
        (True, False),
        (False, True),
        (True, True),
    }
    scrape = polled.scrape()
    infos = [dict(labels)["user_id"] for labels in scrape.family("devin_user_info")]
    assert sorted(infos) == sorted(user.id for user in users)
    assert scrape.one("devin_users") == len(users)
    strange = scrape.family("devin_user_consumption_cycle_acus")
    assert "email|Ü n/ï" in set(chain.from_iterable(dict(labels).values() for labels in strange))


def test_data_timestamps_are_the_newest_billing_days_start(
    world_and_rig: tuple[World, Rig],
) -> None:
    _, polled = world_and_rig
    polled.poll()
    newest = polled.scrape().one(
        "devin_exporter_data_timestamp_seconds", task="enterprise_consumption"
    )
    assert newest == at("2026-03-20 08:00:00")
