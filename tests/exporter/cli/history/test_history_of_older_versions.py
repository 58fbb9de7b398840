"""What an older version recorded of a history, and what this version makes of it.

`version_0.partial` has the first responses of a run that was interrupted; `version_0.txt` has one
sample a day of each series of that run's history.
"""

from pathlib import Path

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


def written(folder: Path, *, interrupted: bool) -> tuple[set[str], int]:
    """The lines of a history, and how many requests it took."""
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
        return set(output.read_text().splitlines()), api.traffic.total()


def recorded() -> set[str]:
    return set(HISTORY.read_text().splitlines())


def test_a_run_that_an_older_version_began_is_continued(tmp_path: Path) -> None:
    _, requests = written(tmp_path, interrupted=False)
    continued, further_requests = written(tmp_path, interrupted=True)
    assert continued >= recorded()
    stored = len(PARTIAL.read_text().splitlines()) - HEADER_LINES
    assert stored > 1
    assert further_requests == requests - stored


def test_series_that_an_older_version_recorded_go_on_under_the_same_names_and_labels(
    tmp_path: Path,
) -> None:
    lines, _ = written(tmp_path, interrupted=False)
    missing = recorded() - lines
    # The simulated API of then gave organizations 0 of each product but Devin.
    assert all(line.startswith("devin_organization_consumption_") for line in missing)
    assert {line.split()[1] for line in missing} == {"0"}
    series = {line.split()[0] for line in lines}
    assert {line.split()[0] for line in missing} <= series
