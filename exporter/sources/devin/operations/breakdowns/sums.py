"""The sums over all sessions, by window and label. Pure."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from exporter.sources.devin.operations.breakdowns.labels import (
    DIMENSIONS,
    OTHER,
    REPOSITORY,
)
from exporter.sources.devin.operations.breakdowns.reading import Reading, Running
from exporter.sources.devin.operations.breakdowns.shares import Shares


@dataclass(frozen=True, slots=True)
class Rows:
    """What is published of a window, by dimension and label.

    Attributes:
        sessions: sessions that were created in it, by repository; None if not all are known.
        pull_requests: those of these sessions, by repository and state.
    """

    acus: Mapping[str, Mapping[str, float]]
    sessions: Mapping[str, float] | None
    pull_requests: Mapping[tuple[str, str], int]


class WindowSums:
    """ACUs of one window, and the sessions that were created in it with their pull requests."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.acus = {dimension: Shares() for dimension in DIMENSIONS}
        self.sessions = Shares()
        self._pull_requests: Counter[tuple[str, str]] = Counter()

    def add(self, reading: Reading) -> None:
        """Add a session."""
        amount = self.running.acus(reading)
        if amount:
            for shares, values in zip(self.acus.values(), reading.labels.by_dimension, strict=True):
                shares.add(values, amount)
        if self.running.created_in(reading.created_at):
            self.sessions.add(reading.labels.repositories, 1)
            self._pull_requests.update(reading.labels.pull_requests)

    def take(self, reading: Reading) -> None:
        """Take a session away that was added."""
        amount = self.running.acus(reading)
        if amount:
            for shares, values in zip(self.acus.values(), reading.labels.by_dimension, strict=True):
                shares.take(values, amount)
        if self.running.created_in(reading.created_at):
            self.sessions.take(reading.labels.repositories, 1)
            self._pull_requests.subtract(reading.labels.pull_requests)

    def rows(self, most: int, *, counts: bool) -> Rows:
        """The rows of the values with the most ACUs, and one for all others.

        Args:
            counts: whether all sessions that were created in the window are known.
        """
        own = {dimension: shares.largest(most) for dimension, shares in self.acus.items()}
        acus = {dimension: self.acus[dimension].rows(values) for dimension, values in own.items()}
        if not counts:
            return Rows(acus, None, {})
        repositories = [*own[REPOSITORY], *self.sessions.largest(most)][:most]
        sessions = self.sessions.rows(dict.fromkeys(repositories))
        return Rows(acus, sessions, self._pull_requests_of(repositories))

    def _pull_requests_of(self, own: Collection[str]) -> Mapping[tuple[str, str], int]:
        rows: Counter[tuple[str, str]] = Counter()
        for (repository, state), count in self._pull_requests.items():
            rows[repository if repository in own else OTHER, state] += count
        return +rows
