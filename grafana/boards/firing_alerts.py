"""What fires now: of `ALERTS`, which Prometheus and vmalert write of the rules."""

from grafana_foundation_sdk.builders import table

from grafana.builders.colours import SEVERITIES
from grafana.builders.overrides import coloured_words, setting
from grafana.builders.queries import rows
from grafana.builders.tables import column, filled, table_panel, wide_column

OURS = "(Devin|AIone).+"
ABOUT = ("task", "org_id", "user_id", "service_user_id", "team", "status_detail")


def _firing(alerts: str) -> str:
    chosen = f'alertstate="firing", alertname=~"{alerts}", job=~"$job|"'
    labels = ", ".join(f'"{label}"' for label in ABOUT)
    about = f'label_join(ALERTS{{{chosen}}}, "about", " ", {labels})'
    return f"max by (alertname, severity, about) ({about})"


_severities = setting("mappings", [coloured_words(SEVERITIES)])


def firing_panel(*, width: int, height: int, only: str = OURS) -> table.Panel:
    """The alerts that fire; of all, or of those with a name alone."""
    firing = _firing(only)
    return table_panel(
        "Alerts that fire",
        "Alerts of deploy/prometheus/rules.yml that fire now, with the task, organization, user "
        "or team that each is about. docs/runbook.md says what to do. Empty also where the "
        "rules are not loaded.",
        rows(firing),
        columns={
            "severity": column("Severity", 95, *filled(_severities)),
            "alertname": column("Alert", 215),
            "about": wide_column("About", 140),
        },
        empty=("alertname", "no alert is known to fire", firing),
        width=width,
        height=height,
    )
