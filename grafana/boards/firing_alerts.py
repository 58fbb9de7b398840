"""What fires now: of `ALERTS`, which Prometheus and vmalert write of the rules."""

from grafana_foundation_sdk.builders import table
from grafana_foundation_sdk.builders.common import TableSortByFieldState

from grafana.builders.colours import SEVERITIES
from grafana.builders.overrides import coloured_words, setting
from grafana.builders.queries import rows
from grafana.builders.tables import column, filled, table_panel, wide_column
from grafana.expressions import names

OURS = "(Devin|AIone).+"
ABOUT = ("task", "org_name", "user", "service_user_name", "team", "why")
MOST_UNDERSCORES = 4
"""Of a word of the API: in each one, a space stands for them."""


def _spaced(values: str, label: str) -> str:
    for _ in range(MOST_UNDERSCORES):
        values = f'label_replace({values}, "{label}", "$1 $2", "{label}", "(.+)_(.+)")'
    return values


def _firing(alerts: str) -> str:
    """1 by `alertname`, `severity` and `about`: names where they are known, else ids."""
    chosen = f'ALERTS{{alertstate="firing", alertname=~"{alerts}", job=~"$job|"}}'
    words = _spaced(_spaced(chosen, "task"), "status_detail")
    named = f'label_replace({words}, "why", "($1)", "status_detail", "(.+)")'
    for name in (
        names.with_organization_name,
        names.with_user_name,
        names.with_service_user_name,
    ):
        named = name(named, chosen)
    labels = ", ".join(f'"{label}"' for label in ABOUT)
    about = f'label_join({named}, "about", " ", {labels})'
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
    ).sort_by(
        [
            TableSortByFieldState().display_name("Severity"),
            TableSortByFieldState().display_name("Alert"),
        ]
    )
