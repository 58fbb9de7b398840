"""The billing cycles: `GET /v3/enterprise/consumption/cycles`."""

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Self

from pydantic import BaseModel, TypeAdapter, model_validator

from exporter.client.endpoint import Endpoint, Request
from exporter.client.http import Client
from exporter.client.models import ListPage, ResponseModel, Timestamp
from exporter.client.response import Response, is_fresh
from exporter.errors import NotFoundError, PermissionMissingError
from exporter.metrics import Metric, Sample
from exporter.scheduling.kept import Entry, Kept
from exporter.scheduling.task import Snapshot, Task
from exporter.sources.devin import keys
from exporter.sources.devin.billing.windows import (
    BillingWindows,
    Window,
    billing_month,
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

    def __init__(self, client: Client, clock: Callable[[], float], identity: Identity) -> None:
        self._client = client
        self._identity = identity
        self._clock = clock
        self._known: Response[tuple[Window, ...]] = Response(-math.inf, ())
        self._reported_at = -math.inf
        self._fell_back = False
        self._doubted = False

    def task(self, poll_interval: float) -> Task:
        """The task that polls them."""
        return Task(
            name=TASK,
            source=self._client.source,
            interval=poll_interval,
            metrics=METRICS,
            poll=self.poll,
            snapshot=self.snapshot,
            next_window_end=lambda now: self.windows(now).next_window_end,
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

    def windows(self, now: float) -> BillingWindows:
        """Today, yesterday and the cycles known at `now` (Unix seconds)."""
        known = self._known.value
        cycle = covering(known, now)
        if cycle is not None:
            return billing_windows(now, cycle=cycle, previous_cycle=ending_on(known, cycle.start))
        if not self._calendar_months(now):
            return billing_windows(now, cycle=None, previous_cycle=None)
        month = billing_month(now)
        previous = None if known else billing_month(month.start - 1)
        return billing_windows(now, cycle=month, previous_cycle=previous)

    def over(self, start: float, end: float) -> Iterator[tuple[Window, Window, Window | None]]:
        """The cycles from `start` to `end`: the time each was running, the cycle, the one before.

        Calendar months stand in if the API has no cycle at all.
        """
        known = sorted(self._known.value, key=lambda cycle: (cycle.start, cycle.end))
        if not known:
            known = [billing_month(end)]
            while known[0].start > start:
                known.insert(0, billing_month(known[0].start - 1))
        before = billing_month(known[0].start - 1) if not self._known.value else None
        for cycle, following in zip(known, [*known[1:], None], strict=True):
            ends = min(cycle.end, following.start) if following else cycle.end
            if cycle.start < end and ends > start:
                previous = ending_on(known, cycle.start) or before
                yield Window(max(cycle.start, start), min(ends, end)), cycle, previous
            before = None

    def _calendar_months(self, now: float) -> bool:
        """Whether the API has reported, since the last cycle ended, that it has none for now."""
        last_end = max((w.end for w in self._known.value if w.end <= now), default=-math.inf)
        return self._reported_at > -math.inf and self._reported_at >= last_end

    def snapshot(self, now: float, max_age: float) -> Snapshot:
        """The bounds of the running cycle while the response is fresh."""
        if self._reported_at == -math.inf:
            return Snapshot()
        if not is_fresh(self._reported_at, now, max_age):
            return Snapshot(expired_entities=1)
        windows = self.windows(now)
        samples = tuple(_samples(windows.cycle)) if windows.cycle else ()
        return Snapshot(samples, expires=self._reported_at + max_age)

    def _note_fallback(self, now: float) -> None:
        fell_back = covering(self._known.value, now) is None
        if fell_back and not self._fell_back:
            logger.warning("no billing cycle covers now; %s", STANDS_IN)
        self._fell_back = fell_back


def _samples(cycle: Window) -> Iterator[Sample]:
    yield START(cycle.start)
    yield END(cycle.end)
