"""Automations of organizations, and code scans where the deployment has them."""

from grafana.builders.colours import AMBER, VERMILION
from grafana.builders.overrides import colour, spoken
from grafana.builders.panels import ENTERPRISE_ONLY, LOCAL, ranking_panel
from grafana.builders.queries import now, rows
from grafana.builders.tables import Ranked, ranking_table
from grafana.expressions import names
from grafana.expressions import promql as q

NO_SCAN = "no code scan is known"
HEIGHT = 7
SEVERITIES = ("critical", "high", "medium", "low")

_enabled = (
    "max by (org_id) ("
    + q.latest("devin_organization_automations", f'{q.ORGANIZATION}, state="enabled"')
    + ")"
)
AUTOMATIONS = ranking_table(
    "Automations enabled",
    "Automations that are enabled, by organization; the 15 with most. Organizations where the key "
    "may not read them are not shown.",
    rows(names.with_organization_name(f"topk(15, {_enabled})", _enabled)),
    ranked=Ranked(label="org_name", names="Organization", figures="Enabled"),
    empty=("no automation is known", _enabled),
    height=HEIGHT,
)


def _of_scans(name: str, matchers: str = q.JOB) -> str:
    return f"max({q.latest(f'devin_code_scan_{name}', matchers)})"


_findings = ranking_panel(
    "Open findings of code scans",
    "Findings of the running billing cycle's code scans that are open, by severity. "
    f"{ENTERPRISE_ONLY}",
    LOCAL,
    *(
        now(_of_scans("open_findings", f'{q.JOB}, severity="{severity}"'), spoken(severity))
        for severity in SEVERITIES
    ),
    height=HEIGHT,
    empty=NO_SCAN,
)
for _severity, _shade in (("critical", VERMILION), ("high", AMBER)):
    _findings = _findings.override_by_name(spoken(_severity), [colour(_shade)])

CODE_SCANS = (
    _findings,
    ranking_panel(
        "Code scans",
        "Code scans created in the running billing cycle, the repositories that they scanned, and "
        f"the pull requests that they led to, by what has become of them. {ENTERPRISE_ONLY}",
        LOCAL,
        now(_of_scans("scans"), "Scans"),
        now(_of_scans("repositories"), "Repositories"),
        now(
            f"max by (state) ({q.latest('devin_code_scan_prs')})",
            "Pull requests {{state}}",
        ),
        height=HEIGHT,
        empty=NO_SCAN,
    ),
)
