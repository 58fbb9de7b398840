"""Whose ACUs a poll requests, and what stays published, while requests fail."""

from collections.abc import Iterator

import pytest

from tests.exporter.sources.devin.consumption.enterprise import DAILY, Enterprise, enterprise
from tests.support.rig import Clock, Rig, at

USERS = 100
INTERVAL = 300
SWEEP = 21_600
CYCLE = "devin_user_consumption_cycle_acus"


@pytest.fixture
def clock() -> Clock:
    return Clock(at("2026-03-20 15:30:00"))


@pytest.fixture
def made(clock: Clock) -> Iterator[tuple[Enterprise, Rig]]:
    with enterprise(clock, users=USERS, bots=1) as made:
        yield made


def poll(polled: Rig, *, after: float = INTERVAL) -> None:
    polled.clock.now += after
    polled.poll()


def cycle_of(polled: Rig, user: str) -> float | None:
    return polled.scrape().one(CYCLE, user_id=user, product="devin")


def path_of(user: int) -> str:
    return f"{DAILY}/users/user-{user}"


def test_many_users_who_always_fail_hide_nobody_else(made: tuple[Enterprise, Rig]) -> None:
    api, polled = made
    api.failing = {path_of(n) for n in range(50)}
    for _ in range(6):
        api.uses("user-77", 1.0)
        poll(polled)
    assert cycle_of(polled, "user-77") == 6.0
    api.failing.clear()
    api.uses("user-7", 1.0)
    poll(polled)
    assert cycle_of(polled, "user-7") == 1.0
    assert polled.scrape().one("devin_exporter_task_up", task="user_consumption") == 1


def test_figures_that_no_request_could_renew_expire_although_the_total_is_read(
    made: tuple[Enterprise, Rig],
) -> None:
    api, polled = made
    users = [f"user-{n}" for n in range(USERS)]
    for user in users:
        api.uses(user, 1.0)
    polled.poll()
    assert len(polled.scrape().family(CYCLE)) == USERS
    api.failing = {path_of(n) for n in range(USERS)}
    for _ in range(4):
        for user in users:
            api.uses(user, 1.0)
        poll(polled)
    assert polled.scrape().family(CYCLE) == {}


def test_after_a_gap_in_which_figures_expired_each_is_requested_unless_the_total_is_explained(
    made: tuple[Enterprise, Rig],
) -> None:
    api, polled = made
    for n in range(USERS):
        api.uses(f"user-{n}", 1.0)
    polled.poll()
    poll(polled, after=3_600)
    assert sum(api.requests[path_of(n)] == 1 for n in range(USERS)) >= USERS // 2
    assert len(polled.scrape().family(CYCLE)) == USERS
    api.uses("nobody", 5.0)
    poll(polled, after=3_600)
    assert min(api.requests[path_of(n)] for n in range(USERS)) >= 2


def test_one_failed_total_is_no_reason_to_request_everybody_but_several_are(
    made: tuple[Enterprise, Rig],
) -> None:
    api, polled = made
    polled.poll()
    api.failing.add(DAILY)
    before = api.asked(f"{DAILY}/users/")
    poll(polled)
    assert api.asked(f"{DAILY}/users/") - before <= USERS * INTERVAL // SWEEP + 1
    # One shows whether the API responds at all.
    assert api.asked(f"{DAILY}/service-users/") == 2
    for times in (1, 2):
        poll(polled)
        assert api.asked(f"{DAILY}/users/") - before >= times * USERS
    assert polled.scrape().one("devin_exporter_task_up", task="user_consumption") == 1


def test_only_a_poll_that_requested_everybody_says_how_long_one_takes(
    made: tuple[Enterprise, Rig],
) -> None:
    _, polled = made
    polled.poll()
    first = polled.store.states()["user_consumption"].outcome
    poll(polled)
    second = polled.store.states()["user_consumption"].outcome
    assert first is not None
    assert second is not None
    assert first.full_run == first.duration
    assert second.full_run == first.full_run


def test_whoever_left_with_use_in_the_previous_cycle_alone_still_explains_its_total(
    made: tuple[Enterprise, Rig],
) -> None:
    api, polled = made
    api.uses("user-3", 5.0, days_ago=17)
    polled.poll()
    api.gone.add("user-3")
    for _ in range(3):
        poll(polled, after=3_600)
    before = api.asked(f"{DAILY}/users/")
    poll(polled)
    assert api.asked(f"{DAILY}/users/") - before <= USERS * INTERVAL // SWEEP + 1
