"""The parts of a total: which of them may have moved, and whose turn in the sweep it is. Pure."""

import math
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from exporter.scheduling.task import Progress
from exporter.sources.devin.billing.windows import BillingWindows, day_number
from exporter.sources.devin.consumption.difference import Cell, Difference
from exporter.sources.devin.consumption.ledger import Ledger
from exporter.sources.devin.consumption.usage import EntityUsage

SESSIONS_LATE_SECONDS = 180.0
"""How long after a session has changed the list of sessions may show it."""

SIGN_RESOLUTION_SECONDS = 1.0
"""Signs are dated in whole seconds, rounded down."""

RECENT_DAYS = 7

SHARE_PER_POLL, LEAST_PER_POLL = 0.0005, 2.0
SHARE_AT_ONCE, LEAST_AT_ONCE = 0.005, 16.0
"""Requests without any sign of use that may find nothing: what each poll adds, and the most of one
poll. Each is a share of all parts, at least so many."""

ROUNDING = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One part of a total: an organization, a user or a service user, in its ledger."""

    ledger: Ledger
    entity: str

    def __str__(self) -> str:
        """Its id."""
        return self.entity


@dataclass(frozen=True, slots=True)
class Candidates:
    """The parts that may explain what is left of a difference, the most likely first.

    Attributes:
        likely: those that moved before or may have; all are requested while anything is left.
        others: all others; requested while some of them have moved (see `Parts.allowance`).
    """

    likely: Sequence[Part]
    others: Sequence[Part]


@dataclass(slots=True)
class Parts:
    """The ledgers whose entities should add up to a total.

    Attributes:
        may_lack_one: whether a list of the parts has a row that cannot be read.
        some_products: whether only some products are split to these parts.
        comparing: held while the parts are compared and requested, so that no two polls look for
            the same difference.
        total_known: whether the total could be read at the last attempt.
        accepted: differences on closed days that belong to no part: after they had been seen,
            every part was requested, and the total of that day is still the same.
        round_total: the total with which the present round of requests to every part began.
        allowance: how many requests without any sign of use may find nothing.
    """

    ledgers: tuple[Ledger, ...]
    may_lack_one: Callable[[], bool] = lambda: False
    some_products: bool = False
    comparing: threading.RLock = field(default_factory=threading.RLock)
    total_known: bool = False
    accepted: dict[Cell, float] = field(default_factory=dict)
    allowance: float = math.inf
    round_total: EntityUsage | None = None

    @property
    def compared_at(self) -> float:
        """When the parts were last compared with a total (Unix seconds)."""
        return min(ledger.compared_at for ledger in self.ledgers)

    @property
    def searched_at(self) -> float:
        """The last total after which all who were likely to have moved were requested."""
        return min(ledger.searched_at for ledger in self.ledgers)

    @property
    def round_began(self) -> float:
        """Since when every part is being requested once more (Unix seconds)."""
        return -math.inf if self.round_total is None else self.round_total.requested_at

    def begin(self, total: EntityUsage) -> None:
        """Begin the first round of requests to every part, if none has begun."""
        if self.round_total is None or self.round_total.requested_at > total.requested_at:
            self.round_total = total

    def compare(self, total: EntityUsage, windows: BillingWindows) -> Difference:
        """Compare all parts with the total."""
        days = range(
            max(total.days.start, day_number(windows.earliest)),
            max(total.days.stop, day_number(windows.earliest)),
        )
        today = day_number(windows.today.start)
        parts = [part for ledger in self.ledgers for part in ledger.accounts().values()]

        def difference() -> Difference:
            return Difference.of(
                total,
                parts,
                days=days,
                open_from=today - 1,
                accepted=self.accepted,
                some_products=self.some_products,
            )

        found = difference()
        self.begin(total)
        if self.round_total is not None and self._requested_since(
            self.round_total.requested_at, parts
        ):
            self._accept(found, self.round_total, total, before=today)
            self.round_total = total
            found = difference()
        for ledger in self.ledgers:
            ledger.compared_at = total.requested_at
        return found

    def _requested_since(self, moment: float, parts: Iterable[EntityUsage]) -> bool:
        if self.may_lack_one():
            # A difference may be the use of whoever is in that row.
            return False
        everyone = all(part.swept_at >= moment for part in parts)
        return everyone and not any(ledger.failing() for ledger in self.ledgers)

    def _accept(
        self, found: Difference, before_round: EntityUsage, total: EntityUsage, *, before: int
    ) -> None:
        accepted: dict[Cell, float] = {}
        for cell, left in found.left.items():
            product, day = cell
            known = self.accepted.get(cell, 0.0)
            day_alone = range(day, day + 1)
            unchanged = before_round.acus(product, day_alone) == total.acus(product, day_alone)
            if day < before and unchanged:
                known += left
            if abs(known) > found.tolerances[cell]:
                accepted[cell] = known
        compared = {product for product, _ in found.left}
        never_split = {
            (product, day): acus
            for (product, day), acus in self.accepted.items()
            if product not in compared
        }
        self.accepted = {**never_split, **accepted}

    def conclude(
        self, difference: Difference, total: EntityUsage, *, finished: bool, longest_gap: float
    ) -> None:
        """Note what the search proves of those who were not requested.

        Args:
            finished: whether the search found everything or ended in vain; it may also have been
                late, or the API may have failed.
            longest_gap: seconds between two finished searches within which nothing can expire.
        """
        if not (finished or difference.explained):
            return
        for ledger in self.ledgers:
            ledger.searched(total.requested_at, longest_gap=longest_gap)
            if difference.explained:
                ledger.confirmed_at = total.requested_at

    def allow_more(self) -> None:
        """Add to the allowance what one more poll may request without any sign of use."""
        size = sum(len(ledger.accounts()) for ledger in self.ledgers)
        more = max(LEAST_PER_POLL, SHARE_PER_POLL * size)
        self.allowance = min(self.allowance + more, max(LEAST_AT_ONCE, SHARE_AT_ONCE * size))

    def with_sign(self, total: EntityUsage, signs: Mapping[str, float]) -> list[Part]:
        """The parts with a sign of use since their last request, the least recent request first.

        Args:
            signs: when there was last a sign of use of each entity (Unix seconds).
        """
        return _in_order(
            (account.requested_at, part.entity, part)
            for part, account, _ in self._to_request(total)
            if signs.get(part.entity, -math.inf) + SIGN_RESOLUTION_SECONDS > account.requested_at
        )

    def without_sign(
        self,
        difference: Difference,
        total: EntityUsage,
        *,
        since: float,
        unfinished: bool,
        signs: Mapping[str, float],
    ) -> Candidates:
        """The parts not requested since the total, those first who may have used what is left.

        They are those who used something on a closed day on which something is left to find, then
        those who have used the products of what is left in the last days, then the others. Among
        them, users of the product with the fewest users come first.

        Args:
            since: when a search was last finished (Unix seconds).
            unfinished: whether there was a search since then that was not finished.
            signs: when there was last a sign of use of each entity, some of which may show late.
        """
        unexplained = difference.unexplained()
        closed = [cell for cell in unexplained if cell[1] < difference.open_from]
        left = {product for product, _ in unexplained}
        today = day_number(total.requested_at)
        recent = range(today - RECENT_DAYS, today + 1)
        parts = [
            (part, account, moved_at, _products_of(account, recent))
            for part, account, moved_at in self._to_request(total)
        ]
        users = Counter(product for *_, used in parts for product in used & left)
        likely: list[tuple[bool, bool, float, float, str, Part]] = []
        others: list[tuple[bool, bool, float, float, str, Part]] = []
        for part, account, moved_at, used in parts:
            rarest = min((users[product] for product in used & left), default=math.inf)
            touched = any(account.acus(p, range(day, day + 1)) for p, day in closed)
            again = unfinished and account.requested_at >= since
            key = (not touched, again, rarest)
            shown = signs.get(part.entity, -math.inf) + SESSIONS_LATE_SECONDS
            may_have_moved = max(moved_at, shown) >= since
            if may_have_moved and (used & left or not used):
                likely.append((*key, -moved_at, part.entity, part))
            else:
                others.append((*key, account.requested_at, part.entity, part))
        return Candidates(_in_order(likely), _in_order(others))

    def _to_request(self, total: EntityUsage) -> Iterator[tuple[Part, EntityUsage, float]]:
        """Those not requested since the total who did not fail, and when each has last moved."""
        for ledger in self.ledgers:
            moved, failing = ledger.moved(), frozenset(ledger.failing())
            for entity, account in ledger.accounts().items():
                if account.requested_at < total.requested_at and entity not in failing:
                    yield Part(ledger, entity), account, moved.get(entity, -math.inf)


def _products_of(account: EntityUsage, days: range) -> AbstractSet[str]:
    return {product for product in account.products if account.acus(product, days)}


def _in_order(found: Iterable[tuple[*tuple[bool | float | str, ...], Part]]) -> list[Part]:
    return [part for *_, part in sorted(found, key=lambda entry: entry[:-1])]


def in_turn(ledger: Ledger, now: float, *, interval: float) -> list[str]:
    """Those whose turn it is, so that everybody is swept within an interval (seconds).

    The turns are evenly spread: at any time, a tenth of all may be in the last tenth of the
    interval, and so on. Whoever was requested for all days for another reason has had their turn.
    """
    accounts = ledger.accounts()
    ordered = sorted(accounts, key=lambda entity: (accounts[entity].swept_at, entity))
    needed = 0.0
    for place, entity in enumerate(ordered):
        age = min(now - accounts[entity].swept_at, interval)
        needed = max(needed, place + 1 - len(ordered) * (1 - age / interval))
    # Rounded down, as whoever was requested a fraction too early would move up all others.
    return ordered[: math.floor(needed + ROUNDING)]


def progress(
    ledger: Ledger,
    entities: AbstractSet[str],
    *,
    began: float,
    interval: float,
    per_second: float,
) -> Progress:
    """How far the round that began at a moment has come.

    Args:
        entities: all that are listed.
        began: Unix seconds.
        interval: seconds within which everybody is requested, after the first round.
        per_second: requests that may be sent, in the first round.
    """
    accounts = ledger.accounts()
    unknown = len(entities - accounts.keys())
    total = len(entities | accounts.keys())
    done = sum(account.swept_at >= began for account in accounts.values())
    remaining = unknown / per_second if unknown else interval * (total - done) / max(total, 1)
    return Progress(done, total, remaining, first=unknown > 0)
