"""Samples to bytes: one rendering that is valid as text format 0.0.4 and as OpenMetrics 1.0."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from exporter.metrics import Metric, Sample

LINES_OF_A_PIECE = 1024
SETS = 256
"""What is joined and encoded at once, and by how many sets the series of a family are compared. A
larger step would keep a scrape waiting, as no other thread runs meanwhile."""
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class ExpositionError(ValueError):
    """The samples cannot be published: a series occurs twice, or a value is not finite."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """Whole families as text, and the number of their series."""

    text: bytes = b""
    series: int = 0


def number_text(value: float) -> str:
    """A finite number as text for both formats."""
    text = repr(value)
    return (text[:-2] if value else "0") if text.endswith(".0") else text


def family_header(metric: Metric) -> str:
    """The `HELP` and `TYPE` lines of a family."""
    return f"# HELP {metric.name} {metric.help}\n# TYPE {metric.name} gauge\n"


def pairs_text(names: Sequence[str], values: Sequence[str]) -> str:
    """Labels as both formats have them between braces.

    Raises:
        ValueError: if there are not as many values as names.
    """
    labels = zip(names, values, strict=True)
    return ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels)


def series_text(metric: Metric, values: tuple[str, ...], constant: Mapping[str, str]) -> str:
    """The name and labels of a series; the `constant` labels come last."""
    pairs = pairs_text((*metric.labels, *constant), (*values, *constant.values()))
    return f"{metric.name}{{{pairs}}}" if pairs else metric.name


def render(samples: Iterable[Sample]) -> Rendered:
    """Render samples, family by family in the order of their first sample.

    Raises:
        ExpositionError: if a series occurs twice or a value is not finite.
    """
    families: dict[Metric, _Family] = {}
    metric: Metric | None = None
    for sample in samples:
        # Most samples follow one of their family, and to look a family up costs more than a line.
        if sample.metric is not metric:
            metric = sample.metric
            family = families.get(metric) or families.setdefault(metric, _Family(metric))
            add = family.add
        add(sample.labels, sample.value)
    return Rendered(
        b"".join(piece for family in families.values() for piece in family.pieces()),
        sum(family.series for family in families.values()),
    )


class _Family:
    """The text of one family. No step takes long, as no other thread runs meanwhile."""

    def __init__(self, metric: Metric) -> None:
        self.series = 0
        self._name = metric.name
        self._pairs = ",".join(f'{label}="%s"' for label in metric.labels)
        self._quotes = 2 * len(metric.labels)
        self._seen = defaultdict[int, set[tuple[str, ...]]](set)
        self._lines = [family_header(metric)]
        self._pieces: list[bytes] = []

    def add(self, values: tuple[str, ...], value: float) -> None:
        """Add the line of a series, with the values of its labels."""
        # A large set takes milliseconds to grow.
        seen = self._seen[hash(values) % SETS]
        if values in seen:
            raise ExpositionError(f"{self._name} has two series {values}")
        if not math.isfinite(value):
            raise ExpositionError(f"{self._name}{values} is {value}")
        seen.add(values)
        self.series += 1
        labels = self._pairs % values
        if "\\" in labels or "\n" in labels or labels.count('"') != self._quotes:
            labels = self._pairs % tuple(text.translate(_ESCAPES) for text in values)
        braces = f"{{{labels}}}" if labels else ""
        self._lines.append(f"{self._name}{braces} {number_text(value)}\n")
        if len(self._lines) == LINES_OF_A_PIECE:
            self._encode()

    def pieces(self) -> Sequence[bytes]:
        """Its lines. Nothing can be added any more."""
        self._encode()
        # To free them all at once takes milliseconds, too.
        while self._seen:
            self._seen.popitem()
        return self._pieces

    def _encode(self) -> None:
        self._pieces.append("".join(self._lines).encode("utf-8", errors="replace"))
        self._lines.clear()
