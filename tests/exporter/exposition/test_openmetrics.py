"""The past as text: moments off every boundary, families and series in one piece."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.exposition.openmetrics import HOUR, SampleTimes, Segment, write
from exporter.exposition.render import ExpositionError
from exporter.metrics import Metric
from tests.support.rig import at

ACUS = Metric("some_acus", "ACUs of somebody.", ("user_id",))
THINGS = Metric("some_things", "How many there are.")
NOON = at("2026-03-20 12:00:00")
STEPS = [step for step in range(1, HOUR + 1) if HOUR % step == 0]


def text(*stretches: Segment, every: int = HOUR, last: float = NOON + 5.5 * HOUR) -> str:
    pieces: list[bytes] = []
    write(stretches, SampleTimes(every=every, last=last), constant={"job": "j"}, into=pieces.append)
    return b"".join(pieces).decode()


def acus(user_id: str, start: float, end: float, value: float = 1.5) -> Segment:
    return Segment(start, end, ACUS(value, user_id=user_id))


def test_a_stretch_gets_a_sample_in_the_middle_of_every_hour_and_at_the_last_moment() -> None:
    moments = [int(NOON + minutes * 60) for minutes in (30, 90, 100)]
    assert text(acus('a"b', NOON, NOON + 9 * HOUR), last=NOON + 6_000) == (
        "# HELP some_acus ACUs of somebody.\n# TYPE some_acus gauge\n"
        + "".join(f'some_acus{{user_id="a\\"b",job="j"}} 1.5 {moment}\n' for moment in moments)
        + "# EOF\n"
    )


@given(
    every=st.sampled_from([step for step in STEPS if step >= 60]),
    start=st.integers(0, 400).map(lambda hours: NOON + hours * 7_200),
    hours=st.integers(1, 50),
    last=st.floats(NOON, NOON + 300 * HOUR),
)
def test_no_sample_stands_on_a_full_hour_or_outside_of_its_stretch(
    every: int, start: float, hours: int, last: float
) -> None:
    end = start + hours * HOUR
    moments = [int(line) for line in SampleTimes(every=every, last=last).timestamps(start, end)]
    assert all(start < moment < end and moment <= last for moment in moments)
    assert all(moment % HOUR for moment in moments)
    assert moments == sorted(set(moments))
    if last >= end:
        assert len(moments) >= hours * HOUR // every


@pytest.mark.parametrize("start", [NOON, NOON + HOUR, math.inf])
def test_a_stretch_that_never_begins_has_no_sample(start: float) -> None:
    assert "some_acus{" not in text(acus("a", start, NOON))


@pytest.mark.parametrize("every", [0, -60, 7, 7_200])
def test_a_step_that_does_not_divide_an_hour_is_refused(every: int) -> None:
    with pytest.raises(ValueError, match="divide an hour"):
        SampleTimes(every=every, last=NOON)


def test_families_and_series_that_are_taken_up_again_are_refused() -> None:
    later = NOON + 2 * HOUR
    thing = Segment(NOON, later, THINGS(1))
    for stretches in (
        (acus("a", NOON, later), thing, acus("b", NOON, later)),
        (acus("a", NOON, later), acus("b", NOON, later), acus("a", later, later + HOUR)),
        (acus("a", NOON, later), acus("a", later - 1, later + HOUR)),
    ):
        with pytest.raises(ExpositionError):
            text(*stretches)


def test_what_is_written_is_counted() -> None:
    pieces: list[bytes] = []
    written = write(
        [
            acus("a", NOON, NOON + HOUR),
            acus("a", NOON + HOUR, NOON + 2 * HOUR),
            acus("b", NOON, NOON),
        ],
        SampleTimes(every=1_800, last=NOON + 9 * HOUR),
        constant={},
        into=pieces.append,
    )
    assert (written.series, written.samples) == (1, 4)
    assert b"".join(pieces).count(b"\nsome_acus{") == 4
