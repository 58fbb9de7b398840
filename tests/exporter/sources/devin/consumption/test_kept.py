"""What is kept of a ledger across a restart."""

from exporter.sources.devin.consumption.kept import of_ledger
from exporter.sources.devin.consumption.ledger import EntityUsage, Ledger
from tests.support.rig import at

NOON = at("2026-03-20 12:00:00")
LONGEST_AGE = 21_600.0
MAX_AGE = 900.0
DAYS = range(20_500, 20_510)


def restarted(ledger: Ledger) -> Ledger:
    """The ledger of the next process."""
    after = Ledger(longest_age=LONGEST_AGE)
    for old, new in zip(of_ledger("it", ledger, None), of_ledger("it", after, None), strict=True):
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
    before = {part.name: part.entries() for part in of_ledger("it", ledger, None)}
    ledger.attempts.note("ada", NOON + 300)
    for after in (300, 600, 900):
        ledger.searched(NOON + after, longest_gap=MAX_AGE)
    assert ledger.fresh(NOON + 1_000, MAX_AGE).keys() == {"bob"}
    now_kept = {part.name: part.entries() for part in of_ledger("it", ledger, None)}
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
