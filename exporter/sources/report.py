"""What `devin-exporter check` found at one API: a row for each endpoint, and notes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from exporter.errors import NotFoundError, PermissionMissingError, PollError
from exporter.sources.connection import Report

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """One endpoint: what it feeds, and `ok` or what is missing."""

    endpoint: str
    feeds: str
    says: str
    fine: bool


def ask_for_row(
    endpoint: str, feeds: str, ask: Callable[[], T], *, otherwise: str = ""
) -> tuple[Row, T | None]:
    """Ask an endpoint; what it told, if it did.

    Args:
        otherwise: why it is fine if the key or the deployment does not open it; empty if not.
    """
    try:
        answer = ask()
    except (NotFoundError, PermissionMissingError) as absent:
        says = f"{otherwise}: {absent}" if otherwise else str(absent)
        return Row(endpoint, feeds, says, fine=bool(otherwise)), None
    except PollError as failure:
        return Row(endpoint, feeds, str(failure), fine=False), None
    return Row(endpoint, feeds, "ok", fine=True), answer


def report(rows: Sequence[Row], notes: Sequence[str]) -> Report:
    """The rows as a table, and the notes below it."""
    table = [("endpoint", "feeds", "answer")]
    table += [(row.endpoint, row.feeds, row.says) for row in rows]
    first, second = (max(len(row[column]) for row in table) for column in (0, 1))
    lines = [f"{endpoint:<{first}}  {feeds:<{second}}  {says}" for endpoint, feeds, says in table]
    return Report((*lines, "", *notes), fine=all(row.fine for row in rows))
