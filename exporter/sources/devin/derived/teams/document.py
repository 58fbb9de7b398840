"""The teams file as it is used, and the texts that its fields accept."""

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from exporter.exposition.text import as_word
from exporter.sources.devin.members.user_policy import OTHER

Kind = Literal["user", "email", "group"]
"""What a rule compares: an id (of a user or service user), an e-mail address, or a group."""

MOST_FAULTS = 20
_ALIKE = 0.7


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong in a line. No fault quotes an id, an address or a pattern."""

    line: int
    why: str


class TeamsFileError(Exception):
    """The teams file cannot be used; a line of text for each fault."""

    def __init__(self, faults: Iterable[Fault | str]) -> None:
        every = tuple(faults)
        lines = [
            fault if isinstance(fault, str) else f"line {fault.line}: {fault.why}"
            for fault in every[:MOST_FAULTS]
        ]
        if len(every) > MOST_FAULTS:
            lines.append(f"and {len(every) - MOST_FAULTS} more")
        super().__init__("; ".join(lines))
        self.lines = tuple(lines)


@dataclass(frozen=True, slots=True)
class Team:
    """One team; `budget` is in ACUs per billing cycle."""

    name: str
    cost_center: str = ""
    budget: float | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """Whom a line of the file puts into a team."""

    line: int
    kind: Kind
    pattern: str
    team: str


@dataclass(frozen=True, slots=True)
class Document:
    """The whole file; the first rule that matches decides."""

    teams: Mapping[str, Team]
    rules: tuple[Rule, ...]


@dataclass(slots=True)
class Faults:
    """Collects the faults of a file, and reads its texts."""

    found: list[Fault] = field(default_factory=list)

    def note(self, line: int, why: str) -> None:
        """Remember a fault."""
        self.found.append(Fault(line, why))

    def label(self, line: int, text: str, *, what: str) -> str:
        """A text that becomes the value of a label."""
        text = text.strip()
        if as_word(text) != text:
            self.note(line, f"{what}: wants one line of at most 128 printable characters")
        return text

    def team(self, line: int, text: str) -> str:
        """The name of a team."""
        name = self.label(line, text, what="team")
        if not name:
            self.note(line, "team: wants a name")
        if name == OTHER:
            self.note(line, f"team: `{OTHER}` is the name of the sum of small teams")
        return name

    def budget(self, line: int, text: str) -> float | None:
        """ACUs per billing cycle; None if there is no text."""
        if not text.strip():
            return None
        try:
            acus = float(text)
        except ValueError:
            acus = math.nan
        if not (math.isfinite(acus) and acus > 0):
            self.note(line, "budget: wants a number of ACUs above 0")
            return None
        return acus

    def unknown(self, line: int, key: str, known: Iterable[str]) -> None:
        """Note a key or column that there is not."""
        names = tuple(known)
        alike = difflib.get_close_matches(key, names, n=1, cutoff=_ALIKE)
        hint = f"; is {alike[0]} meant?" if alike else f"; there are: {', '.join(names)}"
        self.note(line, f"an unknown key or column{hint}")

    def end(self) -> None:
        """Raise `TeamsFileError` if there is any fault."""
        if self.found:
            by_line = sorted(self.found, key=lambda fault: fault.line)
            raise TeamsFileError(by_line)
