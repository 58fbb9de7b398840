"""Overview: how much was used, by whom, and what runs now."""

from grafana_foundation_sdk.builders.common import TableSortByFieldState
from grafana_foundation_sdk.models import common as options

from grafana.builders import promql as q
from grafana.builders.board import OF_ORGANIZATIONS, Board
from grafana.builders.colours import BAD, DETAILS, GOOD, GREY, STATUSES, UNKNOWN, WARNING
from grafana.builders.overrides import colour, coloured_words, fixed, setting
from grafana.builders.panels import (
    Query,
    at_end,
    bar_panel,
    by_product,
    over_time,
    ranking_panel,
    rows,
    stat_panel,
    table_panel,
)

USERS_SHOWN = 15
USE = q.each_day(q.USE_YESTERDAY)
SESSIONS = q.each_day(q.SESSIONS_YESTERDAY)
WHOLE_DAYS = (
    "Whole billing days that ended within the range; beneath, the change against the range of the "
    "same length before, where that holds as many days and all of them are known."
)
AGAINST = "against the range before"


def _against(figure: q.Scoped) -> Query:
    return at_end(q.change(figure), AGAINST)


def _badge(status: str, matcher: str) -> Query:
    of_status = q.latest("devin_queue_status", f"{q.JOB}, status{matcher}")
    name = "{{status}}" if matcher.startswith("!") else status
    return at_end(
        f"max by (status) ({of_status} == 1) * on () group_left () "
        f"max({q.latest('devin_queue_size')})",
        name,
    )


IN_SIGHT = q.latest("devin_recent_session_info", q.ORGANIZATION)
RECENT_IDS = f"max by (session_id) ({IN_SIGHT})"
ORG_NAMES = q.organization_names(IN_SIGHT)
USER_NAMES = q.user_names(IN_SIGHT)
RECENT_ROW = (
    "max by (session_id, org_id, user_id, status, status_detail, origin, category, title, url) "
    f"({IN_SIGHT})"
)


def _recent(name: str) -> str:
    return f"(max by (session_id) ({q.latest(name)}) and on (session_id) {RECENT_IDS})"


_CREATED = _recent("devin_recent_session_created_timestamp_seconds")
_UPDATED = _recent("devin_recent_session_updated_timestamp_seconds")

RECENT_SESSIONS = (
    table_panel(
        "Recent sessions",
        "The newest sessions of the chosen organizations among those that the exporter lists "
        "(DEVIN_RECENT_SESSIONS of the enterprise). A finished task usually stays running, with "
        "the detail finished. Duration is from creation to the last change, as the API gives no "
        "end. No user is shown for sessions of service users, nor where users are not published.",
        rows(f"{_CREATED} * 1000"),
        rows(
            f"({RECENT_ROW}) * on (org_id) group_left (org_name) {ORG_NAMES} "
            f"* on (user_id) group_left (user) {USER_NAMES}"
        ),
        rows(f"{_UPDATED} - on (session_id) {_CREATED}"),
        rows(_recent("devin_recent_session_acus")),
        rows(q.cost(_recent("devin_recent_session_acus"))),
        columns={
            "Value #A": "Created",
            "session_id": "Session",
            "title": "Title",
            "status": "Status",
            "status_detail": "Detail",
            "Value #C": "Duration",
            "Value #D": "ACUs",
            "Value #E": "Cost",
            "currency": "Currency",
            "org_name": "Organization",
            "user": "User",
            "origin": "Origin",
            "category": "Category",
        },
        hidden=("url",),
        empty="no sessions",
    )
    .sort_by([TableSortByFieldState().display_name("Created").desc(True)])  # noqa: FBT003
    .override_by_name("Created", [setting("unit", "dateTimeAsIso")])
    .override_by_name("Duration", [setting("unit", "s")])
    .override_by_name("ACUs", [setting("decimals", 2)])
    .override_by_name("Cost", [setting("decimals", 2)])
    .override_by_name(
        "Session",
        [
            setting(
                "links",
                [
                    {
                        "title": "Open the session",
                        "url": "${__data.fields.url}",
                        "targetBlank": True,
                    }
                ],
            )
        ],
    )
)
for column, colours in (("Status", STATUSES), ("Detail", DETAILS)):
    RECENT_SESSIONS = RECENT_SESSIONS.override_by_name(
        column,
        [
            setting("mappings", [coloured_words(colours)]),
            setting("custom.cellOptions", options.TableColorTextCellOptions()),
            setting("color", {"mode": "fixed", "fixedColor": GREY}),
        ],
    )

_by_day = q.daily(q.USE_YESTERDAY, by="product")
_users = q.users_in_range()
_user_ids = f"last_over_time({q.DAILY_USE_OF_USERS}{{{q.JOB}}}[$__range])"
_single_users = q.users_in_range(f'{q.JOB}, user_id!="other"')
_top = f"topk({USERS_SHOWN}, {_single_users})"
_week = q.total(q.ACTIVE_WEEK)
_week_before = f"sum({q.latest('devin_previous_week_active_users', q.WHOLE_ENTERPRISE)})"

BOARD = Board(
    uid="devin-overview",
    title="Devin / Overview",
    about="Sessions, ACUs, cost and active users of the enterprise or of chosen organizations.",
    variables=OF_ORGANIZATIONS,
    sections=[
        (
            "",
            [
                stat_panel(
                    "Sessions",
                    f"Sessions created. {WHOLE_DAYS}",
                    "short",
                    at_end(q.in_range(SESSIONS), "sessions"),
                    _against(q.SESSIONS_YESTERDAY),
                    empty="no whole day",
                ).override_by_name(AGAINST, [setting("unit", "percentunit")]),
                stat_panel(
                    "ACUs",
                    f"ACUs used. {WHOLE_DAYS} Organizations hold cloud sessions alone, so their "
                    "sum is below the enterprise's total.",
                    "short",
                    at_end(q.in_range(USE), "ACUs"),
                    _against(q.USE_YESTERDAY),
                    empty="no whole day",
                ).override_by_name(AGAINST, [setting("unit", "percentunit")]),
                stat_panel(
                    "Cost",
                    f"ACUs at the price of now (DEVIN_ACU_PRICE). {WHOLE_DAYS}",
                    "short",
                    at_end(q.cost(q.in_range(USE)), "{{currency}}"),
                    at_end(f"({q.change(q.USE_YESTERDAY)}) and on () {q.PRICE}", AGAINST),
                    empty="no price or day",
                )
                .decimals(2)
                .override_by_name(
                    AGAINST, [setting("unit", "percentunit"), setting("decimals", 1)]
                ),
                stat_panel(
                    "Active users this week",
                    "Users with a session or a search since Monday, 00:00 UTC; beneath, last "
                    "week's, which the API gives for the enterprise alone. Users of several "
                    "chosen organizations count in each.",
                    "short",
                    at_end(_week, "this week"),
                    at_end(_week_before, "last week"),
                ),
                stat_panel(
                    "Queue (enterprise)",
                    "Sessions that wait to start, and the vendor's judgement: normal up to 10, "
                    "elevated up to 50, high above. The queue is the whole enterprise's, whatever "
                    "organization is chosen; an organization's key does not show it.",
                    "short",
                    _badge("normal", '="normal"'),
                    _badge("elevated", '="elevated"'),
                    _badge("high", '="high"'),
                    _badge("", '!~"normal|elevated|high"'),
                )
                .color_mode(options.BigValueColorMode.BACKGROUND)
                .color_scheme(fixed(UNKNOWN))
                .override_by_name("normal", [colour(GOOD)])
                .override_by_name("elevated", [colour(WARNING)])
                .override_by_name("high", [colour(BAD)]),
                stat_panel(
                    "Whole days",
                    "Billing days that ended within the range: those whose ACUs are known, of all "
                    "(of every organization chosen). Figures of the range hold the known ones; a "
                    "day becomes known some ten minutes after it ended. With users: days with any "
                    "use of a user on record, which are those that ACUs by user holds; fewer where "
                    "the recording rule was not loaded yet.",
                    "short",
                    at_end(q.known_days(q.USE_YESTERDAY), "known"),
                    at_end(q.DAYS, "of"),
                    at_end(q.DAYS_OF_USERS, "with users"),
                    empty="none",
                ),
            ],
        ),
        (
            "",
            [
                by_product(
                    bar_panel(
                        "ACUs by day and product",
                        "ACUs of each billing day. The running day is shown as far as it has gone.",
                        "short",
                        over_time(_by_day, "{{product}}", step="1d"),
                        over_time(
                            q.running_day(q.USE_TODAY, _by_day, by="product"),
                            "{{product}}, running day",
                            step="1d",
                        ),
                        width=14,
                    )
                ),
                ranking_panel(
                    "ACUs by user",
                    f"The {USERS_SHOWN} users with most ACUs over the whole billing days of the "
                    "range, and all others as one; the name, else the e-mail, else the id. With "
                    "organizations chosen: their members, with all that they used, also elsewhere, "
                    "but without those beyond DEVIN_USER_LIMIT, whose membership is not published. "
                    "Service users stand on the dashboard People. Reads the recording rule of "
                    "deploy/prometheus/rules.yml.",
                    "short",
                    at_end(f"sort_desc({q.with_user_name(_top, _user_ids)})", "{{user}}"),
                    at_end(f"sum({_users} unless on (user_id) {_top})", "all others"),
                    width=10,
                    empty="no whole day, no users published, or no recording rules",
                ),
            ],
        ),
        ("", [RECENT_SESSIONS]),
    ],
)
