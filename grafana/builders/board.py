"""What stands around the panels of every dashboard: variables, links, time zone, identity."""

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.builders.dashboard import Row
from grafana_foundation_sdk.models import dashboard as model

from grafana.builders.panels import BILLING_TIMEZONE, DATASOURCE, TAG, Panel
from grafana.builders.promql import JOB, NAMES_WITHIN, ORGANIZATION

Variable = dashboard.QueryVariable | dashboard.DatasourceVariable
Section = tuple[str, Sequence[Panel]]
"""A row's title and its panels."""


def query_variable(name: str, label: str, about: str, query: str) -> dashboard.QueryVariable:
    """A variable whose values Prometheus knows, asked again when the range changes."""
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .description(about)
        .datasource(DATASOURCE)
        .query({"query": query, "refId": name})
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
    )


ALWAYS_THERE = (
    "devin_exporter_build_info",
    "devin_consumption_yesterday_acus",
    "devin_organization_consumption_yesterday_acus",
)
"""One of them is there whenever the exporter ran, and in backfilled history."""

DATASOURCE_VARIABLE = (
    dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")
)
JOB_VARIABLE = query_variable(
    "job",
    "Job",
    "The scrape job of the exporter.",
    f'label_values({{__name__=~"{"|".join(ALWAYS_THERE)}"}}, job)',
)


def _organization_variable() -> dashboard.QueryVariable:
    return (
        query_variable(
            "org",
            "Organization",
            "One organization, several, or all.",
            "query_result(max by (org_id, org_name) "
            f"(last_over_time(devin_organization_info{{{JOB}}}{NAMES_WITHIN})) or on (org_id) "
            "label_replace(max by (org_id) "
            f"(last_over_time(devin_organization_consumption_yesterday_acus{{{JOB}}}[1d])), "
            '"org_name", "$1", "org_id", "(.*)"))',
        )
        .regex('/org_id="(?<value>[^"]+)",org_name="(?<text>.*)"}/')
        .sort(model.VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)
        .multi(True)  # noqa: FBT003 - the library's signature
        .include_all(True)  # noqa: FBT003 - the same
        .all_value(".*")
        .current(model.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )


ORGANIZATION_VARIABLE = _organization_variable()
CARRIED_ORGANIZATION_VARIABLE = _organization_variable().hide(model.VariableHide.HIDE_VARIABLE)
"""Where nothing depends on it, so that links carry it on."""

OF_THE_ENTERPRISE = (
    "devin_consumption_yesterday_acus",
    "devin_sessions_created_yesterday",
    "devin_weekly_active_users",
    "devin_queue_size",
)
"""One of them is there with every enterprise's key, whatever plan and permissions it has."""

TOTAL_VARIABLE = query_variable(
    "total",
    "Job of the enterprise's total",
    "Empty where organizations are chosen, and where the key is an organization's.",
    f'label_values({{__name__=~"{"|".join(OF_THE_ENTERPRISE)}", {ORGANIZATION}}}, job)',
).hide(model.VariableHide.HIDE_VARIABLE)
OF_ORGANIZATIONS = (ORGANIZATION_VARIABLE, TOTAL_VARIABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A dashboard before it is laid out: `uid` never changes, as links and bookmarks have it."""

    uid: str
    title: str
    about: str
    variables: Sequence[Variable]
    sections: Sequence[Section]
    range: str = "now-30d"
    refresh: str = "5m"

    def build(self) -> model.Dashboard:
        """Lay it out."""
        board = (
            dashboard.Dashboard(self.title)
            .uid(self.uid)
            .description(self.about)
            .tags([TAG])
            .timezone(BILLING_TIMEZONE)
            .week_start("monday")
            .time(self.range, "now")
            .refresh(self.refresh)
            .tooltip(model.DashboardCursorSync.CROSSHAIR)
            .link(
                dashboard.DashboardLink("Devin")
                .type(model.DashboardLinkType.DASHBOARDS)
                .tags([TAG])
                .include_vars(True)  # noqa: FBT003 - the library's signature
                .keep_time(True)  # noqa: FBT003 - the same
            )
            .variables([DATASOURCE_VARIABLE, JOB_VARIABLE, *self.variables])
        )
        for title, panels in self.sections:
            if title:
                board = board.with_row(Row(title))
            for each in panels:
                board = board.with_panel(each)
        built = board.build()
        for variable in built.templating.list_val or ():
            # It follows from the others: a bookmark must not bring back what it once was.
            variable.skip_url_sync = variable.name == "total"
        for number, panel in enumerate(built.panels or (), start=1):
            panel.id_val = number
        return built
