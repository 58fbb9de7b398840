"""Sessions and their pull requests by team: the division of consumption, applied to their owners.

The list of sessions has the owner of each. The present teams decide, also about earlier sessions.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from exporter.errors import EntitiesUnknownError
from exporter.metrics import Sample
from exporter.scheduling.task import Snapshot, Task
from exporter.sources.devin.billing.windows import BillingWindows
from exporter.sources.devin.derived.teams import file
from exporter.sources.devin.derived.teams.memberships import Known
from exporter.sources.devin.derived.teams.rows import Rows
from exporter.sources.devin.derived.teams.sums import Remembered, ShownNames
from exporter.sources.devin.members.user_policy import OTHER
from exporter.sources.devin.operations.breakdowns import task
from exporter.sources.devin.operations.breakdowns.metrics import (
    TEAM_METRICS,
    TEAM_PULL_REQUESTS,
    TEAM_SESSIONS,
)
from exporter.sources.devin.operations.breakdowns.reading import NOBODY
from exporter.sources.devin.operations.breakdowns.sums import OwnerCounts
from exporter.sources.devin.operations.breakdowns.task import Breakdowns

TASK = "team_sessions"

TeamRows = Callable[[float, float], tuple[Known, Rows]]
"""Who counts in each team at a moment, by lists that are no older than so many seconds."""


class TeamSessions:
    """Sessions created in the running windows, by team.

    Args:
        team_rows: raises `EntitiesUnknownError` while the teams are unknown.
        shows_ids: whether a row may be about few people.
    """

    def __init__(
        self,
        breakdowns: Breakdowns,
        team_rows: TeamRows,
        windows: Callable[[float], BillingWindows],
        *,
        shows_ids: bool,
    ) -> None:
        self._breakdowns = breakdowns
        self._team_rows = team_rows
        self._windows = windows
        self._shows_ids = shows_ids
        self._teams = ShownNames("team_session_names")
        self._states = ShownNames("team_pull_request_states")
        self._samples = Remembered[tuple[Sample, ...]]()

    def task(self, source: str, poll_interval: float, *, after: tuple[str, ...]) -> Task:
        """The task that publishes them.

        Args:
            after: the tasks whose polls decide who is in which team, besides the teams file.
        """
        return Task(
            name=TASK,
            source=source,
            interval=poll_interval,
            metrics=TEAM_METRICS,
            poll=None,
            snapshot=self._snapshot,
            next_window_end=lambda now: self._windows(now).next_window_end,
            depends_on=(*after, task.TASK),
            republish_after=(file.TASK,),
            kept=(self._teams.kept(), self._states.kept()),
        )

    def _snapshot(self, now: float, max_age: float) -> Snapshot:
        try:
            known, rows = self._team_rows(now, max_age)
            counted = self._breakdowns.by_owner(now, max_age)
        except EntitiesUnknownError:
            return Snapshot()
        windows = self._windows(now)
        samples = self._samples.get(
            (counted, rows, windows), lambda: tuple(self._make(counted, rows, windows))
        )
        expires = min(known.expires, self._breakdowns.polled_until + max_age)
        return Snapshot(samples, expires=expires)

    def _make(
        self, counted: Mapping[str, OwnerCounts], rows: Rows, windows: BillingWindows
    ) -> Iterator[Sample]:
        """The rows, and 0 of teams and states that were shown before in the same window."""
        teams = _Teams.of(rows, shows_ids=self._shows_ids)
        running = {name: windows.by_name()[name] for name in counted}
        sums = {name: teams.sums(counts) for name, counts in counted.items()}
        gone = self._teams.gone(((t, w) for w, of in sums.items() for t in of.sessions), running)
        states = {(state, w) for w, of in sums.items() for _, state in of.pull_requests}
        states.update(self._states.gone(states, running))
        for window, of in sums.items():
            names = [*of.sessions, *(t for t, w in gone if w == window and t not in rows.hidden)]
            for team in sorted(names):
                yield TEAM_SESSIONS[window](of.sessions.get(team, 0), team=team)
                for state in sorted(state for state, w in states if w == window):
                    count = of.pull_requests.get((team, state), 0)
                    yield TEAM_PULL_REQUESTS[window](count, team=team, state=state)


@dataclass(frozen=True, slots=True)
class _Teams:
    """Which row counts the sessions of an owner.

    Attributes:
        by_owner: of everybody who is in a row.
        unlisted: of those in no list; None if they are in no row.
    """

    names: tuple[str, ...]
    by_owner: Mapping[str, str]
    unlisted: str | None

    @classmethod
    def of(cls, rows: Rows, *, shows_ids: bool) -> "_Teams":
        """The rows, by owner."""
        by_owner = {
            owner: team
            for team, row in rows.shown.items()
            for members in (row.users, row.service_users)
            for owner in members
        }
        return cls(tuple(rows.shown), by_owner, _of_unlisted(rows, shows_ids=shows_ids))

    def sums(self, counts: OwnerCounts) -> OwnerCounts:
        """Counts by team in place of owner."""
        sessions: Counter[str] = Counter(dict.fromkeys(self.names, 0))
        pull_requests: Counter[tuple[str, str]] = Counter()
        for owner, count in counts.sessions.items():
            team = self.by_owner.get(owner, self.unlisted)
            if team is not None:
                sessions[team] += count
        for (owner, state), count in counts.pull_requests.items():
            team = self.by_owner.get(owner, self.unlisted)
            if team is not None:
                pull_requests[team, state] += count
        return OwnerCounts(sessions, pull_requests)


def _of_unlisted(rows: Rows, *, shows_ids: bool) -> str | None:
    """The row of owners in no list; where users are not shown, one that listed users are in."""
    if shows_ids:
        return NOBODY
    if OTHER in rows.hidden:
        return None
    return next(
        (name for name in (NOBODY, OTHER) if name in rows.shown and rows.shown[name].users), None
    )
