"""The table of the newest sessions."""

from dataclasses import replace

from grafana_foundation_sdk.builders import table
from grafana_foundation_sdk.builders.common import TableSortByFieldState
from grafana_foundation_sdk.models import dashboard as model

from grafana.builders.colours import DETAILS, NONE, STATUS_FILLS, WARNING_FILL
from grafana.builders.overrides import (
    CATEGORIES,
    ORIGINS,
    coloured_words,
    setting,
    thresholds,
    words,
)
from grafana.builders.queries import rows
from grafana.builders.tables import (
    DURATION,
    column,
    filled,
    number_column,
    table_panel,
    wide_column,
)
from grafana.expressions import names
from grafana.expressions import promql as q

FIRST_LETTERS = model.RegexMap(
    model.DashboardRegexMapOptions(
        pattern="/^(.{8}).*$/", result=model.ValueMappingResult(text="$1")
    )
)
IN_SIGHT = q.latest("devin_recent_session_info", q.ORGANIZATION)
IDS = f"max by (session_id) ({IN_SIGHT})"
ROW = (
    "max by (session_id, org_id, user_id, status, status_detail, origin, category, title, "
    f"session_url) ({IN_SIGHT})"
)
_by_status = f'label_replace({ROW}, "state", "$1", "status", "(.*)")'
_by_detail = f'label_replace({_by_status}, "state", "$1", "status_detail", "(.+)")'
NAMED = (
    f"({_by_detail}) * on (org_id) group_left (org_name) {names.organization_names(IN_SIGHT)} "
    f"* on (user_id) group_left (user) {names.user_names(IN_SIGHT)}"
)


def _recent(name: str) -> str:
    return f"(max by (session_id) ({q.latest(name)}) and on (session_id) {IDS})"


_CREATED = _recent("devin_recent_session_created_timestamp_seconds")
_UPDATED = _recent("devin_recent_session_updated_timestamp_seconds")
_ACUS = _recent("devin_recent_session_acus")

LARGE = "large"
_large = f"max({q.latest('devin_large_session_acus')})"
FROM_LARGE = replace(rows(f'label_replace({_large}, "none", "0", "", "")'), ref=LARGE)
"""A row with the thresholds of a session's ACUs: from 0 on none, and from its value on large."""
COLOURED_FROM_LARGE = (
    model.DataTransformerConfig(
        "configFromData",
        options={
            "configRefId": LARGE,
            "mappings": [
                {
                    "fieldName": field,
                    "handlerKey": "threshold1",
                    "handlerArguments": {"threshold": {"color": shade}},
                }
                for field, shade in (("none", NONE), (f"Value #{LARGE}", WARNING_FILL))
            ],
            "applyTo": {"id": "byName", "options": "Value #D"},
        },
    ),
    # Where there is nothing else, the step before leaves it.
    model.DataTransformerConfig("filterByRefId", options={"exclude": LARGE}),
)


def recent_sessions(*, height: int) -> table.Panel:
    """The newest sessions with their state, cost, organization and user."""
    panel = table_panel(
        "Recent sessions",
        "The newest sessions of the chosen organizations among those that the exporter lists "
        "(DEVIN_RECENT_SESSIONS of the enterprise), and large ones that still run. ACUs are "
        "coloured from DEVIN_LARGE_SESSION_ACUS on; their cost is at the price as last known. "
        "State is the detail of the status, else the status. Duration is from creation to the last "
        "change, as the API gives no end. No user is shown for sessions of service users, nor "
        "where users are not published; a title only with DEVIN_SESSION_TITLES.",
        rows(f"{_CREATED} * 1000"),
        rows(NAMED),
        rows(f"{_UPDATED} - on (session_id) {_CREATED}"),
        rows(_ACUS),
        rows(q.cost_of_sessions(_ACUS)),
        FROM_LARGE,
        columns={
            "Value #A": column("Created", 105, setting("unit", "time:MM-DD HH:mm")),
            "state": column(
                "State", 148, *filled(setting("mappings", [coloured_words(STATUS_FILLS | DETAILS)]))
            ),
            "org_name": column("Organization", 110),
            "user": wide_column("User", 120),
            "Value #C": number_column("Duration", 80, unit=DURATION),
            "Value #D": column(
                "ACUs",
                62,
                *filled(
                    setting("unit", "none"),
                    setting("decimals", 2),
                    setting("color", {"mode": "thresholds"}),
                ),
            ),
            "Value #E": number_column("Cost, $currency", 90, unit="none", decimals=2),
            "origin": column("Origin", 95, setting("mappings", [words(*ORIGINS)])),
            "category": column("Category", 190, setting("mappings", [words(*CATEGORIES)])),
            "session_id": column(
                "Session",
                105,
                setting("mappings", [FIRST_LETTERS]),
                setting(
                    "links",
                    [
                        {
                            "title": "Open the session",
                            "url": "${__data.fields.session_url}",
                            "targetBlank": True,
                        }
                    ],
                ),
            ),
            "title": wide_column("Title", 145),
        },
        hidden=("session_url",),
        empty=("user", "no session is listed", IDS),
        before=COLOURED_FROM_LARGE,
        height=height,
    )
    # Where no limit is known.
    panel = panel.thresholds(thresholds(NONE, below=NONE))
    return panel.sort_by([TableSortByFieldState().display_name("Created").desc(True)])  # noqa: FBT003
