"""The backfill of the v3 API: finished days, with the families, labels and values of live polls.

It covers the days of the ledger, totals and bounds of cycles, active users of complete UTC windows,
sessions and pull requests created by day, and prices by day. Names are those of now. The course
within a day or a cycle is left out, as no endpoint has it.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from exporter.client.checkpoint import Checkpoint
from exporter.client.endpoint import Request
from exporter.client.models import Rows
from exporter.errors import NotFoundError, PermissionMissingError, PollError, SwitchedOffError
from exporter.exposition.openmetrics import BackfillRange, Segment
from exporter.scheduling.task import Task
from exporter.sources.devin.activity import active_users, pull_requests, sessions_created
from exporter.sources.devin.activity.windowed import DailyCount
from exporter.sources.devin.backfill.consumption import ConsumptionBackfill, FinishedPeriods
from exporter.sources.devin.backfill.shares import SharesBackfill
from exporter.sources.devin.billing import cycles
from exporter.sources.devin.billing.windows import (
    Window,
    billing_day,
    billing_day_start,
    day_number,
)
from exporter.sources.devin.consumption import daily, scopes
from exporter.sources.devin.consumption.collector import Consumption
from exporter.sources.devin.data_set import Context, DataSet
from exporter.sources.devin.derived import pricing
from exporter.sources.devin.derived.teams import file as teams_file
from exporter.sources.devin.derived.teams import metrics as team_metrics
from exporter.sources.devin.derived.teams.shares import Shares
from exporter.sources.devin.members import models
from exporter.sources.devin.members import samples as member_samples
from exporter.sources.devin.settings import DevinSettings
from exporter.sources.devin_api import DevinApiSettings
from exporter.sources.source import Backfill, OpenSource

T = TypeVar("T")
INFOS = (
    member_samples.ORGANIZATION_INFO,
    member_samples.USER_INFO,
    member_samples.MEMBER_INFO,
    member_samples.SERVICE_USER_INFO,
    team_metrics.USER_GROUP,
    team_metrics.TEAM_MEMBER,
    teams_file.INFO,
    teams_file.BUDGET,
)
REFUSALS = frozenset({PermissionMissingError.reason, NotFoundError.reason})


def backfill(opened: OpenSource, span: BackfillRange) -> Backfill:
    """Request the lists of entities and plan the requests for their history.

    Raises:
        PollError: if a list, or the enterprise's days, fail for another reason than a missing
            permission or endpoint.
    """
    settings = opened.settings[DevinSettings]
    context = Context.of(opened)
    left_out = [*polled((context.identity.task(settings.poll_interval),))]
    ledgers = Consumption(
        opened.client, opened.clock, context, sweep_interval=settings.sweep_interval
    )
    shares = Shares(opened, context, ledgers)
    listing = (*_listing(context, settings), shares.file_task(), *shares.info_tasks())
    left_out += polled(listing)
    observe_days(opened, context, span)
    finished = _finished(context, span, opened.clock())
    plan = _Plan(context, settings, finished, listing, shares)
    who = context.identity.known
    principal = (who.org_id or who.service_user_id or "") if who else ""
    return Backfill(
        client=opened.client,
        owner=f"{opened.settings[DevinApiSettings].api_url} {principal}",
        left_out=tuple(left_out),
        requests=tuple(plan.requests()),
        stretches=plan.stretches,
    )


def _listing(context: Context, settings: DevinSettings) -> tuple[Task, ...]:
    """The tasks that list the entities; an organization's key needs its sessions, too."""
    interval = settings.poll_interval
    organizations, users, user_names, service_users = context.directory.tasks(
        interval, ranked_by=""
    )
    own = context.identity.org_id is not None
    return (
        context.cycles.task(interval),
        *((context.sessions.task(interval),) if own else ()),
        organizations,
        users,
        user_names,
        DataSet(service_users, (models.SERVICE_USERS,)).for_key(context.identity),
    )


def polled(listing: Iterable[Task]) -> Iterator[str]:
    """Poll each task once, and yield what the key has no access to."""
    for task in listing:
        try:
            if task.poll is not None:
                task.poll()
        except SwitchedOffError:
            continue
        except PollError as failure:
            if not failure.reasons <= REFUSALS:
                raise
            yield str(failure)


def observe_days(opened: OpenSource, context: Context, span: BackfillRange) -> bool:
    """See when billing days start, which decides the windows of all further requests.

    Returns whether there is any ACU, or the key may not read that.
    """
    now, org_id = opened.clock(), context.identity.org_id
    running = day_number(billing_day(now).start)
    scope = scopes.ENTERPRISE_SCOPE if org_id is None else scopes.ORGANIZATION_SCOPE
    days = range(running - span.days - 1, running + 2)
    request = daily.request(scope, org_id or scopes.ENTERPRISE, days, org_id=org_id)
    try:
        response = opened.client.get(request)
    except PollError as failure:
        if not failure.reasons <= REFUSALS:
            raise
        return True
    context.day_start.observe(daily.starts(response), requested_at=now)
    return any(day.acus or any(day.split.values()) for day in response.consumption_by_date)


def _finished(context: Context, span: BackfillRange, now: float) -> FinishedPeriods:
    running = day_number(billing_day(span.until).start)
    days = range(running - span.days, running)
    shown = Window(billing_day_start(days.start + 1), math.floor(span.until) + 1)
    windows = context.cycles.windows(now)
    return FinishedPeriods(
        shown=shown,
        days=days,
        cycles=tuple(context.cycles.over(shown.start, shown.end)),
        ranking=tuple(w for w in (windows.cycle, windows.previous_cycle) if w is not None),
        now=now,
        day_start=context.day_start,
    )


class _Plan:
    """The requests of a backfill, and the segments made from their responses."""

    def __init__(
        self,
        context: Context,
        settings: DevinSettings,
        finished: FinishedPeriods,
        listing: tuple[Task, ...],
        shares: Shares,
    ) -> None:
        self._settings = settings
        self._finished = finished
        self._calendar, *_ = context.day_start.calendars()
        self._own = context.identity.org_id is not None
        self._listing = listing
        self._consumption = ConsumptionBackfill(context, finished)
        self._shares = SharesBackfill(self._consumption, finished, shares)
        self._org_ids = self._consumption.org_ids

    def requests(self) -> Iterator[Sequence[Request[object]]]:
        """All requests, in groups; a refusal is likely to affect a whole group."""
        yield from self._consumption.requests()
        if not self._own:
            yield [self._active_users(period) for period in active_users.PERIODS]
            yield from self._daily_counts("")
        for org_id in self._org_ids:
            yield from self._daily_counts(org_id)

    def _active_users(self, period: active_users.Period) -> Request[Rows[active_users.ActiveUsers]]:
        return active_users.request(period, self._finished.shown.start, self._finished.now)

    def _daily_counts(self, org_id: str) -> Iterator[Sequence[Request[object]]]:
        yield [sessions_created.DAILY.request(org_id, day) for day in self._days()]
        yield [pull_requests.DAILY.request(org_id, day) for day in self._days()]

    def _days(self) -> Iterator[Window]:
        for day in self._finished.days:
            yield self._calendar.span(range(day, day + 1))

    def stretches(self, checkpoint: Checkpoint) -> Iterator[Segment]:
        """The whole history, by family and then by series."""
        totals = self._consumption.usage_totals(checkpoint)
        began = self._consumption.enterprise_began(totals)
        yield from self._bounds()
        yield from self._consumption.stretches(checkpoint, totals)
        yield from self._shares.stretches(checkpoint, totals)
        for period in active_users.PERIODS:
            yield from self._previous(period, checkpoint, began)
        yield from self._counted(sessions_created.DAILY, checkpoint, began)
        yield from self._counted(pull_requests.DAILY, checkpoint, began)
        yield from self._infos()
        yield from pricing.history(
            self._settings,
            self._finished.days,
            self._finished.shown,
            day_start=self._finished.day_start,
            products=totals.products,
        )

    def _bounds(self) -> Iterator[Segment]:
        for shown, cycle, _ in self._finished.cycles:
            yield Segment(shown.start, shown.end, cycles.START(cycle.start))
        for shown, cycle, _ in self._finished.cycles:
            yield Segment(shown.start, shown.end, cycles.END(cycle.end))

    def _previous(
        self, period: active_users.Period, checkpoint: Checkpoint, began: float
    ) -> Iterator[Segment]:
        response = checkpoint.response(self._active_users(period))
        users = active_users.by_first_day(response or ())
        running = period.running(self._finished.shown.start)
        while running.start < self._finished.shown.end:
            active = users.get(day_number(period.running(running.start - 1).start))
            shown = self._finished.cut(running.start, running.end)
            if active is not None:
                yield Segment(max(shown.start, began), shown.end, period.previous(active))
            running = period.running(running.end)

    def _counted(
        self, daily_count: DailyCount[T], checkpoint: Checkpoint, enterprise_began: float
    ) -> Iterator[Segment]:
        for org_id in ("", *self._org_ids):
            began = enterprise_began
            if org_id:
                began = self._consumption.created(org_id, enterprise_began)
            for day, window in zip(self._finished.days, self._days(), strict=True):
                response = checkpoint.response(daily_count.request(org_id, window))
                shown = self._finished.yesterday_shown(day)
                if response is not None:
                    sample = daily_count.sample(org_id, response)
                    yield Segment(max(shown.start, began), shown.end, sample)

    def _infos(self) -> Iterator[Segment]:
        now, shown = self._finished.now, self._finished.shown
        samples = [s for task in self._listing for s in task.snapshot(now, math.inf).samples]
        for metric in INFOS:
            for sample in sorted(
                (s for s in samples if s.metric is metric), key=lambda s: s.labels
            ):
                org_id = dict(zip(metric.labels, sample.labels, strict=True)).get("org_id", "")
                yield Segment(
                    max(shown.start, self._consumption.created(org_id, 0)), shown.end, sample
                )
