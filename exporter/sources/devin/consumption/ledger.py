"""Consumption by entity, billing day and product. Pure: no I/O and no clock of its own.

An entity is the enterprise, an organization, a user or a service user. Each good response replaces
all days that it was requested for, so a restated day takes its new value. It is stored with the
time of its request, which decides the windows that it covers (see `windows.Window.covers`).
"""

import math
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from exporter.client.fan_out import Attempts
from exporter.client.response import CLOCK_STEP_SECONDS, is_fresh
from exporter.sources.devin.billing.windows import Window
from exporter.sources.devin.consumption.usage import EntityUsage


@dataclass(frozen=True, slots=True, eq=False)
class Fresh:
    """The usage by entity that is young enough to be published.

    Attributes:
        expires: when the first of it becomes too old (Unix seconds).
    """

    accounts: dict[str, EntityUsage]
    expires: float


@dataclass(slots=True, eq=False)
class Ledger:
    """The usage of all entities of one kind. Safe to use from several threads.

    Attributes:
        longest_age: seconds for which a total may vouch for a response; 0 if none does.
        compared_at: Unix seconds of the last total that the responses were compared with.
        searched_at: Unix seconds of the last total after which whoever was likely to have moved
            was requested.
        searched_since: Unix seconds of the first of these totals without a long gap since.
        confirmed_at: Unix seconds of the last total that proves all responses up to date.
        used: whether any entity has ever used any ACU.
    """

    longest_age: float = 0.0
    compared_at: float = -math.inf
    searched_at: float = -math.inf
    searched_since: float = -math.inf
    confirmed_at: float = -math.inf
    attempts: Attempts = field(default_factory=Attempts)
    used: bool = False
    _accounts: dict[str, EntityUsage] = field(default_factory=dict)
    _moved: dict[str, float] = field(default_factory=dict)
    _version: int = 0
    _fresh: tuple[tuple[float, ...], float, Fresh] | None = None
    _products: tuple[int, frozenset[str]] = (0, frozenset())
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def record(
        self,
        entity: str,
        account: EntityUsage,
        *,
        days: range | None = None,
        now: float = math.inf,
    ) -> tuple[EntityUsage | None, EntityUsage]:
        """Replace the usage of an entity, unless that of a later request is known.

        Args:
            days: all days that are to be known; those that the response was not requested for stay
                as they are known. By default, it is for all.
            now: Unix seconds; what is known from later than that is replaced.

        Returns:
            What was known before, and what is known now.
        """
        with self._lock:
            before = self._accounts.get(entity)
            if before is not None and account.requested_at < before.requested_at <= now:
                return before, before
            if days is not None and days != account.days:
                closed = range(days.start, account.days.start)
                if before is None or not before.knows(closed):
                    # They were forgotten meanwhile. The next request is for all days.
                    return before or account, before or account
                account = account.with_closed_days(before, closed)
            if before is not None and (before.days, before.products) == (
                account.days,
                account.products,
            ):
                # The same object says to all that is derived from it that nothing has moved.
                account = replace(account, products=before.products)
            self._accounts[entity] = account
            self._version += 1
            self.used = self.used or any(any(column) for column in account.products.values())
            if before is not None and next(account.changes(before), None) is not None:
                self._moved[entity] = account.requested_at
        return before, account

    def restore(
        self,
        accounts: Mapping[str, EntityUsage],
        moved: Mapping[str, float],
        attempted: Mapping[str, float],
    ) -> None:
        """Take over what an earlier process knew.

        Args:
            moved: when the usage of each entity was last seen to change (Unix seconds).
            attempted: when each entity was last requested, if not by its last good response.
        """
        for entity, account in accounts.items():
            self.record(entity, account)
            self.attempts.note(entity, account.requested_at)
        for entity, ended in attempted.items():
            self.attempts.note(entity, ended)
        with self._lock:
            self._moved = dict(moved)

    def retain(self, entities: Iterable[str]) -> None:
        """Forget all other entities."""
        kept = frozenset(entities)
        with self._lock:
            self._accounts = {e: a for e, a in self._accounts.items() if e in kept}
            self._moved = {e: at for e, at in self._moved.items() if e in kept}
            self._version += 1
        self.attempts.retain(kept)

    def with_use(self, windows: Iterable[Window]) -> frozenset[str]:
        """The entities with any use in one of the windows, by their last responses."""
        requested = tuple(windows)
        return frozenset(
            entity
            for entity, account in self.accounts().items()
            if any(any(account.total(window).values()) for window in requested)
        )

    def accounts(self) -> dict[str, EntityUsage]:
        """The current usage by entity."""
        with self._lock:
            return dict(self._accounts)

    def moved(self) -> dict[str, float]:
        """When the usage of each entity was last seen to change (Unix seconds)."""
        with self._lock:
            return dict(self._moved)

    def fresh(self, now: float, max_age: float) -> dict[str, EntityUsage]:
        """The usage by entity: from fresh responses, and from those that a fresh total covers."""
        return self.published(now, max_age).accounts

    def expires(self, now: float, max_age: float) -> float:
        """When the first of the fresh responses becomes too old (Unix seconds)."""
        return self.published(now, max_age).expires

    def published(self, now: float, max_age: float) -> Fresh:
        """What is fresh at a moment; the same object as long as nothing of it changes."""
        known: tuple[float, ...] = (
            *(self._version, self.attempts.version, self.longest_age, max_age),
            *(self.confirmed_at, self.searched_at, self.searched_since),
        )
        last = self._fresh
        if last is not None and last[0] == known and last[1] <= now < last[2].expires:
            return last[2]
        found = self._published(now, max_age)
        if not self._has_future(now):
            self._fresh = known, now, found
        return found

    def _published(self, now: float, max_age: float) -> Fresh:
        expires = math.inf
        accounts: dict[str, EntityUsage] = {}
        for entity, account, expiry in self._expiries(now, max_age):
            if expiry > now:
                expires = min(expires, expiry)
                accounts[entity] = self._confirmed(account, now)
        return Fresh(accounts, expires)

    def _has_future(self, now: float) -> bool:
        """Whether a response or a total is dated later than now, so that time makes it valid."""
        sent = (account.requested_at for account in self.accounts().values())
        return max((self.confirmed_at, self.searched_at, *sent)) > now

    def missing(self, now: float, max_age: float) -> frozenset[str]:
        """Entities that were requested and have no fresh response."""
        return self.attempts.entities() - self.fresh(now, max_age).keys()

    def not_final(self, windows: Sequence[Window], now: float) -> list[str]:
        """Entities whose usage in one of the windows is not known at `now`."""
        return [
            entity
            for entity, account in self.accounts().items()
            if account.requested_at > now + CLOCK_STEP_SECONDS
            or not all(self._confirmed(account, now).is_final_at(each, now) for each in windows)
        ]

    def failing(self) -> list[str]:
        """Entities whose last request has failed."""
        accounts, ended = self.accounts(), self.attempts.ended()
        return [
            entity
            for entity, at in ended.items()
            if entity not in accounts or at > accounts[entity].requested_at
        ]

    def searched(self, at: float, *, longest_gap: float) -> None:
        """Record that whoever was likely to have moved before a total has been requested.

        Args:
            at: Unix seconds of the total.
            longest_gap: seconds after the one before within which nothing can have expired.
        """
        if not 0 <= at - self.searched_at <= longest_gap:
            self.searched_since = at
        self.searched_at = at

    def expiring(self, by: float, max_age: float, *, now: float) -> list[str]:
        """Entities whose usage is too old at a moment (Unix seconds), or is already."""
        return [entity for entity, _, expiry in self._expiries(now, max_age) if expiry <= by]

    def products(self) -> frozenset[str]:
        """The products of all entities."""
        version, products = self._products
        if version != self._version:
            version = self._version
            products = frozenset[str]().union(*(each.products for each in self.accounts().values()))
            self._products = version, products
        return products

    def _confirmed(self, account: EntityUsage, now: float) -> EntityUsage:
        if not account.requested_at < self.confirmed_at <= now + CLOCK_STEP_SECONDS:
            return account
        return replace(account, confirmed_at=self.confirmed_at)

    def _expiries(self, now: float, max_age: float) -> Iterator[tuple[str, EntityUsage, float]]:
        """When each response becomes too old (Unix seconds); -inf for one from the future."""
        ended = self.attempts.ended()
        confirmed, searched = (
            self._unless_future(moment, now) for moment in (self.confirmed_at, self.searched_at)
        )
        for entity, account in self.accounts().items():
            sent = account.requested_at
            known = max(sent, confirmed)
            failed = ended.get(entity, -math.inf) > sent
            # What had expired before the searches began again is not published by them.
            if not failed and known + max_age > self.searched_since:
                known = max(known, searched)
            valid = max(sent, min(known, account.swept_at + self.longest_age))
            yield entity, account, (valid + max_age if is_fresh(sent, now, math.inf) else -math.inf)

    @staticmethod
    def _unless_future(moment: float, now: float) -> float:
        return moment if is_fresh(moment, now, math.inf) else -math.inf
