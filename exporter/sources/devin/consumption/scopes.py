"""The scopes of consumption: kinds of entities with their endpoints and metrics."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from pydantic import TypeAdapter, field_validator

from exporter.client.endpoint import Endpoint
from exporter.client.models import Acus, ResponseModel, Timestamp
from exporter.exposition.text import Word
from exporter.metrics import Metric
from exporter.sources.devin import keys
from exporter.sources.devin.billing.windows import billing_month, day_number

PRODUCTS = ("devin", "cascade", "terminal")
"""Products that are published even without use; others are published once they are seen."""

ENTERPRISE = ""

_FIRST_DAY = dt.date(1970, 1, 1).toordinal()

_WINDOWS = {
    "today": "in the running billing day, which starts at 08:00 UTC",
    "yesterday": "in the last complete billing day",
    "cycle": "in the running billing cycle",
    "previous_cycle": "in the last complete billing cycle",
}


def window_metrics(
    prefix: str, of: str, labels: tuple[str, ...], *windows: str
) -> dict[str, Metric]:
    """A metric of consumption for each of these windows."""
    return {
        window: Metric(
            f"devin_{prefix}consumption_{window}_acus",
            f"ACUs of {of} {_WINDOWS[window]}; can go down when a day is restated.",
            (*labels, "product"),
        )
        for window in windows
    }


class DayItem(ResponseModel):
    """One billing day; `acus_by_product` may be missing, and have any keys and null values.

    Its `date` is the moment at which it starts, or a calendar date.
    """

    date: Timestamp | dt.date
    acus: Acus
    acus_by_product: dict[Word, Acus | None] | None = None

    @property
    def day(self) -> int:
        """Its number."""
        if isinstance(self.date, int):
            return day_number(self.date)
        return self.date.toordinal() - _FIRST_DAY

    @property
    def split(self) -> dict[str, float]:
        """The known ACUs by product."""
        split = self.acus_by_product or {}
        return {product: acus for product, acus in split.items() if acus is not None}


class DailyResponse(ResponseModel):
    """The fields read of every `…/consumption/daily…` endpoint."""

    consumption_by_date: tuple[DayItem, ...]

    @field_validator("consumption_by_date")
    @classmethod
    def _each_day_once(cls, items: tuple[DayItem, ...]) -> tuple[DayItem, ...]:
        days: dict[int, DayItem] = {}
        for item in items:
            same = days.setdefault(item.day, item)
            if (same.acus, same.split) != (item.acus, item.split):
                raise ValueError("a day stands twice, with different figures")
        return tuple(days.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """One kind of entity whose consumption the API reports.

    Attributes:
        org_endpoint: the endpoint for an organization's key; None if there is none.
        label: the label (and path parameter) that holds an entity's id; None for the enterprise.
        metrics: the metric of each window.
        zeros: whether products without use are published as 0.
    """

    task: str
    endpoint: Endpoint[DailyResponse]
    org_endpoint: Endpoint[DailyResponse] | None
    label: str | None
    metrics: Mapping[str, Metric]
    zeros: bool

    @property
    def endpoints(self) -> tuple[Endpoint[DailyResponse], ...]:
        """The endpoints for both kinds of keys."""
        return (self.endpoint, *([self.org_endpoint] if self.org_endpoint else []))


def _scope(
    kind: str,
    of: str,
    windows: Iterable[str],
    *,
    label: str | None,
    path: str,
    org_path: str | None,
    zeros: bool,
) -> Scope:
    """A scope, from the start of its task's name and the ends of its endpoints' paths."""
    task = f"{kind}_consumption"
    endpoint = Endpoint(
        path=f"/v3/enterprise/consumption/daily{path}",
        response=_RESPONSE,
        feeds=f"ACUs ({task})",
        permission=keys.VIEW_CONSUMPTION,
        keys=keys.ENTERPRISE_ONLY,
        check_params=lambda now: billing_month(now).params,
    )
    org_endpoint = replace(
        endpoint,
        path=f"/v3/organizations/{{org_id}}/consumption/daily{org_path}",
        permission=keys.VIEW_ORG_CONSUMPTION,
        keys=keys.ORGANIZATION_ONLY,
    )
    return Scope(
        task=task,
        endpoint=endpoint,
        org_endpoint=None if org_path is None else org_endpoint,
        label=label,
        metrics=window_metrics(
            f"{kind}_" if label else "", of, (label,) if label else (), *windows
        ),
        zeros=zeros,
    )


_RESPONSE = TypeAdapter(DailyResponse)
_PERSONAL = ("today", "yesterday", "cycle")

ENTERPRISE_SCOPE = _scope(
    "enterprise", "the enterprise", _WINDOWS, label=None, path="", org_path=None, zeros=True
)
ORGANIZATION_SCOPE = _scope(
    "organization",
    "an organization",
    _WINDOWS,
    label="org_id",
    path="/organizations/{org_id}",
    org_path="",
    zeros=True,
)
USER_SCOPE = _scope(
    "user",
    "a user",
    _PERSONAL,
    label="user_id",
    path="/users/{user_id}",
    org_path="/users/{user_id}",
    zeros=False,
)
SERVICE_USER_SCOPE = _scope(
    "service_user",
    "a service user",
    _PERSONAL,
    label="service_user_id",
    path="/service-users/{service_user_id}",
    org_path="/service-users/{service_user_id}",
    zeros=False,
)
SCOPES = (ENTERPRISE_SCOPE, ORGANIZATION_SCOPE, USER_SCOPE, SERVICE_USER_SCOPE)
METRICS = tuple(metric for scope in SCOPES for metric in scope.metrics.values())
ENDPOINTS = tuple(endpoint for scope in SCOPES for endpoint in scope.endpoints)
PARTS_ENDPOINTS = frozenset(
    endpoint
    for scope in (ORGANIZATION_SCOPE, USER_SCOPE, SERVICE_USER_SCOPE)
    for endpoint in scope.endpoints
    if endpoint is not ORGANIZATION_SCOPE.org_endpoint
)
"""Endpoints of parts of a total, which are requested only for those who may have moved."""
