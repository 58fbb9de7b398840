"""Adoption: who uses it, how often, and what comes of it."""

from grafana_foundation_sdk.builders import stat
from grafana_foundation_sdk.builders.common import TableSortByFieldState

from grafana.boards.adoption.automations_and_scans import AUTOMATIONS, CODE_SCANS
from grafana.boards.adoption.this_cycle import BREAKDOWNS, COURSE, OUTCOME, SHARES
from grafana.builders.board import Board
from grafana.builders.charts import bar_panel, line_panel
from grafana.builders.colours import AMBER, BLUE, GREEN
from grafana.builders.overrides import colour
from grafana.builders.panels import (
    ADDED_UP,
    ENTERPRISE_ONLY,
    LOCAL,
    NOTHING,
    stat_panel,
)
from grafana.builders.queries import now, over_time, rows
from grafana.builders.tables import table_panel, wide_column
from grafana.builders.variables import OF_ORGANIZATIONS
from grafana.expressions import days, names
from grafana.expressions import promql as q

IDLE_SHOWN = 50
UTC_DAYS = "Days, weeks from Monday, and months are UTC's here."
SUM_OF_ORGANIZATIONS = f"Users of several chosen organizations count in each. {ADDED_UP}"

OF_UTC_DAY = "[23h50m] offset -39h59m"
"""For a step at 08:00 UTC: of the UTC day that began eight hours before."""
THIRTY_UTC_DAYS = "[29d23h59m59s:1d]"
"""Midnights; each reads what was said of the day before it."""

_previous_day = f"max({q.last('devin_previous_day_active_users', OF_UTC_DAY)})"
_each_utc_day = f"max({q.last('devin_previous_day_active_users', '[23h50m] offset -23h55m')})"
_mean_day = (
    f"(avg_over_time(({_each_utc_day}){THIRTY_UTC_DAYS} offset 10m) "
    f"and on () (count_over_time(({_each_utc_day}){THIRTY_UTC_DAYS} offset 10m) == 30))"
)
_month_before = f"max({q.last('devin_previous_month_active_users', '[2h]')})"


_use_of_users = f"sum by (user_id) ({q.latest('devin_user_consumption_cycle_acus')}) > 0"
_all_known = q.latest("devin_exporter_unattributed_cycle_acus", f'{q.JOB}, scope="users"')
_members = f"group by (user_id) ({q.latest('devin_organization_member_info', q.ORGANIZATION)})"
_idle = f"(({_members} unless on (user_id) ({_use_of_users})) and on () ({_all_known}))"
_idle_is = (
    "Members of the chosen organizations without any ACU in the running billing cycle, among the "
    "users with series of their own (DEVIN_USER_METRICS full or id, DEVIN_USER_LIMIT). Absent "
    "unless every user's use is known."
)


def _active(title: str, figure: q.Scoped, before: str, about: str) -> stat.Panel:
    last = f"sum({q.latest(f'devin_previous_{before}_active_users', q.WHOLE_ENTERPRISE)})"
    said = "yesterday" if before == "day" else f"last {before}"
    return stat_panel(
        title,
        f"{about} {SUM_OF_ORGANIZATIONS} Above, the one before, which the API gives for the "
        "enterprise alone.",
        LOCAL,
        now(
            days.with_line(q.total(figure), days.as_text(last, f"so far; $1 {said}"), "so far"),
            "{{line}}",
        ),
        missing=[NOTHING],
    )


CARDS = (
    _active("Active today", q.ACTIVE_DAY, "day", "Users with a session or a search, this UTC day."),
    _active("Active this week", q.ACTIVE_WEEK, "week", "Since Monday, 00:00 UTC."),
    _active("Active this month", q.ACTIVE_MONTH, "month", "This UTC month."),
    stat_panel(
        "Stickiness",
        "Mean of the users active per day over the last 30 complete UTC days, against the users "
        f"active in the last complete month. Absent unless all days are known. {ENTERPRISE_ONLY}",
        "percentunit",
        now(f"{_mean_day} / ({_month_before} > 0)", "of a month's users, each day"),
    ).decimals(1),
    stat_panel(
        "Idle members",
        _idle_is,
        LOCAL,
        now(
            f"count({_idle}) or on () (0 * count({_members}) and on () ({_all_known}))",
            "no use this cycle",
        ),
        width=4,
    ),
)

BOARD = Board(
    uid="devin-adoption",
    about="Active users, sessions, pull requests and searches; who does not use it.",
    variables=OF_ORGANIZATIONS,
    sections=[
        ("", CARDS),
        (
            "",
            [
                line_panel(
                    "Active users",
                    "Users active in each complete day, and in the last complete week and month "
                    f"at each day. {UTC_DAYS} A day stands where it began, eight hours late on "
                    f"these axes. {ENTERPRISE_ONLY}",
                    LOCAL,
                    over_time(_previous_day, "Daily", step="1d"),
                    over_time(
                        f"max({q.last('devin_previous_week_active_users', '[23h50m]')})",
                        "Weekly",
                        step="1d",
                    ),
                    over_time(
                        f"max({q.last('devin_previous_month_active_users', '[23h50m]')})",
                        "Monthly",
                        step="1d",
                    ),
                    axis="users",
                    height=10,
                    empty="no complete day, week or month is known in this range",
                )
                .interval("1d")
                .override_by_name("Daily", [colour(BLUE)])
                .override_by_name("Weekly", [colour(AMBER)])
                .override_by_name("Monthly", [colour(GREEN)]),
                bar_panel(
                    "Sessions created by day",
                    "Sessions created in each complete billing day.",
                    LOCAL,
                    over_time(days.daily(q.SESSIONS_YESTERDAY), "Sessions", step="1d"),
                    axis="sessions",
                ),
            ],
        ),
        ("This cycle", [*OUTCOME, *SHARES, *BREAKDOWNS]),
        (
            "",
            [
                COURSE,
                table_panel(
                    "Who is idle",
                    f"{_idle_is} At most {IDLE_SHOWN} are listed.",
                    rows(f"topk({IDLE_SHOWN}, {names.with_user_name(_idle, _members)})"),
                    columns={"user": wide_column("User", 420)},
                    empty=("user", "nobody is known to be idle", _idle),
                    width=9,
                    height=10,
                ).sort_by([TableSortByFieldState().display_name("User")]),
            ],
        ),
        ("Automations and code scans", [AUTOMATIONS, *CODE_SCANS]),
    ],
    alerts={"DevinUsageStopped": ["Sessions created by day"]},
)
