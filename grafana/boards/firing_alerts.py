"""What fires now: of `ALERTS`, which Prometheus and vmalert write of the rules."""

from grafana_foundation_sdk.builders import table

from grafana.builders.colours import SEVERITIES
from grafana.builders.overrides import coloured_words, setting
from grafana.builders.queries import rows
from grafana.builders.tables import column, filled, table_panel, wide_column

OURS = 'alertname=~"(Devin|AIone).+", job=~"$job|"'
ABOUT = ("task", "org_id", "user_id", "service_user_id", "status_detail")
_named = (
    f'label_join(ALERTS{{alertstate="firing", {OURS}}}, "about", " ", '
    + ", ".join(f'"{label}"' for label in ABOUT)
    + ")"
)
FIRING = f"max by (alertname, severity, about) ({_named})"


_severities = setting("mappings", [coloured_words(SEVERITIES)])


def firing_panel(*, width: int, height: int) -> table.Panel:
    """The alerts that fire."""
    return table_panel(
        "Alerts that fire",
        "Alerts of deploy/prometheus/rules.yml that fire now, with the task, organization or user "
        "that each is about. docs/runbook.md says what to do. Empty also where the rules are not "
        "loaded.",
        rows(FIRING),
        columns={
            "severity": column("Severity", 95, *filled(_severities)),
            "alertname": column("Alert", 215),
            "about": wide_column("About", 140),
        },
        empty=("alertname", "no alert is known to fire", FIRING),
        width=width,
        height=height,
    )
