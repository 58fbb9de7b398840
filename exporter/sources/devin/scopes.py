"""Whose consumption the API tells, and what is published of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pydantic import Field, TypeAdapter, field_validator

from exporter.metrics import Metric
from exporter.request import Endpoint
from exporter.shapes import ApiModel
from exporter.sources.devin import keys
from exporter.sources.devin.fields import Acus, Timestamp
from exporter.sources.devin.windows import billing_month_params, day_number

PRODUCTS = ("devin", "cascade", "terminal")
"""Products that are published even where nobody has used them; others once they are seen."""

ENTERPRISE = ""

_WINDOWS = {
    "today": "in the running billing day, which starts at 08:00 UTC",
    "yesterday": "in the last complete billing day",
    "cycle": "in the running billing cycle",
    "previous_cycle": "in the last complete billing cycle",
}


def _metrics(prefix: str, of: str, labels: tuple[str, ...], *windows: str) -> dict[str, Metric]:
    return {
        window: Metric(
            f"devin_{prefix}consumption_{window}_acus",
            f"ACUs of {of} {_WINDOWS[window]}; can go down when a day is restated.",
            (*labels, "product"),
        )
        for window in windows
    }


class DayItem(ApiModel):
    """One billing day; `acus_by_product` is an open map whose values may be null."""

    date: Timestamp
    acus: Acus
    acus_by_product: dict[str, Acus | None] = Field(default_factory=dict)


class DailyAnswer(ApiModel):
    """The fields read of every `…/consumption/daily…` endpoint."""

    consumption_by_date: tuple[DayItem, ...]

    @field_validator("consumption_by_date")
    @classmethod
    def _each_day_once(cls, items: tuple[DayItem, ...]) -> tuple[DayItem, ...]:
        if len({day_number(item.date) for item in items}) < len(items):
            raise ValueError("a day stands twice")
        return items


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """One kind of entity whose consumption the API tells.

    Attributes:
        org_endpoint: the one for an organization's key; None where it has none.
        label: the label (and path parameter) that holds an entity's id; None for the enterprise.
        metrics: the metric of each window.
        zeros: whether products without use are published as 0.
    """

    task: str
    endpoint: Endpoint[DailyAnswer]
    org_endpoint: Endpoint[DailyAnswer] | None
    label: str | None
    metrics: Mapping[str, Metric]
    zeros: bool

    @property
    def endpoints(self) -> tuple[Endpoint[DailyAnswer], ...]:
        """Those that there are."""
        return (self.endpoint, *([self.org_endpoint] if self.org_endpoint else []))


_RESPONSE = TypeAdapter(DailyAnswer)


def _endpoint(task: str, path: str = "") -> Endpoint[DailyAnswer]:
    return Endpoint(
        path=f"/v3/enterprise/consumption/daily{path}",
        response=_RESPONSE,
        feeds=f"ACUs ({task})",
        permission=keys.VIEW_CONSUMPTION,
        keys=keys.ENTERPRISE_ONLY,
        check_params=billing_month_params,
    )


def _org_endpoint(task: str, path: str = "") -> Endpoint[DailyAnswer]:
    return replace(
        _endpoint(task),
        path=f"/v3/organizations/{{org_id}}/consumption/daily{path}",
        permission=keys.VIEW_ORG_CONSUMPTION,
        keys=keys.ORGANIZATION_ONLY,
    )


ENTERPRISE_SCOPE = Scope(
    task="enterprise_consumption",
    endpoint=_endpoint("enterprise_consumption"),
    org_endpoint=None,
    label=None,
    metrics=_metrics("", "the enterprise", (), *_WINDOWS),
    zeros=True,
)
ORGANIZATION_SCOPE = Scope(
    task="organization_consumption",
    endpoint=_endpoint("organization_consumption", "/organizations/{org_id}"),
    org_endpoint=_org_endpoint("organization_consumption"),
    label="org_id",
    metrics=_metrics("organization_", "an organization", ("org_id",), *_WINDOWS),
    zeros=True,
)
_PERSONAL = ("today", "yesterday", "cycle")
USER_SCOPE = Scope(
    task="user_consumption",
    endpoint=_endpoint("user_consumption", "/users/{user_id}"),
    org_endpoint=_org_endpoint("user_consumption", "/users/{user_id}"),
    label="user_id",
    metrics=_metrics("user_", "a user", ("user_id",), *_PERSONAL),
    zeros=False,
)
SERVICE_USER_SCOPE = Scope(
    task="service_user_consumption",
    endpoint=_endpoint("service_user_consumption", "/service-users/{service_user_id}"),
    org_endpoint=_org_endpoint("service_user_consumption", "/service-users/{service_user_id}"),
    label="service_user_id",
    metrics=_metrics("service_user_", "a service user", ("service_user_id",), *_PERSONAL),
    zeros=False,
)

SCOPES = (ENTERPRISE_SCOPE, ORGANIZATION_SCOPE, USER_SCOPE, SERVICE_USER_SCOPE)
METRICS = tuple(metric for scope in SCOPES for metric in scope.metrics.values())
ENDPOINTS = tuple(endpoint for scope in SCOPES for endpoint in scope.endpoints)
