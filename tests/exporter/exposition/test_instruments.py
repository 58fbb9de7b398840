"""The exporter's own metrics, compared with those of prometheus_client."""

import threading
from collections.abc import Callable, Iterable

import prometheus_client as theirs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families as text_families

from exporter.exposition.instruments import Counter, Gauge, Histogram, OwnRegistry

BUCKETS = (0.1, 1, 10)
VALUES = st.lists(st.tuples(st.sampled_from(["a", 'b"\\\n', "ü"]), st.floats(0, 1e20)), max_size=20)


def text(registry: OwnRegistry, *, openmetrics: bool) -> str:
    """What a scrape shows of the instruments."""
    return b"".join(part.text for part in registry.parts(openmetrics=openmetrics)).decode()


def families(
    parse: Callable[[str], Iterable[theirs.Metric]], page: str
) -> dict[tuple[str, str, str], dict[tuple[str, frozenset[tuple[str, str]]], float]]:
    """What a reader makes of a page."""
    return {
        (family.name, family.type, family.documentation): {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for sample in family.samples
        }
        for family in parse(page)
    }


@given(VALUES)
def test_a_reader_gets_the_same_as_from_prometheus_client(
    values: list[tuple[str, float]],
) -> None:
    theirs.disable_created_metrics()
    own, other = OwnRegistry(), CollectorRegistry()
    counter = Counter("c_total", "Help.", ["of"], registry=own)
    gauge = Gauge("g", "Help.", ["of"], registry=own)
    histogram = Histogram("h", "Help.", ["of"], registry=own, buckets=BUCKETS)
    their_counter = theirs.Counter("c_total", "Help.", ["of"], registry=other)
    their_gauge = theirs.Gauge("g", "Help.", ["of"], registry=other)
    their_histogram = theirs.Histogram("h", "Help.", ["of"], registry=other, buckets=BUCKETS)
    for of, value in values:
        counter.labels(of).inc(value)
        gauge.labels(of).set(value)
        histogram.labels(of).observe(value)
        their_counter.labels(of).inc(value)
        their_gauge.labels(of).set(value)
        their_histogram.labels(of).observe(value)
    # Only a family without series is left out, which changes nothing for a reader.
    if values:
        assert families(text_families, text(own, openmetrics=False)) == families(
            text_families, theirs.generate_latest(other).decode()
        )
        assert families(openmetrics_families, text(own, openmetrics=True) + "# EOF\n") == families(
            openmetrics_families, generate_openmetrics(other).decode()
        )
    assert theirs.generate_latest(own) == theirs.generate_latest(other)


def test_a_family_that_has_not_changed_is_not_rendered_again() -> None:
    registry = OwnRegistry()
    busy = Counter("busy_total", "Help.", ["of"], registry=registry)
    Gauge("idle", "Help.", registry=registry)
    busy.labels("it").inc()
    before = list(registry.parts(openmetrics=False))
    busy.labels("it").inc()
    after = list(registry.parts(openmetrics=False))
    assert after[1] is before[1]
    assert after[0].text == before[0].text.replace(b"} 1\n", b"} 2\n")
    assert next(registry.parts(openmetrics=False)) is after[0]


def test_other_collectors_are_kept_apart() -> None:
    registry = OwnRegistry()
    theirs.Gauge("other", "Help.", registry=registry).set(1)
    assert list(registry.parts(openmetrics=False)) == []
    assert registry.others.get_sample_value("other") == 1
    with pytest.raises(ValueError, match="other"):
        Gauge("other", "Help.", registry=registry)


def test_the_wrong_number_of_labels_is_an_error() -> None:
    gauge = Gauge("it", "Help.", ["of"], registry=OwnRegistry())
    with pytest.raises(ValueError, match="zip"):
        gauge.labels()


def test_nothing_is_lost_when_many_threads_count() -> None:
    registry = OwnRegistry()
    counter = Counter("c_total", "Help.", ["of"], registry=registry)
    histogram = Histogram("h", "Help.", registry=registry, buckets=BUCKETS)

    def count() -> None:
        for number in range(500):
            counter.labels(str(number % 3)).inc()
            histogram.labels().observe(number % 20)
            list(registry.parts(openmetrics=False))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 'c_total{of="0"} 668\n' in text(registry, openmetrics=False)
    assert 'h_bucket{le="+Inf"} 2000\n' in text(registry, openmetrics=False)
