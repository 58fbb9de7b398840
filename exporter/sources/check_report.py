"""The report of `devin-exporter check` on one API: a row for each endpoint, and notes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from exporter.client.endpoint import Endpoint
from exporter.errors import NotFoundError, PermissionMissingError, PollError
from exporter.sources.source import CheckReport

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """One endpoint, and `ok` or what is missing.

    Attributes:
        forbidden: whether the key was refused there for want of a permission.
        absent: whether the deployment has no such endpoint, or no such entity.
    """

    endpoint: Endpoint[object]
    result: str
    passed: bool
    forbidden: bool = False
    absent: bool = False


def request_row(endpoint: Endpoint[object], request: Callable[[], T]) -> tuple[Row, T | None]:
    """Send a request and return its row, and its response if it succeeded."""
    try:
        response = request()
    except (NotFoundError, PermissionMissingError) as absent:
        result = f"{endpoint.optional}: {absent}" if endpoint.optional else str(absent)
        forbidden = isinstance(absent, PermissionMissingError)
        passed = bool(endpoint.optional)
        return Row(endpoint, result, passed=passed, forbidden=forbidden, absent=not forbidden), None
    except PollError as failure:
        return Row(endpoint, str(failure), passed=False), None
    return Row(endpoint, "ok", passed=True), response


def report(rows: Sequence[Row], notes: Sequence[str]) -> CheckReport:
    """Format the rows as a table, with the notes below it."""
    table = [("endpoint", "feeds", "result")]
    table += [(row.endpoint.path, row.endpoint.feeds, row.result) for row in rows]
    first, second = (max(len(row[column]) for row in table) for column in (0, 1))
    lines = [f"{path:<{first}}  {feeds:<{second}}  {result}" for path, feeds, result in table]
    return CheckReport((*lines, "", *notes), passed=all(row.passed for row in rows))
