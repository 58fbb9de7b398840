"""The billing cycles: `GET /v3/enterprise/consumption/cycles`."""

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Self

from pydantic import BaseModel, TypeAdapter, model_validator

from exporter.client.endpoint import Endpoint, Request
from exporter.client.http import Client
from exporter.client.models import ListPage, ResponseModel, Timestamp
from exporter.client.response import Response, is_fresh
from exporter.errors import NotFoundError, PermissionMissingError, ShapeError
from exporter.metrics import Metric, Sample
from exporter.scheduling.kept import Entry, Kept
from exporter.scheduling.task import Snapshot, Task
from exporter.sources.devin import keys
from exporter.sources.devin.billing.day_start import DayStart
from exporter.sources.devin.billing.windows import (
    BillingWindows,
    Calendar,
    Window,
    billing_windows,
    covering,
    ending_on,
    seconds,
)
from exporter.sources.devin.identity import Identity

logger = logging.getLogger(__name__)

TASK = "cycles"
STANDS_IN = "the calendar month stands in for a cycle that is not known"

START = Metric(
    "devin_billing_cycle_start_timestamp_seconds",
    "Start of the running billing cycle, in Unix seconds.",
)
END = Metric(
    "devin_billing_cycle_end_timestamp_seconds",
    "End of the running billing cycle, in Unix seconds.",
)
METRICS = (START, END)


class CycleItem(ResponseModel):
    """One cycle: `after <= moment < before`, in Unix seconds."""

    after: Timestamp
    before: Timestamp

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.after >= self.before:
            raise ValueError("a cycle must end after it starts")
        return self


ENDPOINT = Endpoint(
    path="/v3/enterprise/consumption/cycles",
    response=TypeAdapter(ListPage[CycleItem]),
    feeds="billing cycles",
    permission=keys.VIEW_CONSUMPTION,
    keys=keys.ENTERPRISE_ONLY,
)


class _KeptCycles(BaseModel):
    """What is kept across restarts; times in Unix seconds."""

    requested_at: float | None
    reported_at: float
    cycles: list[tuple[float, float]]
    doubted: bool


class Cycles:
    """The billing cycles as last reported; the calendar month if the API has none for now."""

    def __init__(
        self,
        client: Client,
        clock: Callable[[], float],
        identity: Identity,
        day_start: DayStart,
    ) -> None:
        self._client = client
        self._identity = identity
        self._clock = clock
        self._day_start = day_start
        self._known: Response[tuple[Window, ...]] = Response(-math.inf, ())
        self._reported_at = -math.inf
        self._fell_back = False
        self._doubted = False

    def task(self, poll_interval: float, *, days_seen_by: tuple[str, ...] = ()) -> Task:
        """The task that polls them.

        Args:
            days_seen_by: the tasks whose polls show when billing days start.
        """
        return Task(
            name=TASK,
            source=self._client.source,
            interval=poll_interval,
            metrics=METRICS,
            poll=self.poll,
            snapshot=self.snapshot,
            next_window_end=lambda now: self.windows(now).next_window_end,
            republish_after=days_seen_by,
            notify_on_change=True,
            kept=(Kept(name=TASK, entries=self._entries, restore=self._restore),),
        )

    def _entries(self) -> Mapping[str, Entry]:
        if self._reported_at == -math.inf:
            return {}
        known = _KeptCycles(
            requested_at=None
            if self._known.requested_at == -math.inf
            else self._known.requested_at,
            reported_at=self._reported_at,
            cycles=[(window.start, window.end) for window in self._known.value],
            doubted=self._doubted,
        ).model_dump_json()
        return {TASK: Entry(known, known.encode)}

    def _restore(self, values: Mapping[str, bytes]) -> None:
        for value in values.values():
            known = _KeptCycles.model_validate_json(value)
            at = -math.inf if known.requested_at is None else known.requested_at
            self._known = Response(at, tuple(Window(*bounds) for bounds in known.cycles))
            self._reported_at, self._doubted = known.reported_at, known.doubted

    def poll(self) -> None:
        """Request the cycles. Raises `PollError`."""
        requested_at = self._clock()
        if self._identity.org_id is not None:
            # An organization's key has no access to cycles; calendar months stand in.
            self._known, self._reported_at = Response(requested_at, ()), requested_at
            return
        try:
            items = self._client.get_list(Request(endpoint=ENDPOINT))
        except (PermissionMissingError, NotFoundError) as refusal:
            self._reported_at = requested_at
            raise type(refusal)(f"{refusal}; {STANDS_IN}") from None
        windows = tuple(Window(seconds(item.after), seconds(item.before)) for item in items)
        if items.unreadable:
            windows = self._with_known(windows)
            if covering(windows, requested_at) is None:
                raise ShapeError(f"{ENDPOINT.path}: no cycle that can be read covers now")
        self._reported_at = requested_at
        lost = (
            covering(windows, requested_at) is None
            and covering(self._known.value, requested_at) is not None
        )
        # As in all lists, an entry is dropped only when it is absent for the second time.
        self._doubted = lost and not self._doubted
        if self._doubted:
            return
        self._known = Response(requested_at, windows)
        self._note_fallback(requested_at)

    def _with_known(self, listed: tuple[Window, ...]) -> tuple[Window, ...]:
        """The listed cycles, and those known before that a row that cannot be read may be of."""
        known = (w for w in self._known.value if not any(map(w.overlaps, listed)))
        return (*listed, *known)

    def windows(self, now: float) -> BillingWindows:
        """Today, yesterday and the cycles known at `now` (Unix seconds)."""
        own, *others = (
            self._by_calendar(calendar, now) for calendar in self._day_start.calendars()
        )
        return replace(own, others=tuple(others))

    def _by_calendar(self, calendar: Calendar, now: float) -> BillingWindows:
        """The windows if billing days start by this calendar; a cycle is made of whole days."""
        known = [calendar.span(cycle.days) for cycle in self._known.value]
        by_calendar = partial(billing_windows, now, calendar=calendar)
        cycle = covering(known, now)
        if cycle is not None:
            return by_calendar(cycle=cycle, previous_cycle=ending_on(known, cycle.start))
        if not self._calendar_months(known, now):
            return by_calendar(cycle=None, previous_cycle=None)
        month = calendar.month(now)
        previous = None if known else calendar.month(month.start - 1)
        return by_calendar(cycle=month, previous_cycle=previous)

    def over(self, start: float, end: float) -> Iterator[tuple[Window, Window, Window | None]]:
        """The cycles from `start` to `end`: the time each was running, the cycle, the one before.

        Calendar months stand in if the API has no cycle at all.
        """
        calendar, *_ = self._day_start.calendars()
        known = sorted(
            (calendar.span(cycle.days) for cycle in self._known.value),
            key=lambda cycle: (cycle.start, cycle.end),
        )
        before = None
        if not known:
            known = [calendar.month(end)]
            while known[0].start > start:
                known.insert(0, calendar.month(known[0].start - 1))
            before = calendar.month(known[0].start - 1)
        for cycle, following in zip(known, [*known[1:], None], strict=True):
            days = cycle.days
            if following:
                days = range(days.start, min(days.stop, following.days.start))
            running = self._day_start.certain_span(days)
            if running.start < end and running.end > start:
                previous = ending_on(known, cycle.start) or before
                yield Window(max(running.start, start), min(running.end, end)), cycle, previous
            before = None

    def _calendar_months(self, known: Iterable[Window], now: float) -> bool:
        """Whether the API has reported, since the last cycle ended, that it has none for now."""
        last_end = max((w.end for w in known if w.end <= now), default=-math.inf)
        return self._reported_at > -math.inf and self._reported_at >= last_end

    def snapshot(self, now: float, max_age: float) -> Snapshot:
        """The bounds of the running cycle while the response is fresh."""
        if self._reported_at == -math.inf:
            return Snapshot()
        if not is_fresh(self._reported_at, now, max_age):
            return Snapshot(expired_entities=1)
        cycle = self.windows(now).certain().get("cycle")
        samples = tuple(_samples(cycle)) if cycle else ()
        return Snapshot(samples, expires=self._reported_at + max_age)

    def _note_fallback(self, now: float) -> None:
        fell_back = covering(self._known.value, now) is None
        if fell_back and not self._fell_back:
            logger.warning("no billing cycle covers now; %s", STANDS_IN)
        self._fell_back = fell_back


def _samples(cycle: Window) -> Iterator[Sample]:
    yield START(cycle.start)
    yield END(cycle.end)
