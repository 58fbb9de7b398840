"""The sums over all sessions, by window and label. Pure."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
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


@dataclass(frozen=True, slots=True)
class OwnerCounts:
    """The sessions that were created in a window, and their pull requests.

    Attributes:
        sessions: by owner.
        pull_requests: by owner and state.
    """

    sessions: Mapping[str, int]
    pull_requests: Mapping[tuple[str, str], int]


class WindowSums:
    """ACUs of one window, and the sessions that were created in it with their pull requests."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.acus = {dimension: Shares() for dimension in DIMENSIONS}
        self.sessions = Shares()
        self._pull_requests: Counter[tuple[str, str]] = Counter()
        self._sessions_of: Counter[str | None] = Counter()
        self._pull_requests_by: Counter[tuple[str | None, str]] = Counter()

    def add(self, reading: Reading) -> None:
        """Add a session."""
        amount = self.running.acus(reading)
        if amount:
            for shares, values in zip(self.acus.values(), reading.labels.by_dimension, strict=True):
                shares.add(values, amount)
        if self.running.created_in(reading.created_at):
            self.sessions.add(reading.labels.repositories, 1)
            self._pull_requests.update(reading.labels.pull_requests)
            self._sessions_of[reading.owner] += 1
            self._pull_requests_by.update(_by_owner(reading))

    def take(self, reading: Reading) -> None:
        """Take a session away that was added."""
        amount = self.running.acus(reading)
        if amount:
            for shares, values in zip(self.acus.values(), reading.labels.by_dimension, strict=True):
                shares.take(values, amount)
        if self.running.created_in(reading.created_at):
            self.sessions.take(reading.labels.repositories, 1)
            self._pull_requests.subtract(reading.labels.pull_requests)
            self._sessions_of[reading.owner] -= 1
            self._pull_requests_by.subtract(_by_owner(reading))

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

    @property
    def lacks_owners(self) -> bool:
        """Whether the owner of a session that was created in the window is unknown."""
        return self._sessions_of[None] > 0

    def by_owner(self) -> OwnerCounts:
        """The sessions that were created in the window; those without an owner are `NOBODY`'s."""
        requests = self._pull_requests_by.items()
        return OwnerCounts(
            {owner: count for owner, count in self._sessions_of.items() if owner is not None},
            {
                (owner, state): count
                for (owner, state), count in requests
                if owner is not None and count
            },
        )

    def _pull_requests_of(self, own: Collection[str]) -> Mapping[tuple[str, str], int]:
        rows: Counter[tuple[str, str]] = Counter()
        for (repository, state), count in self._pull_requests.items():
            rows[repository if repository in own else OTHER, state] += count
        return +rows


def _by_owner(reading: Reading) -> Iterator[tuple[str | None, str]]:
    """The owner and the state of each pull request of a session."""
    return ((reading.owner, state) for _, state in reading.labels.pull_requests)
