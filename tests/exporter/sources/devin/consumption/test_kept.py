"""What is kept of a ledger across a restart."""

import pytest

from exporter.scheduling.kept import Kept
from exporter.sources.devin.consumption import kept
from exporter.sources.devin.consumption.ledger import Ledger
from exporter.sources.devin.consumption.parts import Parts
from exporter.sources.devin.consumption.usage import DailyUsage, EntityUsage
from tests.support.rig import at

NOW = at("2026-03-20 15:30:00")
NOON = at("2026-03-20 12:00:00")
LONGEST_AGE = 21_600.0
MAX_AGE = 900.0
DAYS = range(20_500, 20_510)


def restarted(ledger: Ledger) -> Ledger:
    """The ledger of the next process."""
    after = Ledger(longest_age=LONGEST_AGE)
    for old, new in zip(
        kept.of_ledger("it", ledger, None), kept.of_ledger("it", after, None), strict=True
    ):
        assert old.name == new.name
        new.restore({key: entry.encode() for key, entry in old.entries().items()})
    return after


def response(*, after: float = 0.0) -> EntityUsage:
    return EntityUsage.of([], requested_at=NOON + after, days=DAYS)


def test_a_user_whose_figure_expired_by_failures_stays_absent_after_a_restart() -> None:
    ledger = Ledger(longest_age=LONGEST_AGE)
    for user in ("ada", "bob"):
        ledger.record(user, response())
        ledger.attempts.note(user, NOON)
    before = {part.name: part.entries() for part in kept.of_ledger("it", ledger, None)}
    ledger.attempts.note("ada", NOON + 300)
    for after in (300, 600, 900):
        ledger.searched(NOON + after, longest_gap=MAX_AGE)
    assert ledger.fresh(NOON + 1_000, MAX_AGE).keys() == {"bob"}
    now_kept = {part.name: part.entries() for part in kept.of_ledger("it", ledger, None)}
    assert now_kept["it"]["ada"].version != before["it"]["ada"].version
    assert now_kept["it"]["bob"].version == before["it"]["bob"].version
    after_restart = restarted(ledger)
    assert after_restart.failing() == ["ada"]
    assert after_restart.fresh(NOON + 1_000, MAX_AGE).keys() == {"bob"}
    assert after_restart.missing(NOON + 1_000, MAX_AGE) == {"ada"}


def test_whoever_could_never_be_read_is_still_missing_after_a_restart() -> None:
    ledger = Ledger(longest_age=LONGEST_AGE)
    ledger.attempts.note("ada", NOON)
    after_restart = restarted(ledger)
    assert after_restart.failing() == ["ada"]
    assert after_restart.missing(NOON, MAX_AGE) == {"ada"}


def test_an_older_response_that_arrives_after_a_later_failure_does_not_hide_it() -> None:
    ledger = Ledger(longest_age=LONGEST_AGE)
    ledger.attempts.note("ada", NOON + 60, now=NOON + 90)
    ledger.record("ada", response(), now=NOON + 90)
    ledger.attempts.note("ada", NOON, now=NOON + 90)
    assert ledger.failing() == ["ada"]
    # The clock was ahead, and is right again.
    ledger.attempts.note("ada", NOON + 30, now=NOON + 31)
    assert ledger.attempts.last("ada") == NOON + 30


def test_closed_days_of_an_older_request_stay_such_after_a_restart() -> None:
    ledger = Ledger(longest_age=LONGEST_AGE)
    ledger.record("ada", response())
    newest = EntityUsage.of([], requested_at=NOON + 300, days=DAYS[-3:])
    ledger.record("ada", newest, days=DAYS)
    account = restarted(ledger).accounts()["ada"]
    assert (account.requested_at, account.swept_at) == (NOON + 300, NOON)
    assert account == ledger.accounts()["ada"]


def usage(acus: float, requested_at: float) -> EntityUsage:
    day = DailyUsage(DAYS.start + 4, acus, {"devin": acus})
    return EntityUsage.of([day], requested_at=requested_at, days=DAYS)


def parts_of(ledger: Ledger) -> list[Kept]:
    return list(kept.of_ledger("users", ledger, Parts((ledger,))))


@pytest.mark.parametrize("copied_before", range(5))
def test_no_response_of_before_a_poll_is_kept_as_confirmed_by_it(copied_before: int) -> None:
    ledger = Ledger()
    ledger.record("user", usage(1.0, NOW))
    ledger.confirmed_at = NOW
    copies: dict[str, dict[str, bytes]] = {}
    for number, part in enumerate(parts_of(ledger)):
        if number == copied_before:
            ledger.record("user", usage(2.0, NOW + 60))
            ledger.confirmed_at = NOW + 60
        copies[part.name] = {key: entry.encode() for key, entry in part.entries().items()}
    again = Ledger()
    for part in parts_of(again):
        part.restore(copies[part.name])
    is_newer = again.accounts()["user"].products["devin"][4] == 2.0
    assert is_newer or again.confirmed_at == NOW
