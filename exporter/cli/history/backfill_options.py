"""The flags of `devin-exporter backfill`."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from exporter.exposition.openmetrics import HOUR, BackfillRange

PLACEHOLDER = "VALUE"
"""Stands for a flag's value in the help. The help is ASCII, as not every terminal shows more."""
SCRAPE_JOB = "devin-exporter"
"""The name of the shipped scrape job, and its constant `instance`."""
MOST_DAYS = 3_650
HEAD_SECONDS = 3 * HOUR
"""A running Prometheus keeps newer samples in its head, which blocks must not overlap."""
LAST_MINUTE_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillOptions:
    """The options of a backfill.

    Attributes:
        output: a file name, or `-` for standard output.
        every: seconds between samples; a divisor of an hour.
        job: the label value of the scrape job that continues these series.
        instance: the label value of its instance.
    """

    span: BackfillRange
    output: str
    every: int
    job: str
    instance: str

    @property
    def constant(self) -> dict[str, str]:
        """The labels that every series gets."""
        return {"job": self.job, "instance": self.instance}


class OptionsError(Exception):
    """Some flags cannot be used; one line each."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = tuple(lines)


FLAGS = {
    "days": "finished days (default: 90)",
    "output": "a file, or - for standard output (also of `export`)",
    "until": "`now` for an empty data directory, or a time like 2026-01-31T12:00:00Z; by default "
    "three hours ago, as a running Prometheus holds what is newer in its head",
    "every": "seconds between samples, dividing an hour (default: 3600)",
    "job": f"that label's value in the scrape job (default: {SCRAPE_JOB})",
    "instance": f"that label's value in the scrape job (default: {SCRAPE_JOB})",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `backfill`."""
    group = parser.add_argument_group("backfill")
    for name, does in FLAGS.items():
        group.add_argument(f"--{name}", metavar=PLACEHOLDER, help=does)


def parse_options(args: argparse.Namespace, *, now: float) -> BackfillOptions:
    """Parse the flags of `backfill`.

    Args:
        now: Unix seconds.

    Raises:
        OptionsError: naming every invalid flag and the values that it takes.
    """
    bad: list[str] = []
    days = _whole(args.days or "90")
    if not 1 <= days <= MOST_DAYS:
        bad.append(f"--days: wants a number from 1 to {MOST_DAYS}")
    every = _whole(args.every or str(HOUR))
    if not every or HOUR % every:
        bad.append("--every: wants seconds that divide an hour, like 300, 900 or 3600")
    if not args.output:
        bad.append("--output: wants a file, or - for standard output")
    until = _until(args.until or "", now)
    if until is None:
        bad.append("--until: wants `now` or a time in the past like 2026-01-31T12:00:00Z")
    if bad or until is None:
        raise OptionsError(bad)
    return BackfillOptions(
        span=BackfillRange(days, until),
        output=args.output,
        every=every,
        job=args.job or SCRAPE_JOB,
        instance=args.instance or SCRAPE_JOB,
    )


def _whole(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _until(text: str, now: float) -> float | None:
    if text in {"", "now"}:
        return now - (HEAD_SECONDS if not text else LAST_MINUTE_SECONDS)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None or moment.timestamp() > now - LAST_MINUTE_SECONDS:
        return None
    return moment.timestamp()
