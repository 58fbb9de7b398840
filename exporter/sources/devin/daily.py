"""The request for an entity's days, and the account that its answer is."""

from pydantic import Field, TypeAdapter, field_validator

from exporter.errors import SwitchedOffError
from exporter.request import Request
from exporter.shapes import ApiModel
from exporter.sources.devin.fields import Acus, Timestamp
from exporter.sources.devin.ledger import Account, DayUse
from exporter.sources.devin.scopes import Scope
from exporter.sources.devin.windows import billing_day_start, day_number
from exporter.texts import Word


class DayItem(ApiModel):
    """One billing day; `acus_by_product` is an open map whose values may be null."""

    date: Timestamp
    acus: Acus
    acus_by_product: dict[Word, Acus | None] = Field(default_factory=dict)


class DailyAnswer(ApiModel):
    """The fields read of every `…/consumption/daily…` endpoint."""

    consumption_by_date: tuple[DayItem, ...]

    @field_validator("consumption_by_date")
    @classmethod
    def _each_day_once(cls, items: tuple[DayItem, ...]) -> tuple[DayItem, ...]:
        if len({day_number(item.date) for item in items}) < len(items):
            raise ValueError("a day stands twice")
        return items


SHAPE = TypeAdapter(DailyAnswer)


def request(scope: Scope, entity: str, days: range, *, org_id: str | None) -> Request[DailyAnswer]:
    """Ask for these days of an entity, with the key of an enterprise or of one organization.

    Raises:
        SwitchedOffError: if an organization's key cannot ask for entities of this kind.
    """
    endpoint = scope.endpoint if org_id is None else scope.own_endpoint
    if endpoint is None:
        raise SwitchedOffError("the key is an organization's")
    return Request(
        endpoint=endpoint,
        shape=SHAPE,
        ids={"org_id": org_id or "", **({scope.label: entity} if scope.label else {})},
        params={
            "time_after": int(billing_day_start(days.start)),
            "time_before": int(billing_day_start(days.stop - 1)),
        },
    )


def account_of(answer: DailyAnswer, *, sent: float, days: range) -> Account:
    """What an answer to a request sent at `sent` says of these days."""
    return Account.of(map(_day_use, answer.consumption_by_date), sent=sent, days=days)


def _day_use(item: DayItem) -> DayUse:
    split = {name: acus for name, acus in item.acus_by_product.items() if acus is not None}
    return DayUse(day_number(item.date), item.acus, split)
