"""History as OpenMetrics text with timestamps, for `promtool tsdb create-blocks-from`."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from exporter.exposition.render import ExpositionError, family_header, number_text, series_text
from exporter.metrics import Sample

HOUR = 3_600


@dataclass(frozen=True, slots=True)
class Segment:
    """A series that has one value for all of `start < moment < end` (Unix seconds)."""

    start: float
    end: float
    sample: Sample


@dataclass(frozen=True, slots=True)
class BackfillRange:
    """What to backfill: the last `days` finished days, as of `until` (Unix seconds)."""

    days: int
    until: float


class SampleTimes:
    """The moments that get a sample: the middle of every step, and the last moment.

    No middle of a step is on a full hour, where days and weeks end.

    Args:
        every: seconds of a step; a divisor of an hour.
        last: Unix seconds; a full hour is moved back by a second.

    Raises:
        ValueError: if the step does not divide an hour.
    """

    def __init__(self, *, every: int, last: float) -> None:
        if every < 1 or HOUR % every:
            raise ValueError("wants seconds that divide an hour, like 300, 900 or 3600")
        self._every = every
        self._last = int(last) - (int(last) % HOUR == 0)
        self._texts = lru_cache(maxsize=64)(self._timestamps)

    def timestamps(self, start: float, end: float) -> tuple[bytes, ...]:
        """The moments with `start < moment < end`, as ends of lines; `start` may be inf."""
        return self._texts(start, end) if start < end else ()

    def _timestamps(self, start: float, end: float) -> tuple[bytes, ...]:
        half = self._every // 2
        first = int((start - half) // self._every + 1) * self._every + half
        moments = [*range(first, min(int(end) + 1, self._last), self._every), self._last]
        return tuple(b" %d\n" % moment for moment in moments if start < moment < end)


@dataclass(frozen=True, slots=True)
class WriteSummary:
    """The number of series and samples that were written."""

    series: int
    samples: int


def write(
    segments: Iterable[Segment],
    sample_times: SampleTimes,
    *,
    constant: Mapping[str, str],
    into: Callable[[bytes], object],
) -> WriteSummary:
    """Write segments in their order, which must be by family and then by series.

    Args:
        constant: labels that every series gets, like `job`.
        into: receives the text, a series at a time.

    Raises:
        ExpositionError: if a family or series is not contiguous, or a segment begins before the
            one before it has ended.
    """
    finished: set[str] = set()
    series = samples = 0
    for metric, family in groupby(segments, key=lambda segment: segment.sample.metric):
        if metric.name in finished:
            raise ExpositionError(f"{metric.name} is taken up again")
        finished.add(metric.name)
        into(family_header(metric).encode())
        seen: set[tuple[str, ...]] = set()
        for labels, of_series in groupby(family, key=lambda segment: segment.sample.labels):
            if labels in seen:
                raise ExpositionError(f"{metric.name}{labels} is taken up again")
            seen.add(labels)
            name = series_text(metric, labels, constant).encode("utf-8", errors="replace")
            lines = list(_lines(name, of_series, sample_times))
            into(b"".join(lines))
            series += bool(lines)
            samples += len(lines)
    into(b"# EOF\n")
    return WriteSummary(series, samples)


def _lines(name: bytes, of_series: Iterable[Segment], sample_times: SampleTimes) -> Iterable[bytes]:
    known_until = float("-inf")
    for segment in of_series:
        if segment.start < known_until:
            raise ExpositionError(f"{name.decode()} has two values at once")
        known_until = segment.end
        line = b"%s %s" % (name, number_text(segment.sample.value).encode())
        for timestamp in sample_times.timestamps(segment.start, segment.end):
            yield line + timestamp
