"""The teams file in use, and the task that reads it again when it changes."""

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from exporter.config.files import Stamp, read_regular, stamp_of
from exporter.errors import ConfigurationError, EntitiesUnknownError
from exporter.metrics import Metric
from exporter.scheduling.task import Snapshot, Task
from exporter.sources.devin.derived.teams.csv_file import read_csv
from exporter.sources.devin.derived.teams.document import Document, TeamsFileError
from exporter.sources.devin.derived.teams.memberships import Membership
from exporter.sources.devin.derived.teams.patterns import TeamMap
from exporter.sources.devin.derived.teams.yaml_file import read_yaml

logger = logging.getLogger(__name__)

RELOADED = Metric(
    "devin_exporter_teams_file_last_reload_successful",
    "1 if the teams file is in use as it is now; 0 if it is broken, and an older one is in use if "
    "there is one. Absent without DEVIN_TEAMS_FILE.",
)
RELOADED_AT = Metric(
    "devin_exporter_teams_file_last_reload_success_timestamp_seconds",
    "When the teams file in use was read, in Unix seconds.",
)
INFO = Metric("devin_team_info", "A team of the teams file; 1.", ("team", "cost_center"))
BUDGET = Metric(
    "devin_team_budget_acus",
    "ACUs that a team may use in a billing cycle, from the teams file.",
    ("team",),
)
METRICS = (RELOADED, RELOADED_AT, INFO, BUDGET)

TASK = "teams_file"
MOST_BYTES = 2**24
LOOK_SECONDS = 15.0
MOST_LINES = 20


def read_document(path: Path) -> Document:
    """Read a file: CSV if its name ends like that, else YAML.

    Raises:
        TeamsFileError: naming each fault by its line.
    """
    try:
        text = read_regular(path, most_bytes=MOST_BYTES)
    except OSError as failure:
        raise TeamsFileError((f"cannot be read: {failure.strerror}",)) from None
    except UnicodeDecodeError:
        raise TeamsFileError(("is no UTF-8 text",)) from None
    except ValueError as failure:
        raise TeamsFileError((str(failure),)) from None
    return (read_csv if path.suffix.lower() == ".csv" else read_yaml)(text)


class TeamsFile:
    """The teams file in use. A new one that is broken leaves the one before in use.

    Args:
        path: of the file; None if there is none.
        clock: Unix seconds.
    """

    def __init__(self, path: Path | None, clock: Callable[[], float]) -> None:
        self.path = path
        self._clock = clock
        self._looked = False
        self._read: Stamp = None
        self._seen: Stamp = None
        self._broken: TeamsFileError | None = None
        self._document: Document | None = None
        self._map: TeamMap | None = None
        self._read_at = 0.0

    @property
    def teams(self) -> TeamMap:
        """Who belongs to which team. Raises `EntitiesUnknownError` before a good file."""
        if self._map is None:
            raise EntitiesUnknownError("no good teams file has been read yet")
        return self._map

    @property
    def in_use(self) -> TeamMap | None:
        """The same; None before a good file."""
        return self._map

    @property
    def names(self) -> tuple[str, ...]:
        """The teams of the file in use."""
        return tuple(self._document.teams) if self._document else ()

    def cost_center(self, team: str) -> str:
        """The cost center of a team; empty if it has none, or the file has no such team."""
        known = self._document.teams.get(team) if self._document else None
        return known.cost_center if known else ""

    def poll(self) -> None:
        """Read the file if it has changed, and is as it was at the last look.

        What is still being written is left alone: half of a file may be valid.

        Raises:
            ConfigurationError: naming each fault by its line, as long as the file is broken.
        """
        if self.path is None:
            return
        before, self._seen = self._seen, stamp_of(self.path)
        if not self._looked or (self._seen != self._read and self._seen == before):
            self._looked = True
            self._load(self.path)
        if self._broken is not None:
            kept = "the one before stays in use" if self._map else "no team is known"
            raise ConfigurationError(f"{self.path} cannot be used; {kept}: {self._broken}")

    def _load(self, path: Path) -> None:
        # Stamped before it is read: what changes meanwhile is read again.
        self._read = stamp_of(path)
        try:
            document = read_document(path)
        except TeamsFileError as broken:
            self._broken = broken
            return
        self._broken, self._read_at = None, self._clock()
        if document != self._document:
            self._document, self._map = document, TeamMap(document)
            logger.info("%s is in use: %d teams", path, len(document.teams))

    def task(self, source: str, poll_interval: float) -> Task:
        """The task that reads the file; without a file, one that does nothing."""
        return Task(
            name=TASK,
            source=source,
            interval=min(LOOK_SECONDS, poll_interval),
            metrics=METRICS,
            poll=self.poll if self.path else None,
            snapshot=self._snapshot,
        )

    def _snapshot(self, now: float, max_age: float) -> Snapshot:
        """What the file in use says, whatever its age."""
        del now, max_age
        if not self._looked:
            return Snapshot()
        samples = [RELOADED(0 if self._broken else 1)]
        if self._document is not None:
            samples.append(RELOADED_AT(self._read_at))
            for team in self._document.teams.values():
                samples.append(INFO(1, team=team.name, cost_center=team.cost_center))
                if team.budget is not None:
                    samples.append(BUDGET(team.budget, team=team.name))
        return Snapshot(tuple(samples))


def check_teams_file(
    path: Path, users: Mapping[str, Membership], bots: Iterable[str]
) -> tuple[tuple[str, ...], bool]:
    """Notes on a file, without any id or address, and whether it can be used.

    Args:
        users: all users by id.
        bots: the ids of all service users.
    """
    try:
        document = read_document(path)
    except TeamsFileError as broken:
        return tuple(f"teams file {path}: {line}" for line in broken.lines), False
    teams = TeamMap(document)
    of_users = [
        teams.rule_for(user_id, email=member.email or "", groups=member.groups or ())
        for user_id, member in users.items()
    ]
    of_bots = [teams.rule_for(bot) for bot in bots]
    used = {rule for rule in (*of_users, *of_bots) if rule}
    in_users, in_bots = (len(found) - found.count(None) for found in (of_users, of_bots))
    summary = (
        f"the teams file has {len(document.teams)} teams; in one of them are {in_users} of "
        f"{len(of_users)} users and {in_bots} of {len(of_bots)} service users"
    )
    notes = [summary]
    unused = [rule.line for rule in document.rules if rule not in used]
    if unused and users:
        shown = ", ".join(map(str, sorted(set(unused))[:MOST_LINES]))
        more = f" and {len(set(unused)) - MOST_LINES} more" if len(set(unused)) > MOST_LINES else ""
        notes.append(f"lines of the teams file that are the first match of nobody: {shown}{more}")
    return tuple(notes), True
