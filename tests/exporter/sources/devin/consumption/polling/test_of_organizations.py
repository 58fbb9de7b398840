"""When a poll looks for the organizations whose ACUs have changed."""

from collections.abc import Iterator

import pytest

from exporter.sources.devin.consumption.polling import MOST_AT_EACH_POLL
from tests.exporter.sources.devin.consumption.enterprise import DAILY, Enterprise, enterprise
from tests.support.rig import Clock, Rig, at

INTERVAL = 300
TASKS = (
    "identity",
    "cycles",
    "organizations",
    "users",
    "service_users",
    "enterprise_consumption",
    "organization_consumption",
)
ORGANIZATIONS = f"{DAILY}/organizations/"
MANY = MOST_AT_EACH_POLL + 1


@pytest.fixture
def clock() -> Clock:
    return Clock(at("2026-03-20 15:30:00"))


@pytest.fixture
def many(clock: Clock) -> Iterator[tuple[Enterprise, Rig]]:
    """More organizations than each poll looks for, after the first poll."""
    with enterprise(clock, users=MANY, organizations=MANY, concurrency="1") as (api, polled):
        polled.poll(*TASKS)
        yield api, polled


def poll(made: tuple[Enterprise, Rig], *, after: float = INTERVAL) -> tuple[float | None, int]:
    """Poll; returns what the second organization has used, and the requests for organizations."""
    api, polled = made
    polled.clock.now += after
    before = api.asked(ORGANIZATIONS)
    polled.poll(*TASKS)
    shown = polled.scrape().one(
        "devin_organization_consumption_cycle_acus", org_id="org-1", product="devin"
    )
    return shown, api.asked(ORGANIZATIONS) - before


def test_of_few_organizations_each_poll_finds_what_has_changed(clock: Clock) -> None:
    few = MOST_AT_EACH_POLL
    with enterprise(clock, users=few, organizations=few, concurrency="1") as made:
        made[1].poll(*TASKS)
        made[0].uses("user-1", 1.0)
        poll(made)
        for used in (2.0, 3.0, 4.0):
            made[0].uses("user-1", 1.0)
            assert poll(made) == (used, 1)


def test_of_many_organizations_every_second_poll_finds_what_has_changed(
    many: tuple[Enterprise, Rig],
) -> None:
    seen = []
    for _ in range(6):
        many[0].uses("user-1", 1.0)
        seen.append(poll(many))
    # The first search has to try another one before.
    assert seen == [(0.0, 0), (2.0, 2), (2.0, 0), (4.0, 1), (4.0, 0), (6.0, 1)]


@pytest.mark.parametrize("late", [0.95, 1.05])
def test_organizations_stay_published_while_only_every_second_poll_looks_for_changes(
    many: tuple[Enterprise, Rig], *, late: float
) -> None:
    asked = 0
    for _ in range(24):
        many[0].uses("user-1", 1.0)
        asked += poll(many, after=INTERVAL * late)[1]
        scrape = many[1].scrape()
        family = scrape.family("devin_organization_consumption_cycle_acus")
        assert len({dict(labels)["org_id"] for labels in family}) == MANY
        assert scrape.one("devin_exporter_task_up", task="organization_consumption") == 1
    # Twelve searches find one organization each; one more is tried, and three have their turn.
    assert asked <= 12 + 1 + 3


def test_what_a_failed_total_hides_is_requested_before_figures_expire(
    many: tuple[Enterprise, Rig],
) -> None:
    many[0].uses("user-3", 1.0)
    assert poll(many) == (0.0, 0)
    many[0].uses("user-1", 1.0)
    many[0].failing.add(DAILY)
    assert poll(many) == (1.0, MANY)
    many[0].failing.clear()
    many[0].uses("user-1", 1.0)
    assert poll(many) == (2.0, 1)


def test_a_search_that_the_api_has_ended_goes_on_at_the_next_poll(
    many: tuple[Enterprise, Rig],
) -> None:
    api, polled = many
    poll(many)
    api.uses("user-1", 1.0)
    api.failing.add(f"{ORGANIZATIONS}org-1")
    api.status = 500
    poll(many)
    api.failing.clear()
    api.uses("user-2", 1.0)
    poll(many)
    shown = polled.scrape().family("devin_organization_consumption_cycle_acus")
    assert {dict(labels)["org_id"]: acus for labels, acus in shown.items() if acus} == {
        "org-1": 1.0,
        "org-2": 1.0,
    }


def test_after_eight_the_next_poll_shows_yesterday(many: tuple[Enterprise, Rig]) -> None:
    api, polled = many
    polled.clock.now = at("2026-03-21 07:53:00")
    poll(many)
    api.uses("user-1", 1.0)
    assert poll(many, after=90) == (0.0, 0)
    polled.clock.now = at("2026-03-21 08:00:05")
    assert poll(many, after=0) == (1.0, 2)
    shown = polled.scrape().family("devin_organization_consumption_yesterday_acus")
    assert {dict(labels)["org_id"]: acus for labels, acus in shown.items() if acus} == {
        "org-1": 1.0
    }
    assert len({dict(labels)["org_id"] for labels in shown}) == MANY


def test_an_organization_that_fails_does_not_let_each_poll_look_for_changes(
    many: tuple[Enterprise, Rig],
) -> None:
    api, polled = many
    api.failing.add(f"{ORGANIZATIONS}org-2")
    api.uses("user-2", 1.0)
    polled.clock.now = at("2026-03-21 08:00:05")
    poll(many, after=0)
    asked = []
    for _ in range(6):
        api.uses("user-1", 1.0)
        asked.append(poll(many)[1])
    # Each poll tries the one that fails.
    assert asked[::2] == [1, 1, 1]
    assert min(asked[1::2]) > 1
