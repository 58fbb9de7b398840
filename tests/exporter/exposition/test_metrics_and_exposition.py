"""Metrics check themselves, and samples become bytes that every reader takes."""

import gzip
import subprocess
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families as text_families

from exporter.exposition.page import Page
from exporter.exposition.render import ExpositionError, render
from exporter.metrics import Metric, Sample
from tests.conftest import Golden

ACUS = Metric("some_acus", "ACUs of somebody.", ("user_id", "product"))
COUNT = Metric("some_things", "How many there are.")


@pytest.mark.parametrize(
    ("name", "text", "labels"),
    [
        ("Bad-name", "Help.", ()),
        ("some_count", "Help.", ()),
        ("some_total", "Help.", ()),
        ("some", "", ()),
        ("some", 'A "quoted" word.', ()),
        ("some", "Two\nlines.", ()),
        ("some", "Help.", ("job",)),
        ("some", "Help.", ("Bad",)),
        ("some", "Help.", ("a", "a")),
    ],
)
def test_a_metric_that_would_not_render_is_refused_at_import(
    name: str, text: str, labels: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Metric(name, text, labels)


def test_a_sample_needs_exactly_its_labels() -> None:
    with pytest.raises(TypeError, match="has the labels"):
        ACUS(1, user_id="a")
    with pytest.raises(TypeError, match="has the labels"):
        COUNT(1, user_id="a")
    assert ACUS(1, product="p", user_id="u").labels == ("u", "p")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_sample_needs_a_finite_value(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        COUNT(value)
    with pytest.raises(ExpositionError):
        render([Sample(COUNT, (), value)])


def test_counters_are_not_for_samples() -> None:
    with pytest.raises(TypeError, match="is a counter"):
        Metric("some_total", "Help.", (), "counter")(1)


def test_a_series_that_stands_twice_is_refused() -> None:
    with pytest.raises(ExpositionError, match="two series"):
        render([COUNT(1), COUNT(1)])


def test_families_are_rendered_in_order_of_their_first_sample(golden: Golden) -> None:
    strange = 'quote " backslash \\ newline \n umlaut Ü pipe |'
    samples = [
        ACUS(1.5, user_id="email|Ü n/ï", product="devin"),
        COUNT(3),
        ACUS(0.1 + 0.2, user_id=strange, product=""),
        ACUS(-2, user_id="x", product="unknown"),
        ACUS(1e300, user_id="y", product="devin"),
    ]
    golden.check(render(samples).text.decode())


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(st.dictionaries(st.tuples(TEXTS, TEXTS), st.floats(allow_nan=False, allow_infinity=False)))
def test_what_is_rendered_reads_back_the_same_in_both_formats(
    values: dict[tuple[str, str], float],
) -> None:
    rendered = render(ACUS(v, user_id=u, product=p) for (u, p), v in values.items())
    assert rendered.series == len(values)
    text = rendered.text.decode()
    for families in (text_families(text), openmetrics_families(text + "# EOF\n")):
        read = {
            (sample.labels["user_id"], sample.labels["product"]): sample.value
            for family in families
            for sample in family.samples
        }
        assert read == values


def test_a_page_is_the_families_and_then_the_exporters_own_lines() -> None:
    page = Page.of([b"one 1\n", b"two 2\n"], valid_until=7.0)
    assert b"".join(page.plain(b"own 3\n")) == b"one 1\ntwo 2\nown 3\n"
    assert page.valid_until == 7.0


@given(st.binary(max_size=3_000), st.binary(max_size=3_000))
def test_a_gzipped_page_is_one_member_that_unpacks_to_the_plain_page(
    text: bytes, own: bytes
) -> None:
    page = Page.of([text], valid_until=0.0)
    packed = b"".join(page.gzipped(own))
    assert gzip.decompress(packed) == b"".join(page.plain(own))
    single = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    assert single.decompress(packed) == b"".join(page.plain(own))
    assert single.eof
    assert single.unused_data == b""


def test_promtool_finds_nothing_to_mend_in_a_rendering(promtool: str) -> None:
    text = render([COUNT(1), ACUS(1, user_id="email|Ü n/ï", product="devin")]).text
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
