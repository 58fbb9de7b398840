"""The exporter's own counters, gauges and histograms, kept as the lines that a scrape shows.

A change renders the lines of its own series and no others, so that a scrape renders nothing. They
are collectors of prometheus_client, with its constructors and methods.
"""

import math
import threading
from abc import abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as CollectedFamily
from prometheus_client.registry import Collector

from exporter.exposition.page import FAST, Part
from exporter.exposition.render import number_text, pairs_text


class Series:
    """The value of one combination of labels, and its lines."""

    def __init__(self, family: "Instrument[Series]", pairs: str) -> None:
        self._family = family
        self._name = f"{family.name}{{{pairs}}}" if pairs else family.name
        self.value = 0.0

    def inc(self, amount: float = 1) -> None:
        """Add to the value."""
        with self._family.lock:
            self.value += amount
            self._family.changed(self)

    def set(self, value: float) -> None:
        """Replace the value."""
        with self._family.lock:
            self.value = float(value)
            self._family.changed(self)

    def lines(self) -> str:
        """The lines of the series."""
        return f"{self._name} {number_text(self.value)}\n"


class Distribution:
    """The observations of one combination of labels, and its lines."""

    def __init__(self, family: "Histogram", pairs: str) -> None:
        self._family = family
        self._pairs = pairs
        self.sum = 0.0
        self.counts = [0] * len(family.bounds)

    def observe(self, value: float) -> None:
        """Count an observation."""
        with self._family.lock:
            self.sum += value
            self.counts[bisect_left(self._family.bounds, value)] += 1
            self._family.changed(self)

    def buckets(self) -> list[tuple[str, int]]:
        """Each upper bound with how many observations are at most that."""
        bounds = ["+Inf" if bound == math.inf else repr(bound) for bound in self._family.bounds]
        return list(zip(bounds, accumulate(self.counts), strict=True))

    def lines(self) -> str:
        """The lines of the series."""
        name, pairs = self._family.name, self._pairs
        before = f"{pairs}," if pairs else ""
        own = f"{{{pairs}}}" if pairs else ""
        buckets = "".join(
            f'{name}_bucket{{{before}le="{bound}"}} {count}\n' for bound, count in self.buckets()
        )
        return (
            f"{buckets}{name}_count{own} {sum(self.counts)}\n"
            f"{name}_sum{own} {number_text(self.sum)}\n"
        )


S = TypeVar("S", Series, Distribution)


class Instrument(Collector, Generic[S]):
    """A family. Its methods, and those of its series, may be called in any thread."""

    kind = "gauge"

    def __init__(
        self, name: str, text: str, labels: Sequence[str] = (), *, registry: CollectorRegistry
    ) -> None:
        self.name = name
        self.lock = threading.Lock()
        self._text = text
        self._names = tuple(labels)
        self._series: dict[tuple[str, ...], S] = {}
        self._lines: dict[S, str] = {}
        self._parts: dict[bool, Part] = {}
        registry.register(self)
        if not labels:
            self.labels()

    def labels(self, *values: str) -> S:
        """The series with these values, which begins at 0."""
        with self.lock:
            series = self._series.get(values)
            if series is None:
                series = self._series[values] = self._new(pairs_text(self._names, values))
                self.changed(series)
            return series

    def changed(self, series: S) -> None:
        """Render a series whose value has changed; called under the lock."""
        self._lines[series] = series.lines()
        self._parts = {}

    def part(self, *, openmetrics: bool) -> Part:
        """The family as part of a page; empty while it has no series."""
        part = self._parts.get(openmetrics)
        if part is None:
            with self.lock:
                lines = "".join(self._lines.values())
                header = self._header(openmetrics=openmetrics) if lines else ""
                text = (header + lines).encode("utf-8", errors="replace")
                part = self._parts[openmetrics] = Part.of(text, level=FAST)
        return part

    def _header(self, *, openmetrics: bool) -> str:
        name = self.name.removesuffix("_total") if openmetrics else self.name
        return f"# HELP {name} {self._text}\n# TYPE {name} {self.kind}\n"

    def collect(self) -> Iterable[CollectedFamily]:
        """The family as prometheus_client has it."""
        with self.lock:
            yield self._collected(list(self._series.items()))

    def describe(self) -> Iterable[CollectedFamily]:
        """The same without series."""
        yield self._collected([])

    @abstractmethod
    def _new(self, pairs: str) -> S:
        """A series with these labels, as text."""

    @abstractmethod
    def _collected(self, series: Sequence[tuple[tuple[str, ...], S]]) -> CollectedFamily:
        """The family with these series, as prometheus_client has it."""


class Gauge(Instrument[Series]):
    """A value that goes up and down."""

    def _new(self, pairs: str) -> Series:
        return Series(self, pairs)

    def _collected(self, series: Sequence[tuple[tuple[str, ...], Series]]) -> CollectedFamily:
        family = GaugeMetricFamily(self.name, self._text, labels=self._names)
        for values, each in series:
            family.add_metric(values, each.value)
        return family


class LiveGauge(Gauge):
    """A gauge whose values are computed when it is read."""

    def __init__(
        self, name: str, text: str, labels: Sequence[str] = (), *, registry: CollectorRegistry
    ) -> None:
        self._values: dict[Series, Callable[[], float]] = {}
        super().__init__(name, text, labels, registry=registry)

    def follow(self, value: Callable[[], float], *labels: str) -> None:
        """Take the value of a series from a function, which must not wait."""
        self._values[self.labels(*labels)] = value

    def part(self, *, openmetrics: bool) -> Part:
        """The family with its present values; rendered only if one has changed."""
        self._update()
        return super().part(openmetrics=openmetrics)

    def collect(self) -> Iterable[CollectedFamily]:
        """The family with its present values, as prometheus_client has it."""
        self._update()
        return super().collect()

    def _update(self) -> None:
        for series, value in tuple(self._values.items()):
            present = float(value())
            if present != series.value:
                series.set(present)


class Counter(Instrument[Series]):
    """A value that only goes up."""

    kind = "counter"

    def _new(self, pairs: str) -> Series:
        return Series(self, pairs)

    def _collected(self, series: Sequence[tuple[tuple[str, ...], Series]]) -> CollectedFamily:
        family = CounterMetricFamily(self.name, self._text, labels=self._names)
        for values, each in series:
            family.add_metric(values, each.value)
        return family


class Histogram(Instrument[Distribution]):
    """How many observations there were, by size.

    Args:
        buckets: upper bounds, ascending; the last, infinity, is added.
    """

    kind = "histogram"

    def __init__(
        self,
        name: str,
        text: str,
        labels: Sequence[str] = (),
        *,
        registry: CollectorRegistry,
        buckets: Sequence[float],
    ) -> None:
        self.bounds = (*map(float, buckets), math.inf)
        super().__init__(name, text, labels, registry=registry)

    def _new(self, pairs: str) -> Distribution:
        return Distribution(self, pairs)

    def _collected(self, series: Sequence[tuple[tuple[str, ...], Distribution]]) -> CollectedFamily:
        family = HistogramMetricFamily(self.name, self._text, labels=self._names)
        for values, each in series:
            family.add_metric(values, buckets=each.buckets(), sum_value=each.sum)
        return family


class OwnRegistry(CollectorRegistry):
    """A registry whose instruments are read as parts; any other collector is collected."""

    def __init__(self) -> None:
        super().__init__()
        self._instruments: list[Instrument[Series] | Instrument[Distribution]] = []
        self.others = CollectorRegistry()

    def register(self, collector: Collector) -> None:
        """Add a collector."""
        super().register(collector)
        if isinstance(collector, Instrument):
            self._instruments.append(collector)
        else:
            self.others.register(collector)

    def parts(self, *, openmetrics: bool) -> Iterator[Part]:
        """The instruments, without the other collectors."""
        for instrument in self._instruments:
            yield instrument.part(openmetrics=openmetrics)
