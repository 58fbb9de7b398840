"""What finished days fix, for a backfill: the same families, labels and values as live.

The ledger's days, the cycles' totals and bounds, active users of complete UTC windows and the
sessions created by day; prices and names, which are told as they are now. Nothing is told of the
course of a day or a cycle, which no endpoint knows.
"""

import math
from collections.abc import Iterator, Sequence

from exporter.config.settings import Settings
from exporter.errors import NotFoundError, PermissionMissingError, PollError, SwitchedOffError
from exporter.history import Span, Stretch
from exporter.journal import Journal
from exporter.metrics import Sample
from exporter.request import Fetch, Request
from exporter.sources.connection import Past, Surroundings
from exporter.sources.devin import activity, cycles, directory, money, session_metrics
from exporter.sources.devin.basis import Basis, open_client
from exporter.sources.devin.past_consumption import Finished, PastConsumption
from exporter.sources.devin.settings import DevinSettings
from exporter.sources.devin.windows import (
    DAY,
    Window,
    billing_day,
    billing_day_start,
    day_number,
    utc_day,
)
from exporter.sources.devin_api import DevinApiSettings
from exporter.tasks import Task

INFOS = (
    directory.ORGANIZATION_INFO,
    directory.USER_INFO,
    directory.MEMBER_INFO,
    directory.SERVICE_USER_INFO,
    money.PRICE,
)
REFUSALS = frozenset({PermissionMissingError.reason, NotFoundError.reason})


def past(all_settings: Settings, surroundings: Surroundings, span: Span) -> Past | None:
    """Find out whom to ask for what; None if no key is set.

    Raises:
        PollError: if a list cannot be had for another reason than a lacking permission.
    """
    client = open_client(all_settings, surroundings)
    if client is None:
        return None
    settings = all_settings[DevinSettings]
    clock = surroundings.timing.clock
    basis = Basis.of(client, settings, clock)
    asking = (basis.who.task(settings.poll_interval),)
    left_out = [*_polled(asking)]
    listing = _listing(basis, settings)
    left_out += _polled(listing)
    finished = _finished(basis, span, clock())
    told = _Past(basis, finished, listing)
    who = basis.who.known
    principal = (who.org_id or who.service_user_id or "") if who else ""
    return Past(
        client=client,
        owner=f"{all_settings[DevinApiSettings].api_url} {principal}",
        left_out=tuple(left_out),
        requests=tuple(told.requests()),
        stretches=told.stretches,
    )


def _listing(basis: Basis, settings: DevinSettings) -> tuple[Task, ...]:
    """The tasks whose polls tell who there is; an organization's key needs its sessions, too."""
    interval = settings.poll_interval
    organizations, users, user_names, service_users = basis.people.tasks(interval, ranked_by="")
    own = basis.who.org_id is not None
    return (
        basis.billing.task(interval),
        *((basis.listed.task(interval),) if own else ()),
        organizations,
        users,
        user_names,
        basis.who.enterprise_only(service_users),
        money.task(basis.who.task(interval).source, settings),
    )


def _polled(listing: tuple[Task, ...]) -> Iterator[str]:
    """Poll each once, and tell what the key does not open."""
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


def _finished(basis: Basis, span: Span, now: float) -> Finished:
    running = day_number(billing_day(span.until).start)
    days = range(running - span.days, running)
    shown = Window(billing_day_start(days.start + 1), math.floor(span.until) + 1)
    windows = basis.billing.windows(now)
    return Finished(
        shown=shown,
        days=days,
        cycles=tuple(basis.billing.over(shown.start, shown.end)),
        ranking=tuple(w for w in (windows.cycle, windows.previous_cycle) if w is not None),
        now=now,
    )


class _Past:
    """What is asked for, and what becomes of the answers."""

    def __init__(self, basis: Basis, finished: Finished, listing: tuple[Task, ...]) -> None:
        self._finished = finished
        self._own = basis.who.org_id is not None
        self._listing = listing
        self._consumption = PastConsumption(basis, finished)
        self._org_ids = self._consumption.org_ids

    def requests(self) -> Iterator[Sequence[Fetch]]:
        """Everything, in groups that one refusal is likely to hit whole."""
        yield from self._consumption.requests()
        if not self._own:
            yield [self._active_users(period) for period in activity.PERIODS]
            yield [self._created("", day) for day in self._finished.days]
        for org_id in self._org_ids:
            yield [self._created(org_id, day) for day in self._finished.days]

    def _active_users(self, period: activity.Period) -> Request[tuple[activity.ActiveUsers, ...]]:
        first = period.running(self._finished.shown.start)
        before = period.running(first.start - 1)
        return Request(
            endpoint=activity.ENDPOINT.replace("{period}", period.endpoint),
            shape=activity.SHAPE,
            params={
                "time_after": int(before.start - DAY),
                "time_before": int(utc_day(self._finished.now).end + DAY),
            },
        )

    def _created(self, org_id: str, day: int) -> Request[session_metrics.SessionMetrics]:
        return Request(
            endpoint=session_metrics.ORGANIZATION_ENDPOINT if org_id else session_metrics.ENDPOINT,
            shape=session_metrics.SHAPE,
            ids={"org_id": org_id} if org_id else {},
            params={
                "time_after": int(billing_day_start(day)),
                "time_before": int(billing_day_start(day + 1)),
            },
        )

    def stretches(self, journal: Journal) -> Iterator[Stretch]:
        """The whole history, family by family and series by series."""
        survey = self._consumption.survey(journal)
        began = self._consumption.enterprise_began(survey)
        yield from self._bounds()
        yield from self._consumption.stretches(journal, survey)
        for period in activity.PERIODS:
            yield from self._previous(period, journal, began)
        yield from self._sessions(journal, "", began)
        for org_id in self._org_ids:
            yield from self._sessions(journal, org_id, began)
        yield from self._infos()

    def _bounds(self) -> Iterator[Stretch]:
        for metric, bound in ((cycles.START, _start), (cycles.END, _end)):
            for shown, cycle, _ in self._finished.cycles:
                yield Stretch(shown.start, shown.end, metric(bound(cycle)))

    def _previous(
        self, period: activity.Period, journal: Journal, began: float
    ) -> Iterator[Stretch]:
        answer = journal.answer(self._active_users(period))
        users = {day_number(item.start_time): item.active_users for item in answer or ()}
        running = period.running(self._finished.shown.start)
        while running.start < self._finished.shown.end:
            active = users.get(day_number(period.running(running.start - 1).start))
            shown = self._finished.cut(running.start, running.end)
            if active is not None:
                yield Stretch(max(shown.start, began), shown.end, period.previous(active))
            running = period.running(running.end)

    def _sessions(self, journal: Journal, org_id: str, began: float) -> Iterator[Stretch]:
        created = session_metrics.ORGANIZATION_CREATED if org_id else session_metrics.CREATED
        labels = {"org_id": org_id} if org_id else {}
        began = self._consumption.created(org_id, began) if org_id else began
        for day in self._finished.days:
            answer = journal.answer(self._created(org_id, day))
            shown = self._finished.yesterday_shown(day)
            if answer is not None:
                sample = created["yesterday"](answer.sessions_created_count, **labels)
                yield Stretch(max(shown.start, began), shown.end, sample)

    def _infos(self) -> Iterator[Stretch]:
        now, shown = self._finished.now, self._finished.shown
        samples = [s for task in self._listing for s in task.snapshot(now, math.inf).samples]
        for metric in INFOS:
            for sample in sorted((s for s in samples if s.metric is metric), key=_labels):
                org_id = dict(zip(metric.labels, sample.labels, strict=True)).get("org_id", "")
                yield Stretch(
                    max(shown.start, self._consumption.created(org_id, 0)), shown.end, sample
                )


def _start(window: Window) -> float:
    return window.start


def _end(window: Window) -> float:
    return window.end


def _labels(sample: Sample) -> tuple[str, ...]:
    return sample.labels
