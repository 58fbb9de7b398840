"""The flags of `devin-exporter export`."""

import argparse
from dataclasses import dataclass
from datetime import date
from typing import Literal

from exporter.cli.history.backfill_options import PLACEHOLDER, OptionsError
from exporter.sources.source import ChargeQuery

FileType = Literal["csv", "parquet"]

FLAGS = {
    "format": "focus, the specification of the FinOps Foundation (the default)",
    "from": "date of the first billing day, like 2026-10-01",
    "to": "date of the day after the last one, like 2026-11-01",
    "by": "organization (the default) or user: the API has no day by both",
    "file-type": "csv or parquet (default: by the name of the output, else csv)",
    "billing-account": "id of the billing account in the rows (default: the organization of the "
    "key, else the host of the API)",
}
"""Beside `--output`, which `backfill` has too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """The options of an export; `output` is a file name, or `-` for standard output."""

    query: ChargeQuery
    output: str
    file_type: FileType


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `export`."""
    group = parser.add_argument_group("export (and --output)")
    for name, does in FLAGS.items():
        group.add_argument(f"--{name}", metavar=PLACEHOLDER, help=does)


def parse_options(args: argparse.Namespace) -> ExportOptions:
    """Parse the flags of `export`.

    Raises:
        OptionsError: naming every invalid flag and the values that it takes.
    """
    bad: list[str] = []
    if (args.format or "focus") != "focus":
        bad.append("--format: wants focus")
    first, end = _date(getattr(args, "from")), _date(args.to)
    if first is None:
        bad.append("--from: wants a date like 2026-10-01")
    if end is None or (first is not None and end <= first):
        bad.append("--to: wants a date after --from; its own day is left out")
    by = args.by or "organization"
    if by not in {"organization", "user"}:
        bad.append("--by: wants organization or user")
    if not args.output:
        bad.append("--output: wants a file, or - for standard output")
    named = "parquet" if (args.output or "").endswith(".parquet") else "csv"
    file_type = args.file_type or named
    if file_type not in {"csv", "parquet"}:
        bad.append("--file-type: wants csv or parquet")
    if bad or first is None or end is None:
        raise OptionsError(bad)
    return ExportOptions(
        query=ChargeQuery(
            first=first,
            end=end,
            by="user" if by == "user" else "organization",
            account=args.billing_account or None,
        ),
        output=args.output,
        file_type="parquet" if file_type == "parquet" else "csv",
    )


def _date(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text or "")
    except ValueError:
        return None
