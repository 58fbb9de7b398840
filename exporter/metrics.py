"""Metrics as data: the declaration of a family, and one value of a gauge."""

import math
import re
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_RESERVED_SUFFIXES = ("_count", "_sum", "_bucket", "_created")
_RESERVED_LABELS = frozenset({"job", "instance", "le", "quantile"})


class Sample(NamedTuple):
    """The current value of one series; `labels` are in the order of `metric.labels`."""

    metric: "Metric"
    labels: tuple[str, ...]
    value: float


@dataclass(frozen=True, slots=True)
class Metric:
    """A family. Calling a gauge with a value and exactly its labels makes a `Sample`.

    Only the exporter's own metrics are counters and histograms; prometheus_client counts them.

    Raises:
        ValueError: at import, if a name, label or help text would not render the same in the
            text format and in OpenMetrics.
    """

    name: str
    help: str
    labels: tuple[str, ...] = ()
    kind: Literal["gauge", "counter", "histogram"] = "gauge"
    _label_set: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check at import what Prometheus would refuse only at the first scrape."""
        if not _NAME.fullmatch(self.name) or self.name.endswith(_RESERVED_SUFFIXES):
            raise ValueError(f"{self.name!r} is not the name of a family")
        if self.name.endswith("_total") != (self.kind == "counter"):
            raise ValueError(f"{self.name}: counters and nothing else end in _total")
        if not self.help or any(character in self.help for character in '"\\\n'):
            raise ValueError(f"{self.name}: the help text must be one line without quotes")
        for label in self.labels:
            if not _NAME.fullmatch(label) or label in _RESERVED_LABELS:
                raise ValueError(f"{self.name}: {label!r} is not a label of ours")
        object.__setattr__(self, "_label_set", frozenset(self.labels))
        if len(self._label_set) != len(self.labels):
            raise ValueError(f"{self.name}: a label stands twice")

    def __call__(self, value: float, /, **labels: str) -> Sample:
        """Make the sample of one series.

        Raises:
            TypeError: if the labels are not exactly this metric's.
            ValueError: if the value is not finite. An unknown value is left out instead.
        """
        if self.kind != "gauge":
            raise TypeError(f"{self.name} is a {self.kind}")
        if labels.keys() != self._label_set:
            raise TypeError(f"{self.name} has the labels {self.labels}, not {tuple(labels)}")
        if not math.isfinite(value):
            raise ValueError(f"{self.name}{labels}: {value} is not a finite number")
        return Sample(self, tuple([labels[name] for name in self.labels]), float(value))
