"""Equal values as one object each: thousands of sessions have the same few."""

from sys import intern

from exporter.sources.devin.operations.breakdowns.labels import SessionLabels
from exporter.sources.devin.operations.breakdowns.reading import Reading, Start


class Pool:
    """What the readings share."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._pull_requests: dict[tuple[str, str], tuple[str, str]] = {}
        self._starts: dict[tuple[Start, Start], tuple[Start, Start]] = {}

    def shared(self, reading: Reading) -> Reading:
        """The same reading, of shared values."""
        return Reading(
            reading.acus,
            reading.created_at,
            reading.updated_at,
            self._labels(reading.labels),
            self._of_starts(reading.starts),
            None if reading.owner is None else intern(reading.owner),
        )

    def _labels(self, labels: SessionLabels) -> SessionLabels:
        values, pull_requests = self._values.setdefault, self._pull_requests.setdefault
        return SessionLabels(
            tuple([values(each, each) for each in labels.by_dimension]),
            tuple([pull_requests(each, each) for each in labels.pull_requests]),
        )

    def _of_starts(self, starts: tuple[Start, Start]) -> tuple[Start, Start]:
        # Figures at the start of a window are as many as sessions, but for 0.
        if any(start.acus for start in starts):
            return starts
        return self._starts.setdefault(starts, starts)
