"""Polls the parts of a total: those that may have moved first, then those whose turn it is.

What the parts explain of the total's change is not looked for any further. What they do not explain
is carried over to the next poll, and the sweep finds it at the latest.
"""

import threading
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from exporter.client.fan_out import for_each_entity
from exporter.client.rate_limit import Priority
from exporter.errors import KeyRefusedError, PartialError, PollError, StoppedError
from exporter.sources.devin.billing.windows import BillingWindows, Window
from exporter.sources.devin.consumption.difference import Difference
from exporter.sources.devin.consumption.ledger import EntityUsage, Ledger
from exporter.sources.devin.consumption.parts import (
    SESSIONS_LATE_SECONDS,
    Part,
    Parts,
    in_turn,
)

SHARE_OF_INTERVAL = 0.8
"""Share of an interval for which a poll looks for changes, so that the next one is not late."""

COMPARED_INTERVALS = 2
"""Whoever leaves the comparison to another poll does so only while that is not older."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """What a poll needs of the outside.

    Attributes:
        total: returns a recent total that is newer than a moment (Unix seconds), requested if
            need be; raises `PollError`.
        request: requests a part and records it; returns what was known before and now; raises
            `PollError`.
        seen_since: entities with a sign of use since a moment (Unix seconds).
        windows: the billing windows at a moment.
    """

    clock: Callable[[], float]
    threads: int
    total: Callable[[float], EntityUsage]
    request: Callable[[Part, Priority], tuple[EntityUsage | None, EntityUsage]]
    seen_since: Callable[[float], AbstractSet[str]]
    windows: Callable[[float], BillingWindows]


@dataclass(slots=True)
class _Failures:
    """The failures of all steps of a poll."""

    errors: dict[str, PollError] = field(default_factory=dict)
    asked: int = 0

    def add(self, failure: PartialError) -> None:
        """Keep the failures of a step; raises all of them if that step gave up."""
        self.errors |= failure.errors
        self.asked += failure.asked
        if not failure.complete:
            raise PartialError(self.errors, asked=self.asked, complete=False)

    def report(self) -> None:
        """Raise a `PartialError` if there was any failure."""
        if self.errors:
            raise PartialError(self.errors, asked=self.asked, complete=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartsPoll:
    """Polls the entities of one ledger, as parts of a total.

    Attributes:
        looks_for_changes: whether this poll looks for what has moved in all ledgers of `parts`;
            otherwise it relies on another poll that does.
        published: the windows of the metrics that are published, at a moment.
        first_priority: the priority of requests for those that have never been requested.
    """

    api: Api
    parts: Parts
    ledger: Ledger
    interval: float
    sweep_interval: float
    looks_for_changes: bool
    published: Callable[[float], Sequence[Window]]
    first_priority: Priority
    moved_priority: Priority

    def run(self, entities: AbstractSet[str]) -> None:
        """Request whoever may have changed. Raises `PollError`."""
        began = self.api.clock()
        failures = _Failures()
        if not self._is_compared(began):
            self._request(self.ledger.attempts.least_recent_first(entities), self.first_priority)
            return
        unread = self.ledger.attempts.least_recent_first(
            {*self.ledger.failing(), *(entities - self.ledger.attempts.entities())}
        )
        if unread:
            self._request(unread, self.first_priority, failures=failures)
        until = self.api.clock() + SHARE_OF_INTERVAL * self.interval
        if self.looks_for_changes:
            with self.parts.comparing:
                self._find_changes(failures, until)
        self._request(
            self._whose_turn(),
            Priority.SWEEP,
            failures=failures,
            enough=lambda: self._late(until),
        )
        failures.report()

    def _total(self) -> EntityUsage | None:
        """The total; None while it cannot be read, so that every part must be requested."""
        self.parts.total_known = False
        try:
            total = self.api.total(self.parts.compared_at)
        except (KeyRefusedError, StoppedError):
            raise
        except PollError:
            return None
        self.parts.total_known = True
        return total

    def _is_compared(self, now: float) -> bool:
        """Whether the parts are compared with a total, so that not all must be requested."""
        if not self.looks_for_changes:
            is_recent = now - self.parts.compared_at <= COMPARED_INTERVALS * self.interval
            return is_recent and self.parts.total_known
        total = self._total()
        if total is not None:
            self.parts.begin(total)
        return total is not None

    def _late(self, until: float) -> bool:
        return self.api.clock() > until

    def _whose_turn(self) -> list[str]:
        now = self.api.clock()
        not_final = self.ledger.not_final(self.published(now), now)
        # The next chance is the next poll.
        within = max(self.sweep_interval - self.interval, 1.0)
        turns = in_turn(self.ledger, now, interval=within)
        return list(dict.fromkeys([*not_final, *turns]))

    def _find_changes(self, failures: _Failures, until: float) -> None:
        total = self._total()
        if total is None:
            return
        since = max(self.parts.compared_at, self.parts.round_began)
        difference = self.parts.compare(total, self.api.windows(total.requested_at))
        if not difference.explained:
            seen = self.api.seen_since(since - SESSIONS_LATE_SECONDS)
            candidates = self.parts.candidates(difference, total, since=since, seen=seen)
            search = _Search(difference, frozenset(candidates.others), self.parts.in_vain())

            def request(part: Part) -> None:
                try:
                    before, after = self.api.request(part, self.moved_priority)
                except (KeyRefusedError, StoppedError):
                    raise
                except PollError:
                    if part.ledger is self.ledger:
                        raise
                    # The poll of its own ledger requests it again and reports the failure.
                    return
                search.note(part, before, after)

            try:
                for_each_entity(
                    [*candidates.likely, *candidates.others],
                    request,
                    threads=self.api.threads,
                    enough=lambda: search.over or self._late(until),
                )
            except PartialError as failure:
                failures.add(failure)
        self.parts.conclude(difference, total)

    def _request(
        self,
        entities: Sequence[str],
        priority: Priority,
        *,
        failures: _Failures | None = None,
        enough: Callable[[], bool] = lambda: False,
    ) -> None:
        def request(part: Part) -> None:
            self.api.request(part, priority)

        try:
            for_each_entity(
                [Part(self.ledger, entity) for entity in entities],
                request,
                threads=self.api.threads,
                enough=enough,
            )
        except PartialError as failure:
            if failures is None:
                raise
            failures.add(failure)


class _Search:
    """The search for whoever explains a difference. Safe to use from several threads."""

    def __init__(self, difference: Difference, others: AbstractSet[Part], in_vain: int) -> None:
        self._difference = difference
        self._others = others
        self._in_vain = in_vain
        self._misses = 0
        self._lock = threading.Lock()

    def note(self, part: Part, before: EntityUsage | None, after: EntityUsage) -> None:
        """Take a response into account."""
        with self._lock:
            changed = self._difference.found(before, after)
            if part in self._others:
                self._misses = 0 if changed else self._misses + 1

    @property
    def over(self) -> bool:
        """Whether everything is explained, or too many requests have found nothing."""
        return self._difference.explained or self._misses > self._in_vain
