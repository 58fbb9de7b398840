"""The request for the days of an entity, and the parser of its response."""

from collections.abc import Iterator

from exporter.client.endpoint import Request
from exporter.client.rate_limit import Priority
from exporter.sources.devin.billing.windows import Window, billing_day_start
from exporter.sources.devin.consumption.scopes import DailyResponse, DayItem, Scope
from exporter.sources.devin.consumption.usage import DailyUsage, EntityUsage


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
