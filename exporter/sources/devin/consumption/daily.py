"""The request for an entity's days, and the account that its response is."""

from exporter.client.endpoint import Request
from exporter.sources.devin.billing.windows import Window, billing_day_start, day_number
from exporter.sources.devin.consumption.ledger import DailyUsage, EntityUsage
from exporter.sources.devin.consumption.scopes import DailyAnswer, DayItem, Scope


def request(scope: Scope, entity: str, days: range, *, org_id: str | None) -> Request[DailyAnswer]:
    """The request for these days of an entity, with an enterprise's or an organization's key."""
    own = scope.org_endpoint if org_id is not None else None
    return Request(
        endpoint=own or scope.endpoint,
        ids={"org_id": org_id or "", **({scope.label: entity} if scope.label else {})},
        params=Window(billing_day_start(days.start), billing_day_start(days.stop - 1)).params,
    )


def to_account(answer: DailyAnswer, *, sent: float, days: range) -> EntityUsage:
    """What an answer to a request sent at `sent` says of these days."""
    return EntityUsage.of(map(_day_use, answer.consumption_by_date), sent=sent, days=days)


def _day_use(item: DayItem) -> DailyUsage:
    split = {name: acus for name, acus in item.acus_by_product.items() if acus is not None}
    return DailyUsage(day_number(item.date), item.acus, split)
