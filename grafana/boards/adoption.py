"""Adoption: who uses it, how often, and what comes of it."""

from grafana.builders import promql as q
from grafana.builders.board import OF_ORGANIZATIONS, Board
from grafana.builders.colours import BLUE, GREEN, GREY, ORANGE, VERMILION
from grafana.builders.overrides import colour
from grafana.builders.panels import (
    at_end,
    bar_panel,
    line_panel,
    over_time,
    ranking_panel,
    rows,
    stat_panel,
    table_panel,
)

IDLE_SHOWN = 50
UTC_DAYS = "Days, weeks from Monday, and months are UTC's here."
SUM_OF_ORGANIZATIONS = "Users of several chosen organizations count in each."
ENTERPRISE_ONLY = "The API has it for the enterprise alone; an organization's key does not show it."

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


def _shown(metric: str, matchers: str = q.JOB) -> str:
    return f"max({q.latest(metric, matchers)})"


_created, _merged = _shown("devin_prs_created_cycle"), _shown("devin_prs_merged_cycle")
_closed = _shown("devin_prs_closed_cycle")
_use_of_users = f"sum by (user_id) ({q.latest('devin_user_consumption_cycle_acus')}) > 0"
_all_known = q.latest("devin_exporter_unattributed_cycle_acus", f'{q.JOB}, scope="users"')
_members = f"group by (user_id) ({q.latest('devin_organization_member_info', q.ORGANIZATION)})"
_idle = f"(({_members} unless on (user_id) ({_use_of_users})) and on () ({_all_known}))"
_idle_is = (
    "Members of the chosen organizations without any ACU in the running billing cycle, among the "
    "users with series of their own (DEVIN_USER_METRICS full or id, DEVIN_USER_LIMIT). Absent "
    "unless every user's use is known."
)

BOARD = Board(
    uid="devin-adoption",
    title="Devin / Adoption",
    about="Active users, sessions, pull requests and searches; who does not use it.",
    variables=OF_ORGANIZATIONS,
    sections=[
        (
            "",
            [
                stat_panel(
                    "Active today",
                    "Users with a session or a search, this UTC day so far. "
                    f"{SUM_OF_ORGANIZATIONS}",
                    "short",
                    at_end(q.total(q.ACTIVE_DAY)),
                ),
                stat_panel(
                    "Active this week",
                    f"Since Monday, 00:00 UTC. {SUM_OF_ORGANIZATIONS}",
                    "short",
                    at_end(q.total(q.ACTIVE_WEEK)),
                ),
                stat_panel(
                    "Active this month",
                    f"This UTC month so far. {SUM_OF_ORGANIZATIONS}",
                    "short",
                    at_end(q.total(q.ACTIVE_MONTH)),
                ),
                stat_panel(
                    "Stickiness (enterprise)",
                    "Mean of the users active per day over the last 30 complete UTC days, against "
                    "the users active in the last complete month. Absent unless all days are "
                    f"known. {ENTERPRISE_ONLY}",
                    "percentunit",
                    at_end(f"{_mean_day} / ({_month_before} > 0)"),
                ).decimals(1),
                stat_panel(
                    "Merge rate (enterprise)",
                    "Of the pull requests that Devin opened in the running billing cycle, how many "
                    f"are merged. {ENTERPRISE_ONLY}",
                    "percentunit",
                    at_end(f"{_merged} / ({_created} > 0)"),
                    empty="none opened",
                ).decimals(1),
                stat_panel(
                    "Idle members",
                    _idle_is,
                    "short",
                    at_end(
                        f"count({_idle}) or on () (0 * count({_members}) and on () ({_all_known}))"
                    ),
                ),
            ],
        ),
        (
            "",
            [
                line_panel(
                    "Active users (enterprise)",
                    "Users active in each complete day, and in the complete week and month before "
                    f"it. {UTC_DAYS} A day stands where it began, eight hours late on these axes. "
                    f"{ENTERPRISE_ONLY}",
                    "short",
                    over_time(_previous_day, "of the day", step="1d"),
                    over_time(
                        f"max({q.last('devin_previous_week_active_users', '[23h50m]')})",
                        "of the week before",
                        step="1d",
                    ),
                    over_time(
                        f"max({q.last('devin_previous_month_active_users', '[23h50m]')})",
                        "of the month before",
                        step="1d",
                    ),
                )
                .interval("1d")
                .override_by_name("of the day", [colour(BLUE)])
                .override_by_name("of the week before", [colour(ORANGE)])
                .override_by_name("of the month before", [colour(GREEN)]),
                bar_panel(
                    "Sessions created by day",
                    "Sessions created in each complete billing day.",
                    "short",
                    over_time(q.daily(q.SESSIONS_YESTERDAY), "sessions", step="1d"),
                ),
            ],
        ),
        (
            "",
            [
                ranking_panel(
                    "Sessions of the cycle by origin (enterprise)",
                    "Where sessions created in the running billing cycle were started. The vendor "
                    f"leaves some origins out. {ENTERPRISE_ONLY}",
                    "short",
                    at_end(
                        "sort_desc(max by (origin) "
                        f"({q.latest('devin_sessions_created_by_origin_cycle')}))",
                        "{{origin}}",
                    ),
                ),
                ranking_panel(
                    "Sessions of the cycle by size (enterprise)",
                    "Sessions created in the running billing cycle, by the vendor's sizes. "
                    f"{ENTERPRISE_ONLY}",
                    "short",
                    *(
                        at_end(
                            _shown(
                                "devin_sessions_created_by_size_cycle", f'{q.JOB}, size="{size}"'
                            ),
                            size,
                        )
                        for size in ("xs", "s", "m", "l", "xl")
                    ),
                ),
                ranking_panel(
                    "Pull requests of the cycle (enterprise)",
                    "Pull requests that Devin opened in the running billing cycle, and where they "
                    f"stand. {ENTERPRISE_ONLY}",
                    "short",
                    at_end(_created, "created"),
                    at_end(_merged, "merged"),
                    at_end(_closed, "closed"),
                    at_end(_shown("devin_prs_open_cycle"), "open"),
                ),
            ],
        ),
        (
            "",
            [
                stat_panel(
                    "Sessions of the cycle",
                    "Sessions created in the running billing cycle.",
                    "short",
                    at_end(q.total(q.SESSIONS_CYCLE)),
                ),
                stat_panel(
                    "Merged pull requests of the cycle",
                    "Pull requests that Devin opened in the running billing cycle and that are "
                    "merged.",
                    "short",
                    at_end(q.total(q.MERGED_CYCLE)),
                ),
                stat_panel(
                    "Searches of the cycle",
                    "Searches made in the running billing cycle.",
                    "short",
                    at_end(q.total(q.SEARCHES_CYCLE)),
                ),
                stat_panel(
                    "ACUs per session (enterprise)",
                    "Mean ACUs of the sessions created in the running billing cycle. "
                    f"{ENTERPRISE_ONLY}",
                    "short",
                    at_end(_shown("devin_session_average_cycle_acus")),
                    empty="no sessions",
                ).decimals(2),
                stat_panel(
                    "Sessions with a merged pull request (enterprise)",
                    "Of the sessions created in the running billing cycle, how many have led to a "
                    f"merged pull request. {ENTERPRISE_ONLY}",
                    "percentunit",
                    at_end(
                        f"{_shown('devin_sessions_with_merged_prs_cycle')} / "
                        f"({_shown('devin_sessions_created_cycle')} > 0)"
                    ),
                    empty="no sessions",
                ).decimals(1),
                stat_panel(
                    "Users",
                    "Users and service users of the enterprise, whatever organization is chosen. "
                    "With an organization's key: the organization's users.",
                    "short",
                    at_end(_shown("devin_users"), "users"),
                    at_end(_shown("devin_service_users"), "service users"),
                ),
            ],
        ),
        (
            "",
            [
                line_panel(
                    "Pull requests as the cycle went on (enterprise)",
                    "Pull requests that Devin opened in the running billing cycle of each moment. "
                    f"{ENTERPRISE_ONLY}",
                    "short",
                    over_time(_created, "created"),
                    over_time(_merged, "merged"),
                    over_time(_closed, "closed"),
                    over_time(_shown("devin_prs_open_cycle"), "open"),
                    width=16,
                )
                .override_by_name("created", [colour(BLUE)])
                .override_by_name("merged", [colour(GREEN)])
                .override_by_name("closed", [colour(VERMILION)])
                .override_by_name("open", [colour(GREY)]),
                table_panel(
                    "Who is idle",
                    f"{_idle_is} At most {IDLE_SHOWN} are listed.",
                    rows(
                        f"topk({IDLE_SHOWN}, {q.with_user_name(_idle, _members)})",
                    ),
                    columns={"user": "User", "user_id": "Id"},
                    width=8,
                    empty="nobody is idle, or no users are published",
                ),
            ],
        ),
    ],
)
