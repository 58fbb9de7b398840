"""Closed days are requested again only in the sweep, and stay what the API says of them."""

from collections import defaultdict
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.sources.devin.billing.windows import billing_day, billing_day_start, day_number
from exporter.sources.devin.consumption.daily import CLOSED_DAYS_SHARE, days_to_request
from exporter.sources.devin.consumption.ledger import Ledger
from exporter.sources.devin.consumption.usage import DailyUsage, EntityUsage
from tests.exporter.sources.devin.consumption.enterprise import DAILY, Enterprise, enterprise
from tests.support.rig import Clock, Rig, at

FIRST = 20_500
TODAY = FIRST + 30
NOON = billing_day_start(TODAY) + 4 * 3_600
SWEEP = 21_600.0
INTERVAL = 300
USERS = 20
CYCLE = "devin_user_consumption_cycle_acus"


def days_at(now: float) -> range:
    return range(FIRST, day_number(billing_day(now).start) + 2)


def response(requested_at: float, days: range, **acus: float) -> EntityUsage:
    """A response with the ACUs of days, by their distance from `FIRST`."""
    uses = [DailyUsage(FIRST + int(day[1:]), each, {"devin": each}) for day, each in acus.items()]
    return EntityUsage.of(uses, requested_at=requested_at, days=days)


def needed(known: EntityUsage | None, *, now: float, changed_from: int = TODAY) -> range:
    return days_to_request(
        known, days=days_at(now), changed_from=changed_from, now=now, sweep_interval=SWEEP
    )


def test_the_day_before_the_one_that_ran_and_all_later_ones_are_requested_again() -> None:
    known = response(NOON, days_at(NOON))
    assert needed(known, now=NOON + 300) == range(TODAY - 1, TODAY + 2)
    after_eight = billing_day_start(TODAY + 1) + 60
    known = response(after_eight - 120, days_at(after_eight - 120))
    assert needed(known, now=after_eight) == range(TODAY - 1, TODAY + 3)


def test_a_change_of_a_closed_day_is_requested_with_all_later_days() -> None:
    known = response(NOON, days_at(NOON))
    changed = needed(known, now=NOON + 300, changed_from=TODAY - 9)
    assert changed == range(TODAY - 9, TODAY + 2)


@pytest.mark.parametrize(
    "known",
    [
        None,
        response(NOON + 301, days_at(NOON)),
        response(NOON, range(FIRST + 1, TODAY + 2)),
        response(NOON - CLOSED_DAYS_SHARE * SWEEP, days_at(NOON)),
    ],
    ids=["unknown", "from the future", "too few days", "swept long ago"],
)
def test_all_days_are_requested_of_whoever_may_lack_one(known: EntityUsage | None) -> None:
    assert needed(known, now=NOON + 300) == days_at(NOON)


def test_a_response_for_the_last_days_leaves_the_others_and_the_time_of_their_request() -> None:
    ledger = Ledger()
    ledger.record("ada", response(NOON, days_at(NOON), d1=1.0, d30=2.0))
    short = response(NOON + 300, range(TODAY - 1, TODAY + 2), d29=0.5, d30=3.0)
    before, after = ledger.record("ada", short, days=days_at(NOON))
    assert after.days == days_at(NOON)
    assert (after.requested_at, after.swept_at) == (NOON + 300, NOON)
    assert sorted(after.changes(before)) == [("devin", TODAY - 1, 0.5), ("devin", TODAY, 1.0)]
    assert after.acus("devin", range(FIRST, FIRST + 2)) == 1.0
    assert after.newest_day == TODAY
    _, swept = ledger.record("ada", response(NOON + 600, days_at(NOON)), days=days_at(NOON))
    assert swept.swept_at == NOON + 600


@pytest.mark.parametrize(
    ("known", "newest_day"),
    [({"d1": 1.0, "d30": 2.0}, FIRST + 1), ({"d3": 0.0}, FIRST + 3), ({}, None)],
)
def test_the_newest_day_is_a_closed_one_if_no_later_one_is_left(
    known: dict[str, float], newest_day: int | None
) -> None:
    ledger = Ledger()
    ledger.record("ada", response(NOON, days_at(NOON), **known))
    _, after = ledger.record(
        "ada", response(NOON + 300, range(TODAY - 1, TODAY + 2)), days=days_at(NOON)
    )
    assert after.newest_day == newest_day


def test_a_response_is_joined_to_what_was_recorded_while_it_was_on_its_way() -> None:
    ledger = Ledger()
    ledger.record("ada", response(NOON, days_at(NOON), d1=1.0))
    short = response(NOON + 300, range(TODAY - 1, TODAY + 2), d30=3.0)
    ledger.record("ada", response(NOON + 200, days_at(NOON), d1=5.0))
    _, after = ledger.record("ada", short, days=days_at(NOON))
    assert after.acus("devin", days_at(NOON)) == 8.0
    assert after.swept_at == NOON + 200


def test_a_response_without_its_closed_days_is_not_recorded() -> None:
    ledger = Ledger()
    short = response(NOON + 300, range(TODAY - 1, TODAY + 2), d30=3.0)
    before, after = ledger.record("ada", short, days=days_at(NOON))
    assert before == after
    assert ledger.accounts() == {}
    fewer = response(NOON, range(FIRST + 1, TODAY + 2))
    ledger.record("ada", fewer)
    assert ledger.record("ada", short, days=days_at(NOON)) == (fewer, fewer)


STEPS = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 60, 300, 3_600, 20_000, 86_400, 3 * 86_400]),
        st.lists(st.integers(0, 40), max_size=3),
        st.booleans(),
    ),
    max_size=12,
)


@given(STEPS, st.sampled_from([NOON, billing_day_start(TODAY) - 30.0]))
def test_joined_responses_say_what_one_for_all_days_would_say(
    history: list[tuple[int, list[int], bool]], now: float
) -> None:
    """Days that were open at the last request may change, and others if the total shows it."""
    ledger, truth = Ledger(), defaultdict[int, float](float)
    ran = changed_from = day_number(billing_day(now).start)
    for number, (pause, changes, is_polled) in enumerate(history):
        now += pause
        today = day_number(billing_day(now).start)
        for distance in changes:
            # In other calendars, the next day may have begun.
            day = max(FIRST, today + 1 - distance)
            truth[day] += 1.0 + number
            if day < ran - 1:
                changed_from = min(changed_from, day)
        if not is_polled and number:
            continue
        days = days_at(now)
        asked = days_to_request(
            ledger.accounts().get("ada"),
            days=days,
            changed_from=changed_from,
            now=now,
            sweep_interval=86_400.0,
        )
        uses = [DailyUsage(day, acus, {"devin": acus}) for day, acus in truth.items()]
        told = EntityUsage.of(uses, requested_at=now, days=asked)
        _, known = ledger.record("ada", told, days=days)
        whole = EntityUsage.of(uses, requested_at=now, days=days)
        assert known.days == days
        assert list(known.changes(whole)) == []
        assert now - known.swept_at <= CLOSED_DAYS_SHARE * 86_400.0
        ran = changed_from = today


@pytest.fixture
def clock() -> Clock:
    return Clock(at("2026-03-20 15:30:00"))


@pytest.fixture
def made(clock: Clock) -> Iterator[tuple[Enterprise, Rig]]:
    with enterprise(clock, users=USERS) as made:
        yield made


def poll(polled: Rig) -> None:
    polled.clock.now += INTERVAL
    polled.poll()


def cycle_of(polled: Rig, user: str) -> float | None:
    return polled.scrape().one(CYCLE, user_id=user, product="devin")


def test_whoever_moves_is_requested_for_the_last_days_and_everybody_for_all_in_the_sweep(
    made: tuple[Enterprise, Rig],
) -> None:
    api, polled = made
    api.uses("user-7", 2.0, days_ago=9)
    polled.poll()
    for _ in range(6):
        api.uses("user-7", 1.0)
        api.session_of("user-7")
        poll(polled)
    # A day more, as bounds may be inclusive or not.
    assert set(api.first_days[f"{DAILY}/users/user-7"][1:]) == {api.today - 2}
    assert cycle_of(polled, "user-7") == 8.0
    swept = [first for n in range(USERS) for first in api.first_days[f"{DAILY}/users/user-{n}"][1:]]
    assert min(swept) == min(api.first_days[DAILY])
    assert set(api.first_days[DAILY]) == {min(swept)}


def test_a_restated_day_of_whoever_moves_is_found_by_the_next_search(
    made: tuple[Enterprise, Rig],
) -> None:
    api, polled = made
    api.uses("user-7", 2.0, days_ago=9)
    polled.poll()
    api.uses("user-7", -0.5, days_ago=9)
    api.uses("user-7", 1.0)
    api.session_of("user-7")
    poll(polled)
    assert cycle_of(polled, "user-7") == 2.5


def test_restatements_that_cancel_each_other_out_are_found_within_the_sweep(
    made: tuple[Enterprise, Rig],
) -> None:
    api, polled = made
    for user in ("user-6", "user-7"):
        api.uses(user, 2.0, days_ago=9)
    polled.poll()
    api.uses("user-6", 0.5, days_ago=9)
    api.uses("user-7", -0.5, days_ago=9)
    polls = int(SWEEP // INTERVAL)
    for _ in range(polls):
        for user in ("user-6", "user-7"):
            api.uses(user, 1.0)
            api.session_of(user)
        poll(polled)
    assert cycle_of(polled, "user-6") == 2.5 + polls
    assert cycle_of(polled, "user-7") == 1.5 + polls
