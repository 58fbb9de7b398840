"""Cost by organization: the table of this cycle and the one before, and a line for each."""

from grafana_foundation_sdk.builders import table
from grafana_foundation_sdk.builders.common import TableSortByFieldState
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as model

from grafana.builders import promql as q
from grafana.builders.colours import BAD, BLUE, GOOD, WARNING
from grafana.builders.overrides import colour, setting, thresholds
from grafana.builders.panels import NO_PRICE, over_time, rows, table_panel


def _of_organizations(window: str) -> str:
    metric = f"devin_organization_consumption_{window}_acus"
    return f"sum by (org_id) ({q.latest(metric, q.ORGANIZATION)})"


THIS_CYCLE = _of_organizations("cycle")
CYCLE_BEFORE = _of_organizations("previous_cycle")
LIMIT = f"max by (org_id) ({q.latest('devin_organization_cycle_limit_acus', q.ORGANIZATION)})"

BY_ORGANIZATION = (
    table_panel(
        "Cost by organization: this cycle and the one before",
        "Cost at the price of now, and ACUs, of the running cycle so far and of the whole cycle "
        "before. Closeness is this cycle's ACUs against the organization's limit. Organizations "
        "hold cloud sessions alone; what they lack stands under «Not attributed».",
        rows(q.organization_names(THIS_CYCLE)),
        rows(q.cost(THIS_CYCLE)),
        rows(q.cost(CYCLE_BEFORE)),
        rows(THIS_CYCLE),
        rows(CYCLE_BEFORE),
        rows(LIMIT),
        rows(f"{THIS_CYCLE} / on (org_id) ({LIMIT} > 0)"),
        columns={
            "org_name": "Organization",
            "Value #B": "Cost",
            "Value #C": "Cost of the cycle before",
            "currency": "Currency",
            "Value #D": "ACUs",
            "Value #E": "ACUs of the cycle before",
            "Value #F": "Limit, ACUs",
            "Value #G": "Closeness",
        },
        hidden=("org_id",),
        width=12,
        empty="no organization is known",
    )
    .sort_by([TableSortByFieldState().display_name("ACUs").desc(True)])  # noqa: FBT003
    .override_by_regexp("/Cost/", [setting("decimals", 2)])
    .override_by_regexp("/^ACUs/", [setting("decimals", 1)])
    .override_by_name(
        "Closeness",
        [
            setting("unit", "percentunit"),
            setting("max", 1),
            setting("custom.cellOptions", options.TableBarGaugeCellOptions()),
            setting("color", {"mode": "thresholds"}),
            setting("thresholds", thresholds(GOOD, (0.8, WARNING), (1, BAD)).build()),
        ],
    )
)

_each_organization = q.last(
    "devin_organization_consumption_yesterday_acus", q.OF_DAY_FROM_HERE, q.ORGANIZATION
)
_organization_days = f"sum by (org_id) ({_each_organization})"
_organizations_of_range = (
    f"last_over_time(devin_organization_consumption_yesterday_acus{{{q.ORGANIZATION}, "
    'product="devin"}[$__range] @ end())'
)


def _trend(title: str, about: str, column: str, by_organization: str, empty: str) -> table.Panel:
    """A line for each organization, in a table."""
    named = q.with_organization_name(by_organization, _organizations_of_range, at=" @ end()")
    return (
        table_panel(title, about, over_time(named, "", step="1d"), columns={}, width=6, empty=empty)
        .transformations(
            [
                model.DataTransformerConfig(
                    "timeSeriesTable", options={"A": {"stat": "lastNotNull"}}
                ),
                model.DataTransformerConfig(
                    "filterFieldsByName",
                    options={"include": {"pattern": "/^(org_name|Trend.*)$/"}},
                ),
            ]
        )
        .override_by_name("org_name", [setting("displayName", "Organization")])
        .override_by_regexp(
            "/^Trend/",
            [
                setting("displayName", column),
                setting("custom.cellOptions", options.TableSparklineCellOptions()),
                colour(BLUE),
            ],
        )
    )


TRENDS = (
    _trend(
        "Cost by day and organization",
        "A line for each organization: the cost of each complete billing day in the range, at that "
        "day's price, and that of the last one as a number.",
        "Cost by day",
        q.cost(_organization_days),
        NO_PRICE,
    ),
    _trend(
        "ACUs by day and organization",
        "A line for each organization: the ACUs of each complete billing day in the range, and "
        "those of the last one as a number.",
        "ACUs by day",
        _organization_days,
        "no day is known in this range",
    ),
)
