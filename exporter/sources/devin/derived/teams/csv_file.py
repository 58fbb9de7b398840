"""The teams file in CSV: a row for each user, e-mail pattern or group pattern."""

import csv
from collections.abc import Iterator
from itertools import zip_longest

from exporter.sources.devin.derived.teams.document import (
    Document,
    Faults,
    Kind,
    Rule,
    Team,
    TeamsFileError,
)

_KINDS: tuple[Kind, ...] = ("user", "email", "group")
_COLUMNS = (*_KINDS, "team", "cost_center", "budget")

Row = tuple[int, dict[str, str]]
"""The number of a line, and its texts by column."""


def read_csv(text: str) -> Document:
    """Read a file with a header; columns are separated by commas or semicolons.

    Raises:
        TeamsFileError: naming each fault by its line.
    """
    faults = Faults()
    teams: dict[str, Team] = {}
    rules: list[Rule] = []
    try:
        for line, row in _rows(text.removeprefix("\ufeff"), faults):
            given: list[tuple[Kind, str]] = [(kind, row[kind]) for kind in _KINDS if row.get(kind)]
            name = faults.team(line, row.get("team", ""))
            if len(given) != 1:
                faults.note(line, "wants exactly one of user, email and group")
            rules += [Rule(line, kind, pattern, name) for kind, pattern in given]
            teams[name] = _merged(teams.get(name), _team(line, name, row, faults), line, faults)
    except csv.Error:
        raise TeamsFileError(("is no CSV: a quote is not closed, or a line has none",)) from None
    faults.end()
    if not rules:
        raise TeamsFileError(("has no row below its header",))
    return Document(teams, tuple(rules))


def _rows(text: str, faults: Faults) -> Iterator[Row]:
    header = text.partition("\n")[0]
    delimiter = ";" if header.count(";") > header.count(",") else ","
    lines = csv.reader(text.splitlines(keepends=True), delimiter=delimiter, strict=True)
    columns = [name.strip().lower() for name in next(lines, [])]
    for name in columns:
        if name not in _COLUMNS:
            faults.unknown(1, name, _COLUMNS)
    if "team" not in columns or not set(_KINDS).intersection(columns):
        faults.note(1, "the header wants team, and one or more of user, email and group")
    if len(set(columns)) < len(columns):
        faults.note(1, "a column stands twice")
    faults.end()
    before = lines.line_num
    for texts in lines:
        first, before = before + 1, lines.line_num
        if not any(text.strip() for text in texts):
            continue
        if len(texts) > len(columns):
            faults.note(first, f"has {len(texts)} columns; the header has {len(columns)}")
            continue
        yield (
            first,
            {name: value.strip() for name, value in zip_longest(columns, texts, fillvalue="")},
        )


def _team(line: int, name: str, row: dict[str, str], faults: Faults) -> Team:
    return Team(
        name,
        faults.label(line, row.get("cost_center", ""), what="cost_center"),
        faults.budget(line, row.get("budget", "")),
    )


def _merged(before: Team | None, team: Team, line: int, faults: Faults) -> Team:
    """What several rows say of one team; each may leave out what another one says."""
    if before is None:
        return team
    if team.cost_center and before.cost_center not in {"", team.cost_center}:
        faults.note(line, "cost_center: an earlier row of this team has another one")
    if team.budget is not None and before.budget not in {None, team.budget}:
        faults.note(line, "budget: an earlier row of this team has another one")
    return Team(
        team.name,
        before.cost_center or team.cost_center,
        team.budget if before.budget is None else before.budget,
    )
