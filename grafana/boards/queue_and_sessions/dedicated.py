"""What dedicated deployments have: hypervisors, and violations of guardrails."""

from grafana_foundation_sdk.builders.common import TableSortByFieldState

from grafana.builders.charts import line_panel
from grafana.builders.overrides import setting, words
from grafana.builders.panels import ENTERPRISE_ONLY, LOCAL, Panel, as_people_write
from grafana.builders.queries import over_time, rows
from grafana.builders.tables import column, number_column, table_panel, wide_column
from grafana.expressions import promql as q

HYPERVISOR_STATUSES = ("available", "unavailable", "restarting", "draining", "offline")
ACTIONS = ("allowed", "blocked", "flagged", "logged", "warned")
_violations = (
    f"max by (guardrail_name, action_taken) ({q.latest('devin_guardrail_violations_cycle')})"
)

DEDICATED: tuple[Panel, ...] = (
    as_people_write(
        line_panel(
            "Hypervisors",
            f"Hypervisors of a dedicated deployment, by status. {ENTERPRISE_ONLY}",
            LOCAL,
            over_time(f"max by (status) ({q.latest('devin_hypervisors')})", "{{status}}"),
            axis="hypervisors",
            width=7,
            many=True,
            empty="no hypervisor is known at the steps of this range",
        ).decimals(0),
        HYPERVISOR_STATUSES,
    ),
    line_panel(
        "Fullest hypervisors",
        f"How much of a hypervisor is in use, the 10 fullest at each moment. {ENTERPRISE_ONLY}",
        "percentunit",
        over_time(
            f"topk(10, max by (hypervisor_id) ({q.latest('devin_hypervisor_utilization_ratio')}))",
            "{{hypervisor_id}}",
        ),
        axis="in use",
        width=7,
        many=True,
        empty="no hypervisor is known at the steps of this range",
    ).max(1),
    table_panel(
        "Guardrail violations",
        f"In the running billing cycle, by guardrail and by what was done. {ENTERPRISE_ONLY}",
        rows(_violations),
        columns={
            "guardrail_name": wide_column("Guardrail", 150),
            "action_taken": column("Action", 90, setting("mappings", [words(*ACTIONS)])),
            "Value #A": number_column("Violations", 110),
        },
        empty=("guardrail_name", "no violation is known", _violations),
        width=10,
        height=9,
    ).sort_by([TableSortByFieldState().display_name("Violations").desc(True)]),  # noqa: FBT003
)
