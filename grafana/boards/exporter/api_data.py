"""What the exporter's board says of the data that Devin's API sends."""

from grafana_foundation_sdk.builders.common import TableSortByFieldState

from grafana.builders.colours import TEXT, WARNING
from grafana.builders.overrides import BY_THRESHOLD, thresholds
from grafana.builders.panels import stat_panel
from grafana.builders.queries import now, rows
from grafana.builders.tables import number_column, table_panel, wide_column
from grafana.expressions import promql as q

DOCUMENTED_HOUR = 8

DAY_START = (
    stat_panel(
        "Billing day starts",
        "The hour that the newest billing day in the API's responses carries. "
        f"{DOCUMENTED_HOUR}:00 UTC is documented, and these dashboards are made for it: with "
        "another one, days on their axes are shifted by the difference.",
        "suffix: h UTC",
        now(f"max({q.latest('devin_billing_day_start_hour')})", "by the API's days"),
        width=8,
    )
    .color_scheme(BY_THRESHOLD)
    .thresholds(thresholds(WARNING, (DOCUMENTED_HOUR, TEXT), (DOCUMENTED_HOUR + 1, WARNING)))
)

_unreadable = f"max by (path) ({q.latest('devin_unreadable_values')}) > 0"
UNREADABLE = table_panel(
    "Unreadable rows",
    "Rows of the last response of Devin's API that cannot be read, by the path of the endpoint. "
    "They are left out; a count or a sum that needs them is absent. The exporter's log has the "
    "reason.",
    rows(_unreadable),
    columns={"path": wide_column("Path", 250), "Value #A": number_column("Rows", 80)},
    empty=("path", "no such row is known", _unreadable),
    width=8,
    height=5,
).sort_by([TableSortByFieldState().display_name("Rows").desc(True)])  # noqa: FBT003
