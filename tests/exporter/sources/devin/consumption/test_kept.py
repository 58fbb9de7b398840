"""A copy of the ledgers that is taken while a poll goes on."""

import pytest

from exporter.scheduling.kept import Kept
from exporter.sources.devin.consumption import kept
from exporter.sources.devin.consumption.ledger import DailyUsage, EntityUsage, Ledger
from exporter.sources.devin.consumption.parts import Parts
from tests.support.rig import at

NOW = at("2026-03-20 15:30:00")
DAYS = range(100, 110)


def usage(acus: float, requested_at: float) -> EntityUsage:
    day = DailyUsage(104, acus, {"devin": acus})
    return EntityUsage.of([day], requested_at=requested_at, days=DAYS)


def parts_of(ledger: Ledger) -> list[Kept]:
    return list(kept.of_ledger("users", ledger, Parts((ledger,))))


@pytest.mark.parametrize("copied_before", range(4))
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
