"""Polls the parts of a total: the new ones, those that may have moved, those whose turn it is.

What the parts explain of the total's change is not looked for any further. What they do not explain
is carried over to the next poll, and the sweep finds it at the latest.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from exporter.client.fan_out import for_each_entity, is_futile
from exporter.client.rate_limit import Priority
from exporter.client.response import CLOCK_STEP_SECONDS, is_fresh
from exporter.errors import KeyRefusedError, PartialError, PollError, StoppedError
from exporter.sources.devin.billing.windows import BillingWindows, Window
from exporter.sources.devin.consumption.difference import Difference, Search
from exporter.sources.devin.consumption.ledger import Ledger
from exporter.sources.devin.consumption.parts import Part, Parts, in_turn
from exporter.sources.devin.consumption.usage import EntityUsage

SEARCH_SHARE_OF_INTERVAL = 0.6
SHARE_OF_INTERVAL = 0.8
"""Shares of an interval after which a poll ends its search, and itself, so that the next one is
not late."""

COMPARED_INTERVALS = 2
"""While the last comparison is not older, not everybody is requested without a total."""

MOST_AT_EACH_POLL = 8
"""Of more parts than these only every second poll looks for changes, where that is allowed."""

SEARCHED_INTERVALS = 1.1
"""For so long after a search the next poll need not search: for one interval and its jitter."""

FRESH_INTERVALS = 3
"""For at least so long is a figure published (see `Scheduler`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """What a poll needs of the outside.

    Attributes:
        total: returns a recent total that is newer than a moment (Unix seconds), requested if
            need be; raises `PollError`.
        request: requests a part and records it; returns what was known before and now; raises
            `PollError`. With a day (number), closed days before it need not be requested again.
        signs: when there was last a sign of use of each entity (Unix seconds).
        windows: the billing windows at a moment.
    """

    clock: Callable[[], float]
    threads: int
    total: Callable[[float], EntityUsage]
    request: Callable[[Part, Priority, int | None], tuple[EntityUsage | None, EntityUsage]]
    signs: Callable[[], Mapping[str, float]]
    windows: Callable[[float], BillingWindows]


@dataclass(slots=True)
class _Failures:
    """The failures of all steps of a poll."""

    errors: dict[str, PollError] = field(default_factory=dict)
    asked: int = 0
    complete: bool = True

    def add(self, failure: PartialError) -> None:
        """Keep the failures of a step; raises all of them if no further step can succeed."""
        self.errors |= failure.errors
        self.asked += failure.asked
        self.complete = self.complete and failure.complete
        if any(is_futile(error) for error in failure.errors.values()):
            self.report()

    def report(self) -> None:
        """Raise a `PartialError` if there was any failure."""
        if self.errors:
            raise PartialError(self.errors, asked=self.asked, complete=self.complete)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartsPoll:
    """Polls the entities of one ledger, as parts of a total.

    Attributes:
        looks_for_changes: whether this poll looks for what has moved in all ledgers of `parts`;
            otherwise it relies on another poll that does.
        every_second: whether of many parts only every second poll looks for changes.
        published: the windows of the metrics that are published, at a moment.
        priority: of requests for those who have no sign that they have moved.
    """

    api: Api
    parts: Parts
    ledger: Ledger
    interval: float
    sweep_interval: float
    looks_for_changes: bool
    every_second: bool
    published: Callable[[float], Sequence[Window]]
    priority: Priority
    moved_priority: Priority

    def run(self, entities: AbstractSet[str]) -> None:
        """Request whoever may have changed. Raises `PollError`."""
        failures = _Failures()
        in_order = self.ledger.attempts.least_recent_first
        if not self._is_compared(self.api.clock()):
            failing = frozenset(self.ledger.failing())
            self._request([*in_order(entities - failing), *in_order(failing)], failures)
            failures.report()
            return
        self._request(in_order(entities - self.ledger.attempts.entities()), failures)
        began = self.api.clock()
        if self.looks_for_changes and not self._may_wait(entities):
            with self.parts.comparing:
                self._find_changes(failures, began + SEARCH_SHARE_OF_INTERVAL * self.interval)
        until = began + SHARE_OF_INTERVAL * self.interval
        due = self._whose_turn()
        if not due and not self.parts.total_known:
            # Whether the API responds must be seen at one of them at least.
            due = in_order(entities)[:1]
        self._request(due, failures, enough=lambda: self._late(until))
        failures.report()

    def _total(self) -> EntityUsage | None:
        """The total; None if it cannot be read."""
        self.parts.total_known = False
        try:
            total = self.api.total(self.parts.compared_at)
        except (KeyRefusedError, StoppedError):
            raise
        except PollError:
            return None
        self.parts.total_known = True
        return total

    def _may_wait(self, entities: AbstractSet[str]) -> bool:
        """Whether the next poll is soon enough to look for changes."""
        now = self.api.clock()
        if not self.every_second or len(entities) <= MOST_AT_EACH_POLL:
            return False
        if frozenset(self._not_final(now)).difference(self.ledger.failing()):
            return False
        return is_fresh(self.parts.searched_at, now, SEARCHED_INTERVALS * self.interval)

    def _is_compared(self, now: float) -> bool:
        """Whether the parts are compared with a total, so that not all must be requested."""
        total = self._total() if self.looks_for_changes else None
        if total is not None:
            self.parts.begin(total)
            return True
        return is_fresh(
            self.parts.compared_at, now, COMPARED_INTERVALS * self.interval + CLOCK_STEP_SECONDS
        )

    def _late(self, until: float) -> bool:
        return self.api.clock() > until

    def _whose_turn(self) -> list[str]:
        """Whoever must be requested without a sign of use; those that have failed come last."""
        now = self.api.clock()
        not_final = self._not_final(now)
        # The next chance is the next poll.
        within = max(self.sweep_interval - self.interval, 1.0)
        turns = in_turn(self.ledger, now, interval=within)
        expiring = self.ledger.expiring(now + self.interval, self._longest_gap, now=now)
        in_order = self.ledger.attempts.least_recent_first
        failing = in_order(self.ledger.failing())
        due = dict.fromkeys([*not_final, *in_order(expiring), *turns])
        for entity in failing:
            due.pop(entity, None)
        return [*due, *failing]

    def _not_final(self, now: float) -> list[str]:
        return self.ledger.not_final(self.published(now), now)

    def _find_changes(self, failures: _Failures, until: float) -> None:
        total = self._total()
        if total is None:
            return
        since = max(self.parts.searched_at, self.parts.round_began)
        unfinished = self.parts.compared_at > self.parts.searched_at
        difference = self.parts.compare(total, self.api.windows(total.requested_at))
        self.parts.allow_more()
        all_of_them, finished = Search(difference, math.inf), True
        if not difference.explained:
            parts = self.parts.with_sign(total, self.api.signs())
            finished = self._search(all_of_them, parts, failures, until)
        if finished and not difference.explained:
            candidates = self.parts.without_sign(
                difference,
                total,
                since=since,
                unfinished=unfinished,
                signs=self.api.signs(),
            )
            finished = self._search(all_of_them, candidates.likely, failures, until)
            if finished:
                finished = self._search_others(difference, candidates.others, failures, until)
        self.parts.conclude(difference, total, finished=finished, longest_gap=self._longest_gap)

    def _search_others(
        self, difference: Difference, parts: Sequence[Part], failures: _Failures, until: float
    ) -> bool:
        """Request parts without any sign of use, as long as some of them have moved."""
        # Whoever is not final is requested anyway, unless the difference is explained.
        needed = frozenset(self._not_final(self.api.clock())).difference(self.ledger.failing())
        search = Search(difference, math.inf if needed else self.parts.allowance, all_days=True)
        finished = self._search(search, parts, failures, until)
        self.parts.allowance = min(self.parts.allowance, search.allowance)
        return finished

    def _search(
        self, search: Search, parts: Sequence[Part], failures: _Failures, until: float
    ) -> bool:
        """Request parts until the difference is explained; returns whether that ended."""

        def request(part: Part) -> None:
            try:
                before, after = self.api.request(part, self.moved_priority, search.changed_from)
            except (KeyRefusedError, StoppedError):
                raise
            except PollError as error:
                search.note_failure(error)
                if part.ledger is self.ledger:
                    raise
                # The poll of its own ledger requests it again and reports the failure.
                return
            search.note(before, after)

        try:
            for_each_entity(
                parts,
                request,
                threads=self.api.threads,
                enough=lambda: search.ends(late=self._late(until)),
            )
        except PartialError as failure:
            search.note_failure(failure)
            failures.add(failure)
        return not search.interrupted

    @property
    def _longest_gap(self) -> float:
        """Seconds within which no figure expires."""
        return FRESH_INTERVALS * self.interval

    def _request(
        self,
        entities: Sequence[str],
        failures: _Failures,
        *,
        enough: Callable[[], bool] = lambda: False,
    ) -> None:
        def request(part: Part) -> None:
            self.api.request(part, self.priority, None)

        try:
            for_each_entity(
                [Part(self.ledger, entity) for entity in entities],
                request,
                threads=self.api.threads,
                enough=enough,
            )
        except PartialError as failure:
            failures.add(failure)
