"""Whose ACUs a poll requests: of those who may have moved, and in turn of everybody."""

from collections.abc import Iterator

import pytest

from tests.exporter.sources.devin.consumption.enterprise import DAILY, Enterprise, enterprise
from tests.support.rig import Clock, Rig, at

USERS = 240
INTERVAL = 300
SWEEP = 21_600
TASKS = (
    "identity",
    "cycles",
    "sessions",
    "organizations",
    "users",
    "service_users",
    "enterprise_consumption",
    "organization_consumption",
    "user_consumption",
    "service_user_consumption",
)
UNATTRIBUTED = "devin_exporter_unattributed_cycle_acus"


@pytest.fixture
def clock() -> Clock:
    return Clock(at("2026-03-20 15:30:00"))


@pytest.fixture
def small(clock: Clock) -> Iterator[tuple[Enterprise, Rig]]:
    """Fewer users than a poll may ask in vain."""
    with enterprise(clock, users=10) as made:
        yield made


@pytest.fixture
def large(clock: Clock) -> Iterator[tuple[Enterprise, Rig]]:
    with enterprise(clock, users=USERS, user_limit="1000") as made:
        yield made


def poll(polled: Rig, *, after: float = INTERVAL) -> None:
    polled.clock.now += after
    polled.poll(*TASKS)


def cycle_of(polled: Rig, user: str, product: str = "devin") -> float | None:
    return polled.scrape().one("devin_user_consumption_cycle_acus", user_id=user, product=product)


def test_the_first_poll_requests_everybody_once(large: tuple[Enterprise, Rig]) -> None:
    api, polled = large
    api.uses("user-7", 3.0)
    api.uses("user-8", 2.0, days_ago=3, product="cascade")
    polled.poll(*TASKS)
    assert api.asked(f"{DAILY}/users/") == USERS
    assert {n for path, n in api.requests.items() if path.startswith(DAILY)} == {1}
    assert polled.scrape().one(UNATTRIBUTED, scope="users") == 0


def test_while_the_total_stands_still_nobody_is_requested_but_in_turn(
    large: tuple[Enterprise, Rig],
) -> None:
    api, polled = large
    api.uses("user-7", 3.0)
    polled.poll(*TASKS)
    before = api.asked(f"{DAILY}/users/")
    for _ in range(10):
        poll(polled)
    assert api.asked(f"{DAILY}/users/") - before == USERS * INTERVAL * 10 // (SWEEP - INTERVAL)
    assert cycle_of(polled, "user-7") == 3.0
    scrape = polled.scrape()
    assert scrape.one("devin_exporter_task_up", task="user_consumption") == 1
    assert scrape.one("devin_exporter_task_entities_missing", task="user_consumption") == 0


def test_whoever_moved_before_is_requested_first_and_nobody_once_all_is_explained(
    large: tuple[Enterprise, Rig],
) -> None:
    api, polled = large
    polled.poll(*TASKS)
    api.uses("user-7", 3.0)
    while cycle_of(polled, "user-7") is None:
        poll(polled)
    before = api.asked(f"{DAILY}/users/")
    api.uses("user-7", 1.5)
    poll(polled)
    assert cycle_of(polled, "user-7") == 4.5
    # One for each thread may be on its way when the difference is explained.
    assert api.asked(f"{DAILY}/users/") - before <= USERS * INTERVAL // SWEEP + 1 + 8


def test_the_owner_of_a_session_that_changed_is_requested_first(
    large: tuple[Enterprise, Rig],
) -> None:
    api, polled = large
    polled.poll(*TASKS)
    for user in ("user-120", "user-211"):
        api.uses(user, 3.0)
        api.session_of(user)
    poll(polled)
    assert (cycle_of(polled, "user-120"), cycle_of(polled, "user-211")) == (3.0, 3.0)


def test_a_restated_day_is_found_among_those_who_used_something_on_it(
    large: tuple[Enterprise, Rig],
) -> None:
    api, polled = large
    for user in range(100, 110):
        api.uses(f"user-{user}", 2.0, days_ago=5)
    polled.poll(*TASKS)
    for user in range(100, 110):
        api.uses(f"user-{user}", -0.5, days_ago=5)
    poll(polled)
    assert {cycle_of(polled, f"user-{user}") for user in range(100, 110)} == {1.5}


def test_a_search_without_signs_goes_on_while_it_finds_changes(
    large: tuple[Enterprise, Rig],
) -> None:
    api, polled = large
    polled.poll(*TASKS)
    users = [f"user-{number}" for number in range(0, USERS, 8)]
    for user in users:
        api.uses(user, 2.0)
    poll(polled)
    assert [cycle_of(polled, user) for user in users] == [2.0] * len(users)


def test_a_search_without_signs_ends_where_too_little_is_to_be_found(
    large: tuple[Enterprise, Rig],
) -> None:
    api, polled = large
    polled.poll(*TASKS)
    api.uses("user-120", 2.0)
    before = api.asked(f"{DAILY}/users/")
    poll(polled)
    turns = USERS * INTERVAL // (SWEEP - INTERVAL)
    # One for each thread may be on its way when the search ends.
    assert api.asked(f"{DAILY}/users/") - before <= 16 + 8 + turns
    assert cycle_of(polled, "user-120") is None
    assert polled.scrape().one(UNATTRIBUTED, scope="users") == 2.0


def test_everybody_is_requested_within_the_sweep_interval(large: tuple[Enterprise, Rig]) -> None:
    api, polled = large
    polled.poll(*TASKS)
    for _ in range(SWEEP // INTERVAL):
        poll(polled)
    assert min(api.requests[f"{DAILY}/users/user-{n}"] for n in range(USERS)) >= 2
    assert api.asked(f"{DAILY}/users/") <= 2 * USERS + 8


def test_after_eight_the_total_tells_that_a_quiet_day_is_final(
    large: tuple[Enterprise, Rig], clock: Clock
) -> None:
    api, polled = large
    api.uses("user-7", 3.0)
    polled.poll(*TASKS)
    clock.now = at("2026-03-21 07:55:00")
    poll(polled, after=0)
    before = api.asked(f"{DAILY}/users/")
    clock.now = at("2026-03-21 08:00:00")
    yesterday = "devin_user_consumption_yesterday_acus"
    assert polled.scrape().family(yesterday) == {}
    poll(polled, after=5)
    labels = {"user_id": "user-7", "product": "devin"}
    assert polled.scrape().one(yesterday, **labels) == 3.0
    assert api.asked(f"{DAILY}/users/") - before <= 2 * USERS * INTERVAL // SWEEP


def test_what_belongs_to_nobody_is_published_and_not_looked_for_for_ever(
    large: tuple[Enterprise, Rig],
) -> None:
    api, polled = large
    polled.poll(*TASKS)
    counts: list[int] = []
    for _ in range(24):
        before = api.asked(f"{DAILY}/users/")
        api.uses("nobody", 1.0)
        poll(polled)
        counts.append(api.asked(f"{DAILY}/users/") - before)
    swept = USERS * INTERVAL / SWEEP
    # Later polls look for it only a little, and at no time for long.
    assert max(counts) <= USERS * 0.04 + 8 + swept + 1
    assert sum(counts[6:]) <= 18 * (swept + 8 + 8 + 1)
    assert polled.scrape().one(UNATTRIBUTED, scope="users") == 24.0
    assert polled.scrape().one("devin_exporter_task_up", task="user_consumption") == 1


def test_what_belongs_to_nobody_on_past_days_is_no_reason_to_look_for_it_after_a_round(
    large: tuple[Enterprise, Rig],
) -> None:
    api, polled = large
    api.uses("nobody", 5.0, days_ago=4)
    polled.poll(*TASKS)
    before = api.asked(f"{DAILY}/users/")
    api.uses("user-7", 1.0)
    api.session_of("user-7")
    poll(polled)
    assert cycle_of(polled, "user-7") == 1.0
    assert api.asked(f"{DAILY}/users/") - before <= USERS * INTERVAL // SWEEP + 1 + 8
    assert polled.scrape().one(UNATTRIBUTED, scope="users") == 5.0


def test_without_the_total_everybody_is_requested(small: tuple[Enterprise, Rig]) -> None:
    api, polled = small
    api.failing.add(DAILY)
    polled.poll(*TASKS)
    poll(polled)
    assert api.asked(f"{DAILY}/users/") == 20
    assert api.asked(f"{DAILY}/organizations/") == 4
    assert polled.scrape().one("devin_exporter_task_up", task="user_consumption") == 1


def test_a_user_who_fails_expires_although_the_total_vouches_for_all_others(
    small: tuple[Enterprise, Rig],
) -> None:
    api, polled = small
    api.uses("user-1", 1.0)
    api.uses("user-2", 1.0)
    polled.poll(*TASKS)
    api.failing.add(f"{DAILY}/users/user-2")
    for _ in range(4):
        api.uses("user-2", 1.0)
        poll(polled)
    assert cycle_of(polled, "user-1") == 1.0
    assert cycle_of(polled, "user-2") is None
    scrape = polled.scrape()
    assert scrape.one("devin_exporter_task_entities_missing", task="user_consumption") == 1
    assert scrape.one("devin_exporter_task_up", task="user_consumption") == 0
    api.failing.clear()
    poll(polled)
    assert cycle_of(polled, "user-2") == 5.0


def test_a_service_user_that_moved_is_found_by_the_poll_of_users(
    small: tuple[Enterprise, Rig],
) -> None:
    api, polled = small
    polled.poll(*TASKS)
    api.uses("bot-1", 2.0)
    poll(polled)
    name = "devin_service_user_consumption_cycle_acus"
    assert polled.scrape().one(name, service_user_id="bot-1", product="devin") == 2.0
    assert polled.scrape().one(UNATTRIBUTED, scope="users") == 0


def test_the_progress_of_the_first_round_and_of_the_later_ones_is_published(
    small: tuple[Enterprise, Rig],
) -> None:
    api, polled = small
    ratio, remaining = (
        "devin_exporter_sweep_progress_ratio",
        "devin_exporter_sweep_remaining_seconds",
    )
    labels = {"task": "user_consumption"}
    polled.poll("identity", "users")
    assert polled.scrape().one(ratio, **labels) == 0
    assert polled.scrape().one(remaining, **labels) == 10 / 10_000
    api.failing = {f"{DAILY}/users/user-{n}" for n in range(4)}
    polled.poll(*TASKS)
    assert polled.scrape().one(ratio, **labels) == 0.6
    api.failing.clear()
    poll(polled)
    assert polled.scrape().one(ratio, **labels) == 1
    poll(polled)
    # Everybody has been requested, so the second round has begun, with the total of this poll.
    assert polled.scrape().one(ratio, **labels) == 0
    left = polled.scrape().one(remaining, **labels)
    assert left is not None
    assert 0 < left <= SWEEP
    assert polled.scrape().one(ratio, task="enterprise_consumption") is None
