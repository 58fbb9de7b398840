"""Of which time all sessions that changed are known. Pure."""

import math
from dataclasses import dataclass, replace

from exporter.sources.devin.billing.windows import Window
from exporter.sources.devin.operations.session_items import Changes

OVERLAP_SECONDS = 600.0
"""Spans overlap by this, as the API's clock and its bounds may differ from ours."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of which time all changed sessions are known (Unix seconds).

    Attributes:
        polled_since: from here to `polled_until` by the polls of the sessions.
        listed_from: the start of the cycle that was listed; inf if none was.
        listed_until: from there to here by listing it.
        listed_on: the day on which the cycle was last listed as a whole.
        doubtful_since: from here to `doubtful_until`, sessions are missing that could not be read;
            inf if none are.
    """

    polled_since: float = math.inf
    polled_until: float = -math.inf
    listed_from: float = math.inf
    listed_until: float = -math.inf
    listed_on: int | None = None
    doubtful_since: float = math.inf
    doubtful_until: float = -math.inf

    @property
    def joined(self) -> bool:
        """Whether the cycle is known without a gap."""
        return self.listed_until >= self.polled_since

    def covers(self, window: Window) -> bool:
        """Whether all sessions that changed in a running window are known."""
        return self.polled_until >= window.start and (
            self.joined or self.polled_since <= window.start
        )

    def listed(self, span: Window, cycle: Window) -> "Coverage":
        """The coverage after a span of time was listed, in the order of time from a cycle's start.

        Args:
            cycle: the running cycle.
        """
        if self.listed_until == -math.inf:
            begins = span.start <= cycle.start
            return replace(self, listed_from=span.start, listed_until=span.end) if begins else self
        if span.start > self.listed_until:
            return self
        return replace(self, listed_until=max(self.listed_until, span.end))

    def of_cycle(self, cycle: Window) -> "Coverage":
        """The coverage in a cycle that has just begun to run, or is reported anew."""
        if cycle.start >= self.listed_from:
            return self
        return replace(self, listed_from=math.inf, listed_until=-math.inf)

    def polled(self, changes: Changes) -> "Coverage":
        """The coverage after one more poll."""
        since, listed_until = min(self.polled_since, changes.since), self.listed_until
        if changes.since > self.polled_until:
            since = changes.since
            listed_until = self.polled_until - OVERLAP_SECONDS if self.joined else listed_until
        coverage = replace(
            self,
            polled_since=since,
            polled_until=changes.requested_at,
            listed_until=listed_until,
        )
        span = Window(changes.since, changes.requested_at)
        return coverage.doubted(span) if changes.items.unreadable else coverage.trusted(span)

    def doubted(self, span: Window) -> "Coverage":
        """The same, after a session that changed in a span of time could not be read."""
        return replace(
            self,
            doubtful_since=min(self.doubtful_since, span.start),
            doubtful_until=max(self.doubtful_until, span.end),
        )

    def trusted(self, span: Window) -> "Coverage":
        """The same, after all sessions that changed in a span of time could be read."""
        if span.start > self.doubtful_since or span.end < self.doubtful_until:
            return self
        return replace(self, doubtful_since=math.inf, doubtful_until=-math.inf)
