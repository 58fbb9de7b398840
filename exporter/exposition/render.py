"""Samples to bytes: one rendering that is valid as text format 0.0.4 and as OpenMetrics 1.0."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from exporter.metrics import Metric, Sample

LINES_OF_A_PIECE = 1024
"""What is joined and encoded at once: no other thread runs meanwhile, so a scrape waits."""
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
    families: dict[Metric, dict[tuple[str, ...], float]] = {}
    metric: Metric | None = None
    series: dict[tuple[str, ...], float] = {}
    for sample in samples:
        # Most samples follow one of their family, and to look a family up costs more than a line.
        if sample.metric is not metric:
            metric = sample.metric
            series = families.setdefault(metric, {})
        if sample.labels in series:
            raise ExpositionError(f"{metric.name} has two series {sample.labels}")
        if not math.isfinite(sample.value):
            raise ExpositionError(f"{metric.name}{sample.labels} is {sample.value}")
        series[sample.labels] = sample.value

    text = _encoded(line for family, values in families.items() for line in _lines(family, values))
    return Rendered(text, sum(map(len, families.values())))


def _encoded(lines: Iterator[str]) -> bytes:
    pieces: list[bytes] = []
    while piece := "".join(islice(lines, LINES_OF_A_PIECE)):
        pieces.append(piece.encode("utf-8", errors="replace"))
    return b"".join(pieces)


def _lines(family: Metric, series: Mapping[tuple[str, ...], float]) -> Iterator[str]:
    yield family_header(family)
    if not family.labels:
        yield from (f"{family.name} {number_text(value)}\n" for value in series.values())
        return
    pairs = ",".join(f'{label}="%s"' for label in family.labels)
    before = f"{family.name}{{"
    quotes = 2 * len(family.labels)
    for values, value in series.items():
        labels = pairs % values
        if "\\" in labels or "\n" in labels or labels.count('"') != quotes:
            labels = pairs % tuple(text.translate(_ESCAPES) for text in values)
        yield f"{before}{labels}}} {number_text(value)}\n"
