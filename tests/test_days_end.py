"""When tests wait until a day has ended."""

import pytest

from tests.support.days_end import seconds_to_wait
from tests.support.rig import at


@pytest.mark.parametrize(
    ("now", "minutes"),
    [
        ("2026-11-26 07:34:59", 0),
        ("2026-11-26 07:35:00", 45),
        ("2026-11-26 07:59:00", 21),
        ("2026-11-26 08:00:00", 20),
        ("2026-11-26 08:19:00", 1),
        ("2026-11-26 08:20:00", 0),
        ("2026-11-26 15:00:00", 0),
        ("2026-11-26 23:50:00", 30),
        ("2026-11-27 00:05:00", 15),
    ],
)
def test_nothing_is_begun_around_a_days_end(now: str, minutes: int) -> None:
    assert seconds_to_wait(at(now), before=25 * 60, after=20 * 60) == minutes * 60
