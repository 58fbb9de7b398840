"""What of the ledger is fresh, asked again and again, against one that is asked once."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.sources.devin.consumption.ledger import Ledger
from exporter.sources.devin.consumption.usage import DailyUsage, EntityUsage
from tests.support.rig import at

NOON = at("2026-03-20 12:00:00")
DAYS = range(20_500, 20_540)
MAX_AGE = 900.0
WHO = st.sampled_from(["a", "b", "c"])
WHEN = st.integers(-40, 40).map(lambda minutes: NOON + 60.0 * minutes)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("record"), WHO, WHEN, st.integers(0, 2)),
        st.tuples(st.just("note"), WHO, WHEN),
        st.tuples(st.just("retain"), st.sets(WHO)),
        st.tuples(st.just("confirmed"), WHEN),
        st.tuples(st.just("searched"), WHEN),
        st.tuples(st.just("longest"), st.sampled_from([0.0, 600.0, 7_200.0])),
        st.tuples(st.just("ask"), WHEN),
        st.tuples(st.just("ask"), WHEN),
    ),
    max_size=25,
)


def usage(moment: float, acus: int) -> EntityUsage:
    uses = [DailyUsage(20_510, acus, {"devin": acus})] if acus else []
    return EntityUsage.of(uses, requested_at=moment, days=DAYS)


def play(ledger: Ledger, step: tuple[object, ...]) -> None:
    """One change."""
    match step:
        case "record", str(who), float(moment), int(acus):
            ledger.record(who, usage(moment, acus))
        case "note", str(who), float(moment):
            ledger.attempts.note(who, moment)
        case "retain", set(who):
            ledger.retain(map(str, who))
        case "confirmed", float(moment):
            ledger.confirmed_at = moment
        case "searched", float(moment):
            ledger.searched(moment, longest_gap=1_800.0)
        case "longest", float(age):
            ledger.longest_age = age


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_what_is_fresh_does_not_depend_on_what_was_asked_before(
    steps: list[tuple[object, ...]],
) -> None:
    ledger = Ledger()
    for number, step in enumerate(steps):
        play(ledger, step)
        if step[0] == "ask":
            now = float(str(step[1]))
            anew = Ledger()
            for earlier in steps[:number]:
                play(anew, earlier)
            found, expected = ledger.published(now, MAX_AGE), anew.published(now, MAX_AGE)
            assert found.accounts == expected.accounts
            assert found.expires == expected.expires
            assert ledger.products() == anew.products()


def test_as_long_as_nothing_changes_it_is_the_same_object() -> None:
    ledger = Ledger()
    ledger.record("a", usage(NOON, 1))
    first = ledger.published(NOON + 1, MAX_AGE)
    assert ledger.published(NOON + 60, MAX_AGE) is first
    ledger.attempts.note("a", NOON + 61)
    assert ledger.published(NOON + 62, MAX_AGE).accounts == first.accounts
    assert ledger.published(NOON + MAX_AGE, MAX_AGE).accounts == {}
    assert ledger.published(NOON + MAX_AGE, MAX_AGE).expires == math.inf


def test_a_response_that_repeats_the_figures_keeps_them_and_takes_the_new_time() -> None:
    ledger = Ledger()
    ledger.record("a", usage(NOON, 1))
    ledger.record("a", usage(NOON + 60, 1))
    ledger.record("b", usage(NOON, 1))
    known = ledger.accounts()
    assert known["a"].requested_at == NOON + 60
    before = known["b"].products
    ledger.record("b", usage(NOON + 60, 1))
    assert ledger.accounts()["b"].products is before
    ledger.record("b", usage(NOON + 120, 2))
    assert ledger.accounts()["b"].products is not before
