"""The variables of the dashboards: what is chosen, and what follows from it."""

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as model

from grafana.builders.queries import DATASOURCE
from grafana.expressions.promql import (
    AT_NOW,
    NAMES_WITHIN,
    NOTHING_FOUND,
    ORGANIZATION,
    last,
    price_of_product,
)

Variable = dashboard.QueryVariable | dashboard.DatasourceVariable
NUMBER = "/ ([0-9.]+) /"
"""The value in what Grafana makes of a series: labels, value, time."""


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


def _hidden(name: str, about: str, query: str) -> dashboard.QueryVariable:
    return query_variable(name, name, about, query).hide(model.VariableHide.HIDE_VARIABLE)


ALWAYS_THERE = ("devin_exporter_build_info", "devin_billing_cycle_start_timestamp_seconds")
"""One of them is there whenever the exporter ran, and in backfilled history."""

DATASOURCE_VARIABLE = (
    dashboard.DatasourceVariable("datasource")
    .label("Data source")
    .hide(model.VariableHide.HIDE_LABEL)  # so that links stand beside the longest name of a person
    .type("prometheus")
)
_jobs = f'last_over_time({{__name__=~"{"|".join(ALWAYS_THERE)}"}}[$__range])'
JOB_VARIABLE = query_variable(
    "job",
    "Job",
    "The scrape job of the exporter.",
    f"query_result(group by (job) ({_jobs}) or on () "
    f'label_replace(vector(1), "job", "{NOTHING_FOUND}", "", ""))',
).regex('/job="([^"]+)"/')


def _organization_variable() -> dashboard.QueryVariable:
    names = last("devin_organization_info", NAMES_WITHIN + AT_NOW)
    used = last("devin_organization_consumption_yesterday_acus", "[1d]" + AT_NOW)
    return (
        query_variable(
            "org",
            "Organization",
            "One organization, several, or all.",
            f"query_result(max by (org_id, org_name) ({names}) or on (org_id) label_replace("
            f'max by (org_id) ({used}), "org_name", "$1", "org_id", "(.*)"))',
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

TOTAL_VARIABLE = _hidden(
    "total",
    "Empty where organizations are chosen, and where the key is an organization's.",
    f'label_values({{__name__=~"{"|".join(OF_THE_ENTERPRISE)}", {ORGANIZATION}}}, job)',
)
OF_ORGANIZATIONS = (ORGANIZATION_VARIABLE, TOTAL_VARIABLE)
CURRENCY_VARIABLE = _hidden(
    "currency",
    "What the price of an ACU is in.",
    f"query_result({price_of_product(at=AT_NOW)} or on () "
    'label_replace(vector(1), "currency", "no price", "", ""))',
).regex('/currency="([^"]+)"/')


def _last(selector: str) -> str:
    """When something was scraped last.

    Prometheus looks back five minutes from each step: three looks at each quarter of an hour miss
    nothing, and VictoriaMetrics takes no more steps of a range of two years.
    """
    looks = (
        f"label_replace(max_over_time(timestamp({selector}{later})[$__range:15m]), "
        f'"later", "{later}", "", "")'
        for later in ("", " offset -5m", " offset -10m")
    )
    return f"max({' or '.join(looks)})"


_SCRAPED, _OF_THE_SERVER = 'up{job="$job"}', "prometheus_build_info{job!=''}"
_last_scrape = f"({_last(_SCRAPED)} or {_last(_OF_THE_SERVER)})"
NOW_VARIABLE = _hidden(
    "now",
    "The range's end, or the last scrape where that is more than ten minutes earlier: a range that "
    "ends in the future is shown as far as it has gone.",
    f"query_result(({_last_scrape} < time() - 600) or on () vector(time()))",
).regex(NUMBER)
_ahead = 'label_replace(vector(1000 * (time() - $now)), "range", "${__url_time_range}", "", "")'
_of_fixed_dates = f'label_replace({_ahead}, "dates", "fixed", "range", "from=[0-9].*to=[0-9].*")'
AHEAD_VARIABLE = _hidden(
    "ahead",
    "By how many milliseconds a range with fixed dates ends in the future; else 1.",
    f"query_result(clamp_min(floor(sum({_of_fixed_dates} * on (dates) group_left () "
    'label_replace(vector(1), "dates", "fixed", "", ""))), 1) or on () vector(1))',
).regex(NUMBER)
PRESENT_VARIABLES = (NOW_VARIABLE, AHEAD_VARIABLE)
FOLLOWING = {"total", "currency", "now", "ahead"}
"""Variables that follow from the others."""
