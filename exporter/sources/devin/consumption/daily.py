"""The request for the days of an entity, which days it needs, and the parser of its response."""

from collections.abc import Iterator

from exporter.client.endpoint import Request
from exporter.client.rate_limit import Priority
from exporter.sources.devin.billing.windows import (
    Window,
    billing_day,
    billing_day_start,
    day_number,
)
from exporter.sources.devin.consumption.scopes import DailyResponse, DayItem, Scope
from exporter.sources.devin.consumption.usage import DailyUsage, EntityUsage

CLOSED_DAYS_SHARE = 1 / 12
"""Share of the sweep's interval after which a request is for the closed days too. It is no request
more, and whoever is requested has then had their turn in the sweep."""


def days_to_request(
    known: EntityUsage | None,
    *,
    days: range,
    changed_from: int,
    now: float,
    sweep_interval: float,
) -> range:
    """The days (numbers) to request of an entity that may have moved: the last ones, or all.

    The last ones begin with the day before the one that ran at the known response. So each day is
    requested once more after its end, in every calendar: none is at an earlier day than the
    documented one.

    Args:
        known: the usage of the entity, whose closed days can be kept.
        days: all days that are to be known.
        changed_from: the first day on which something has changed, by the total.
        now: Unix seconds.
        sweep_interval: seconds within which all days are requested.
    """
    if known is None or known.requested_at > now:
        return days
    if not 0 <= now - known.swept_at <= CLOSED_DAYS_SHARE * sweep_interval:
        return days
    ran_then = day_number(billing_day(known.requested_at).start)
    first = min(ran_then - 1, changed_from)
    can_keep = days.start < first and known.knows(range(days.start, first))
    return range(first, days.stop) if can_keep else days


def request(
    scope: Scope,
    entity: str,
    days: range,
    *,
    org_id: str | None,
    priority: Priority = Priority.LISTS,
) -> Request[DailyResponse]:
    """The request for these days (numbers) of an entity.

    Args:
        entity: its id; empty for the enterprise.
        org_id: the organization of the key; None for an enterprise's key.
    """
    own = scope.org_endpoint if org_id is not None else None
    return Request(
        endpoint=own or scope.endpoint,
        ids={"org_id": org_id or "", **({scope.label: entity} if scope.label else {})},
        params=Window(billing_day_start(days.start), billing_day_start(days.stop - 1)).params,
        priority=priority,
    )


def starts(response: DailyResponse) -> Iterator[float]:
    """The timestamps of the days that carry one (Unix seconds or milliseconds)."""
    return (item.date for item in response.consumption_by_date if isinstance(item.date, int))


def to_usage(response: DailyResponse, *, requested_at: float, days: range) -> EntityUsage:
    """The usage on these days, from the response to a request of `requested_at` (Unix seconds)."""
    return EntityUsage.of(
        map(_day_use, response.consumption_by_date), requested_at=requested_at, days=days
    )


def _day_use(item: DayItem) -> DailyUsage:
    return DailyUsage(item.day, item.acus, item.split)
