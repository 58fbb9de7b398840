"""Whose consumption the API tells, and what is published of it."""

from collections.abc import Mapping
from dataclasses import dataclass

from exporter.metrics import Metric

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """One kind of entity whose consumption the API tells.

    Attributes:
        own_endpoint: the path for an organization's key; None where it has none.
        label: the label (and path parameter) that holds an entity's id; None for the enterprise.
        metrics: the metric of each window.
        zeros: whether products without use are published as 0.
    """

    task: str
    endpoint: str
    own_endpoint: str | None
    label: str | None
    metrics: Mapping[str, Metric]
    zeros: bool


_DAILY = "/v3/enterprise/consumption/daily"
_OWN_DAILY = "/v3/organizations/{org_id}/consumption/daily"
ENTERPRISE_SCOPE = Scope(
    task="enterprise_consumption",
    endpoint=_DAILY,
    own_endpoint=None,
    label=None,
    metrics=_metrics("", "the enterprise", (), *_WINDOWS),
    zeros=True,
)
ORGANIZATION_SCOPE = Scope(
    task="organization_consumption",
    endpoint=f"{_DAILY}/organizations/{{org_id}}",
    own_endpoint=_OWN_DAILY,
    label="org_id",
    metrics=_metrics("organization_", "an organization", ("org_id",), *_WINDOWS),
    zeros=True,
)
_PERSONAL = ("today", "yesterday", "cycle")
USER_SCOPE = Scope(
    task="user_consumption",
    endpoint=f"{_DAILY}/users/{{user_id}}",
    own_endpoint=f"{_OWN_DAILY}/users/{{user_id}}",
    label="user_id",
    metrics=_metrics("user_", "a user", ("user_id",), *_PERSONAL),
    zeros=False,
)
SERVICE_USER_SCOPE = Scope(
    task="service_user_consumption",
    endpoint=f"{_DAILY}/service-users/{{service_user_id}}",
    own_endpoint=f"{_OWN_DAILY}/service-users/{{service_user_id}}",
    label="service_user_id",
    metrics=_metrics("service_user_", "a service user", ("service_user_id",), *_PERSONAL),
    zeros=False,
)

SCOPES = (ENTERPRISE_SCOPE, ORGANIZATION_SCOPE, USER_SCOPE, SERVICE_USER_SCOPE)
METRICS = tuple(metric for scope in SCOPES for metric in scope.metrics.values())
