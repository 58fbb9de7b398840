"""What an older version recorded of a history, and what this version makes of it.

`version_0.partial` has the first responses of a run that was interrupted; `version_0.txt` has one
sample a day of each series of that run's history.
"""

from collections.abc import Mapping
from pathlib import Path

import pytest

from exporter.cli.history.backfill import backfill
from exporter.cli.history.backfill_options import BackfillOptions
from exporter.demo.people import Size
from exporter.exposition.openmetrics import BackfillRange
from exporter.process import Timing
from exporter.sources import devin
from tests.support.rig import KEY, PAYLOADS, Clock, at, settings_at, simulated_api

NOW = at("2026-03-20 15:30:00")
UNTIL = at("2026-03-20 00:00:00")
SIZE = Size(organizations=2, users=3, days=40)
PARTIAL = PAYLOADS / "history" / "version_0.partial"
HISTORY = PAYLOADS / "history" / "version_0.txt"
HEADER_LINES = 1
Samples = Mapping[tuple[str, str], float]
"""Values by series and moment, both as they are written."""


def written(folder: Path, *, interrupted: bool) -> tuple[Samples, int]:
    """The samples of a history, and how many requests it took."""
    clock, output = Clock(NOW), folder / "history.txt"
    options = BackfillOptions(
        span=BackfillRange(3, UNTIL),
        output=str(output),
        every=3600,
        job="devin-exporter",
        instance="devin-exporter",
    )
    with simulated_api(SIZE, clock) as (_, api):
        if interrupted:
            partial = PARTIAL.read_text().replace("{url}", api.url)
            output.with_name(f"{output.name}.partial").write_text(partial)
        settings = settings_at([devin.SOURCE], api.url, {devin.SOURCE.name: KEY})
        backfill(settings, options, echo=print, timing=Timing(clock))
        return samples(output), api.traffic.total()


def samples(history: Path) -> Samples:
    lines = [line for line in history.read_text().splitlines() if not line.startswith("#")]
    parts = (line.rsplit(" ", 2) for line in lines)
    return {(series, moment): float(value) for series, value, moment in parts}


def test_a_run_that_an_older_version_began_is_continued(tmp_path: Path) -> None:
    _, requests = written(tmp_path, interrupted=False)
    continued, further_requests = written(tmp_path, interrupted=True)
    recorded = samples(HISTORY)
    # Sums of floats differ in their last digit between versions of Python.
    assert {sample: continued.get(sample) for sample in recorded} == pytest.approx(recorded)
    stored = len(PARTIAL.read_text().splitlines()) - HEADER_LINES
    assert stored > 1
    assert further_requests == requests - stored


def test_series_that_an_older_version_recorded_go_on_under_the_same_names_and_labels(
    tmp_path: Path,
) -> None:
    found, _ = written(tmp_path, interrupted=False)
    recorded = samples(HISTORY)
    assert recorded.keys() <= found.keys()
    other = {
        (series, moment)
        for (series, moment), value in recorded.items()
        if found[series, moment] != pytest.approx(value)
    }
    # The simulated API of then gave organizations 0 of each product but Devin.
    assert all(series.startswith("devin_organization_consumption_") for series, _ in other)
    assert {recorded[sample] for sample in other} == {0}
