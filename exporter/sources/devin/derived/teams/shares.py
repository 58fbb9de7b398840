"""The tasks that publish groups and teams, and their consumption. Derived from the ledgers."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from exporter.errors import EntitiesUnknownError
from exporter.metrics import Metric, Sample
from exporter.scheduling.kept import Kept
from exporter.scheduling.task import Snapshot, Task
from exporter.sources.devin.billing import cycles
from exporter.sources.devin.consumption.collector import Consumption
from exporter.sources.devin.consumption.scopes import SERVICE_USER_SCOPE, USER_SCOPE
from exporter.sources.devin.data_set import Context
from exporter.sources.devin.derived.teams import file
from exporter.sources.devin.derived.teams.file import TeamsFile
from exporter.sources.devin.derived.teams.memberships import Known, Memberships
from exporter.sources.devin.derived.teams.metrics import (
    GROUP_ACUS,
    TEAM_ACUS,
    TEAM_MEMBER,
    USER_GROUP,
)
from exporter.sources.devin.derived.teams.rows import Division, Rows
from exporter.sources.devin.derived.teams.settings import TeamSettings
from exporter.sources.devin.derived.teams.sums import (
    Coverage,
    Remembered,
    RowSums,
    ShownNames,
    WindowFigures,
)
from exporter.sources.devin.members import directory
from exporter.sources.devin.settings import DevinSettings
from exporter.sources.source import OpenSource

USER_INPUTS = (cycles.TASK, directory.USERS_TASK, USER_SCOPE.task)
TEAM_INPUTS = (*USER_INPUTS, directory.SERVICE_USERS_TASK, SERVICE_USER_SCOPE.task)


@dataclass(frozen=True, slots=True)
class _Family:
    """What is remembered of groups, or of teams."""

    names: ShownNames
    sums: RowSums = field(default_factory=RowSums)
    samples: Remembered[tuple[Sample, ...]] = field(default_factory=Remembered[tuple[Sample, ...]])


class Shares:
    """Consumption by group and by team."""

    def __init__(self, opened: OpenSource, context: Context, ledgers: Consumption) -> None:
        settings = opened.settings[TeamSettings]
        self._source = opened.client.source
        self._interval = opened.settings[DevinSettings].poll_interval
        self._ledgers = ledgers
        self._people = context.directory
        self._memberships = Memberships(context.directory, context.identity)
        self._teams_file = TeamsFile(settings.teams_file, opened.clock)
        self._division = Division.of(settings, context.user_policy)
        self._policy = context.user_policy
        self._windows = context.cycles.windows
        self._users = WindowFigures()
        self._service_users = WindowFigures()
        self._groups_of = Remembered[tuple[Sample, ...]]()
        self._teams_of = Remembered[tuple[Sample, ...]]()
        self._group_rows = Remembered[Rows]()
        self._team_rows = Remembered[Rows]()
        self._group_sums = _Family(ShownNames("group_names"))
        self._team_sums = _Family(ShownNames("team_names"))

    def file_task(self) -> Task:
        """The task that reads the teams file."""
        return self._teams_file.task(self._source, self._interval)

    @property
    def has_teams(self) -> bool:
        """Whether there is a teams file."""
        return self._teams_file.path is not None

    def cost_center(self, team: str) -> str:
        """The cost center of a team; empty if it has none."""
        return self._teams_file.cost_center(team)

    def tasks(self) -> tuple[Task, ...]:
        """Tasks of who is in which group or team, and of the consumption of both."""
        return (
            *self.info_tasks(),
            self._task(
                "group_consumption",
                GROUP_ACUS.values(),
                self._groups,
                USER_INPUTS,
                kept=(self._group_sums.names.kept(),),
            ),
            self._task(
                "team_consumption",
                TEAM_ACUS.values(),
                self._teams,
                TEAM_INPUTS,
                kept=(self._team_sums.names.kept(),),
            ),
        )

    def info_tasks(self) -> tuple[Task, ...]:
        """Tasks of who is in which group or team."""
        return (
            self._task("user_groups", (USER_GROUP,), self._user_groups, USER_INPUTS),
            self._task("team_members", (TEAM_MEMBER,), self._team_members, USER_INPUTS),
        )

    def _task(
        self,
        name: str,
        metrics: Iterable[Metric],
        take: Callable[[float, float], Snapshot],
        inputs: tuple[str, ...],
        *,
        kept: tuple[Kept, ...] = (),
    ) -> Task:
        def snapshot(now: float, max_age: float) -> Snapshot:
            try:
                return take(now, max_age)
            except EntitiesUnknownError:
                return Snapshot()

        return Task(
            name=name,
            source=self._source,
            interval=self._interval,
            metrics=tuple(metrics),
            poll=None,
            snapshot=snapshot,
            next_window_end=lambda now: self._windows(now).next_window_end,
            depends_on=inputs,
            republish_after=(file.TASK,),
            kept=kept,
        )

    def _known(self, now: float, max_age: float) -> Known:
        """The memberships of listed users, and of those who have left but still count."""
        users = self._ledgers.users
        counted = users.accounts().keys() | users.attempts.entities()
        return self._memberships.known(now, max_age, counted=counted)

    def _own(self) -> tuple[str, ...]:
        """The listed users who may be shown and have their own series."""
        if not self._policy.shows_ids:
            return ()
        return tuple(sorted(filter(self._policy.own, self._people.user_ids())))

    def _user_groups(self, now: float, max_age: float) -> Snapshot:
        known, own = self._known(now, max_age), self._own()

        def make() -> tuple[Sample, ...]:
            return tuple(
                USER_GROUP(1, user_id=user_id, group=group)
                for user_id in own
                for group in sorted(known.by_user[user_id].groups or ())
            )

        return Snapshot(self._groups_of.get((known.by_user, own), make), expires=known.expires)

    def _team_members(self, now: float, max_age: float) -> Snapshot:
        teams, known, own = self._teams_file.teams, self._known(now, max_age), self._own()

        def make() -> tuple[Sample, ...]:
            return tuple(
                TEAM_MEMBER(1, team=team, user_id=user_id)
                for user_id in own
                if (team := known.by_user[user_id].team(user_id, teams))
            )

        samples = self._teams_of.get((known.by_user, teams, own), make)
        return Snapshot(samples, expires=known.expires)

    def group_rows(self, now: float, max_age: float) -> tuple[Known, Rows]:
        """Who counts in each group. Raises `EntitiesUnknownError` while that is unknown."""
        known, teams_file = self._known(now, max_age), self._teams_file

        def make() -> Rows:
            return self._division.groups(
                known, lambda: None if teams_file.path is None else teams_file.teams
            )

        return known, self._group_rows.get((known.by_user, teams_file.in_use), make)

    def team_rows(self, now: float, max_age: float) -> tuple[Known, Rows]:
        """Who counts in each team. Raises `EntitiesUnknownError` while that is unknown."""
        teams, names = self._teams_file.teams, self._teams_file.names
        known, ledger = self._known(now, max_age), self._ledgers.service_users
        listed = self._people.all_service_user_ids()
        bots = listed | ledger.accounts().keys() | ledger.attempts.entities()
        return known, self._team_rows.get(
            (known.by_user, teams, bots),
            lambda: self._division.teams(known, bots, teams, named=names),
        )

    def _groups(self, now: float, max_age: float) -> Snapshot:
        known, rows = self.group_rows(now, max_age)
        return self._snapshot(
            now, max_age, known, metrics=GROUP_ACUS, rows=rows, sums=self._group_sums
        )

    def _teams(self, now: float, max_age: float) -> Snapshot:
        known, rows = self.team_rows(now, max_age)
        return self._snapshot(
            now, max_age, known, metrics=TEAM_ACUS, rows=rows, sums=self._team_sums
        )

    def _snapshot(
        self,
        now: float,
        max_age: float,
        known: Known,
        *,
        metrics: Mapping[str, Metric],
        rows: Rows,
        sums: _Family,
    ) -> Snapshot:
        """The rows of which every member's consumption is known, and 0 of names that are gone."""
        windows = self._windows(now).certain()
        days = tuple(window.days for window in windows.values())
        ledgers = self._ledgers.users, self._ledgers.service_users
        users, bots = (ledger.published(now, max_age) for ledger in ledgers)
        of_rows = sums.sums.of(
            rows.shown,
            self._users.of(users.accounts, days),
            self._service_users.of(bots.accounts, days),
        )
        extent = self._users.extent.joined(self._service_users.extent)
        coverage = Coverage(users.accounts, bots.accounts, extent, windows, now)
        covered = coverage.of_rows(rows.shown)
        products = self._ledgers.products_seen()

        def make() -> tuple[Sample, ...]:
            complete = [
                (name, window, product, acus)
                for name, figures in of_rows.items()
                for place, window in enumerate(windows)
                if window in covered[name]
                for product, acus in figures.used(place, products)
            ]
            shown = ((name, window) for name, window, _, _ in complete)
            empty = (
                (name, window, product, 0.0)
                for name, window in sums.names.gone(shown, windows)
                if name not in rows.shown and name not in rows.hidden
                for product in products
            )
            return tuple(
                Sample(metrics[window], (name, product), acus)
                for name, window, product, acus in (*complete, *empty)
            )

        samples = sums.samples.get((of_rows, rows, windows, covered, products), make)
        expires = min(known.expires, users.expires, bots.expires)
        return Snapshot(samples, expires=expires)
