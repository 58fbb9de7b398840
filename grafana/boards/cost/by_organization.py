"""Cost by organization: this cycle, the one before, and each day's course, in one table."""

from grafana_foundation_sdk.builders.common import TableSortByFieldState
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as model

from grafana.builders.colours import BAD, BLUE, GOOD, NONE, WARNING
from grafana.builders.overrides import colour, setting, thresholds
from grafana.builders.queries import over_time, rows
from grafana.builders.tables import (
    Column,
    bar_column,
    column,
    number_column,
    table_panel,
    wide_column,
)
from grafana.expressions import days, money, names
from grafana.expressions import promql as q


def _of_organizations(window: str, products: str = "") -> str:
    metric = f"devin_organization_consumption_{window}_acus"
    matchers = f"{q.ORGANIZATION}, {products}" if products else q.ORGANIZATION
    return f"sum by (org_id) ({q.latest(metric, matchers)})"


def _limit(agent: str) -> str:
    metric = f"devin_organization_{agent}cycle_limit_acus"
    return f"max by (org_id) ({q.latest(metric, q.ORGANIZATION)})"


def _used(products: str, limit: str) -> str:
    return f"{_of_organizations('cycle', products)} / on (org_id) ({limit} > 0)"


def _closeness_column(name: str) -> Column:
    return bar_column(name, 110, setting("max", 1), unit="percentunit", by_threshold=CLOSENESS)


THIS_CYCLE = _of_organizations("cycle")
CYCLE_BEFORE = _of_organizations("previous_cycle")
COST_OF_THIS = money.rows_so_far("organization", "org_id", THIS_CYCLE, q.ORGANIZATION)
COST_BEFORE = money.rows_of_previous("organization", "org_id", CYCLE_BEFORE, q.ORGANIZATION)
LIMIT = _limit("")
LOCAL_LIMIT = _limit("local_agent_")
_each_organization = q.last(
    "devin_organization_consumption_yesterday_acus", days.OF_DAY_FROM_HERE, q.ORGANIZATION
)
BY_DAY = f"sum by (org_id) ({_each_organization})"


CLOSENESS = thresholds(GOOD, (0.8, WARNING), (1, BAD), below=NONE)

BY_ORGANIZATION = (
    table_panel(
        "Cost by organization",
        "Of the running billing cycle so far, and of the whole cycle before. "
        f"{money.AT_ITS_PRICE} Change is that of the mean day's cost in each, or of its ACUs where "
        "no cost is known. By day: ACUs of each complete day of the last 30 (with fixed dates: of "
        "those). Used is this cycle's ACUs "
        "against the organization's limits: cloud sessions against the limit shown, IDE and CLI "
        "use against the local one. What organizations lack stands under «Not attributed».",
        rows(names.organization_names(THIS_CYCLE)),
        rows(COST_OF_THIS),
        rows(COST_BEFORE),
        over_time(BY_DAY, "", step="1d"),
        rows(THIS_CYCLE),
        rows(LIMIT),
        rows(_used(q.UNDER_CLOUD_LIMIT, LIMIT)),
        rows(
            money.change_per_day(
                (COST_OF_THIS, COST_BEFORE), (THIS_CYCLE, CYCLE_BEFORE), by="org_id"
            )
        ),
        rows(_used(q.UNDER_LOCAL_LIMIT, LOCAL_LIMIT)),
        columns={
            "org_name": wide_column("Organization", 150),
            "Value #B": number_column("This cycle, $currency", 150),
            "Value #C": number_column("Last cycle, $currency", 150),
            "Value #H": number_column("Change per day", 145, unit="percentunit"),
            "Trend #D": column(
                "ACUs by day",
                230,
                setting("custom.cellOptions", options.TableSparklineCellOptions()),
                colour(BLUE),
            ),
            "Value #E": number_column("ACUs", 90),
            "Value #F": number_column("Cloud limit", 115),
            "Value #G": _closeness_column("Cloud used"),
            "Value #I": _closeness_column("Local used"),
        },
        hidden=("org_id",),
        empty=("org_name", "no organization is known", THIS_CYCLE),
        before=[
            model.DataTransformerConfig("timeSeriesTable", options={"D": {"stat": "lastNotNull"}})
        ],
        height=9,
    )
    .time_from("30d")
    .max_data_points(10_000)
    .sort_by([TableSortByFieldState().display_name("ACUs").desc(True)])  # noqa: FBT003
)
