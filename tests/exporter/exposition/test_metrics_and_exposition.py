"""Metrics check themselves, and samples become bytes that every reader takes."""

import gzip
import subprocess
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families as text_families

from exporter.exposition.checksums import combined
from exporter.exposition.page import Page, Part
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
    page = Page.of([Part.of(b"one 1\n"), Part(), Part.of(b"two 2\n")], valid_until=7.0)
    whole = b"".join(page.plain([Part.of(b"own 3\n")], b"last 4\n"))
    assert whole == b"one 1\ntwo 2\nown 3\nlast 4\n"
    assert page.text == b"one 1\ntwo 2\n"
    assert page.valid_until == 7.0


SIZES = st.sampled_from([1, 1, 1, 7_000])
PARTS = st.lists(st.builds(bytes.__mul__, st.binary(max_size=20), SIZES), max_size=6)
"""Small ones, and some that are sent as they are."""


@settings(deadline=None)
@given(PARTS, PARTS, st.binary())
def test_a_gzipped_page_is_one_member_that_unpacks_to_the_plain_page(
    texts: list[bytes], own: list[bytes], last: bytes
) -> None:
    page = Page.of([Part.of(text) for text in texts], valid_until=0.0)
    following = [Part.of(text, level=1) for text in own]
    whole = b"".join((*texts, *own, last))
    packed = b"".join(page.gzipped(following, last))
    assert gzip.decompress(packed) == whole
    assert b"".join(page.plain(following, last)) == whole
    single = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    assert single.decompress(packed) == whole
    assert single.eof
    assert single.unused_data == b""


@given(st.binary(), st.binary())
def test_checksums_are_combined_as_if_the_texts_were_one(first: bytes, second: bytes) -> None:
    together = combined(zlib.crc32(first), zlib.crc32(second), len(second))
    assert together == zlib.crc32(first + second)


def test_checksums_of_texts_of_many_gigabytes_can_be_combined() -> None:
    twice = combined(combined(1, 0, 2**33), 0, 2**33)
    assert twice == combined(1, 0, 2**34)


def test_promtool_finds_nothing_to_mend_in_a_rendering(promtool: str) -> None:
    text = render([COUNT(1), ACUS(1, user_id="email|Ü n/ï", product="devin")]).text
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
