"""Overview: how much was used, by whom, and what runs now."""

from dataclasses import replace

from grafana_foundation_sdk.models import common as options

from grafana.boards.firing_alerts import firing_panel
from grafana.boards.overview.recent_sessions import recent_sessions
from grafana.builders.board import Board, Stack
from grafana.builders.charts import RUNNING, bar_panel, by_product, running_day_apart
from grafana.builders.colours import (
    BAD_FILL,
    GOOD_FILL,
    NEUTRAL_FILL,
    UNKNOWN_FILL,
    WARNING_FILL,
)
from grafana.builders.overrides import colour, fixed
from grafana.builders.panels import (
    ENTERPRISE_ONLY,
    LOCAL,
    NO_PRICE_IN_RANGE,
    NOTHING,
    Change,
    change_of_days,
    in_currency,
    stat_panel,
    total_panel,
    with_change,
)
from grafana.builders.queries import Query, now, of_range, over_time, rows_of_range
from grafana.builders.tables import Ranked, ranking_table
from grafana.builders.variables import CURRENCY_VARIABLE, OF_ORGANIZATIONS
from grafana.expressions import days, money, names
from grafana.expressions import promql as q

USERS_SHOWN = 15
WHOLE_DAYS = (
    "Whole billing days that ended within the range, and beneath them their course; beside them "
    "the change against as many days before, where all of these days are known."
)


def _badge(status: str, matcher: str) -> Query:
    of_status = q.latest("devin_queue_status", f"{q.JOB}, status{matcher}")
    name = "{{status}}" if matcher.startswith("!") else status
    return now(
        f"max by (status) ({of_status} == 1) * on () group_left () "
        f"max({q.latest('devin_queue_size')})",
        name,
    )


_by_day = days.daily(q.USE_YESTERDAY, by="product")
_running = days.running_day(q.USE_TODAY, _by_day, by="product")
_users = days.users_in_range()
_user_ids = f"last_over_time({q.DAILY_USE_OF_USERS}{{{q.JOB}}}[$__range])"
_single_users = days.users_in_range(f'{q.JOB}, user_id!="other"')
_top = f"topk({USERS_SHOWN}, {_single_users})"
_week_before = f"sum({q.latest('devin_previous_week_active_users', q.WHOLE_ENTERPRISE)})"


def _change_of_cost() -> Change:
    """Of recorded costs, else of ACUs where all have one price; no word where there is no price."""
    cost = change_of_days(money.COST_YESTERDAY, rise_is_good=False)
    acus = change_of_days(q.USE_YESTERDAY, rise_is_good=False)
    at_one_price = f"({acus.ratio}) and on () {q.price(q.AT_NOW)}"
    return replace(
        acus,
        ratio=money.either(cost.ratio, at_one_price),
        compared=f"({acus.compared}) and on () {q.price_of_product(at=q.AT_NOW)}",
    )


CARDS = (
    with_change(
        in_currency(
            total_panel(
                "Cost",
                f"{money.DAYS_AT_ITS_PRICE} {WHOLE_DAYS}",
                LOCAL,
                over_time(
                    days.with_days(money.of_days_in_range()),
                    "{{line}}",
                    step="1d",
                ),
                missing=[NO_PRICE_IN_RANGE, NOTHING],
            ),
            over_range=True,
        ),
        _change_of_cost(),
        of_range,
    ),
    with_change(
        total_panel(
            "ACUs",
            f"ACUs used. {WHOLE_DAYS} Organizations hold cloud sessions alone, so their sum is "
            "below the enterprise's total.",
            LOCAL,
            over_time(days.with_days(days.daily_in_range(q.USE_YESTERDAY)), "{{line}}", step="1d"),
        ).decimals(0),
        change_of_days(q.USE_YESTERDAY, rise_is_good=False),
        of_range,
    ),
    with_change(
        total_panel(
            "Sessions",
            f"Sessions created. {WHOLE_DAYS}",
            LOCAL,
            over_time(
                days.with_days(days.daily_in_range(q.SESSIONS_YESTERDAY)), "{{line}}", step="1d"
            ),
        ).decimals(0),
        change_of_days(q.SESSIONS_YESTERDAY, rise_is_good=True),
        of_range,
    ),
    stat_panel(
        "Active users",
        "Users with a session or a search since Monday, 00:00 UTC; above, last week's, which the "
        "API gives for the enterprise alone. Users of several chosen organizations count in each.",
        LOCAL,
        now(
            days.with_line(
                q.total(q.ACTIVE_WEEK),
                days.as_text(_week_before, "this week; $1 last week"),
                "this week",
            ),
            "{{line}}",
        ),
        width=6,
        height=5,
    ),
)

QUEUE = (
    stat_panel(
        "Queue",
        "Sessions that wait to start, and the vendor's judgement: normal up to 10, elevated up to "
        f"50, high above. {ENTERPRISE_ONLY}",
        LOCAL,
        _badge("normal", '="normal"'),
        _badge("elevated", '="elevated"'),
        _badge("high", '="high"'),
        _badge("", '!~"normal|elevated|high"'),
        width=6,
    )
    .color_mode(options.BigValueColorMode.BACKGROUND_SOLID)
    .color_scheme(fixed(NEUTRAL_FILL))
    .override_by_query("D", [colour(UNKNOWN_FILL)])
    .override_by_name("normal", [colour(GOOD_FILL)])
    .override_by_name("elevated", [colour(WARNING_FILL)])
    .override_by_name("high", [colour(BAD_FILL)])
)

ACUS_BY_DAY = running_day_apart(
    by_product(
        bar_panel(
            "ACUs by day and product",
            "ACUs of each billing day, of the products that the range has any of. The running day "
            "is lighter, and shown as far as it has gone; totals hold complete days.",
            LOCAL,
            over_time(days.used_in_range(q.USE_YESTERDAY, _by_day), "{{product}}", step="1d"),
            over_time(f"({_running}) != 0", f"{{{{product}}}}{RUNNING}", step="1d"),
            axis="ACUs",
            width=14,
            height=12,
        )
    )
).decimals(0)

USERS = ranking_table(
    "ACUs by user",
    f"The {USERS_SHOWN} users with most ACUs over the whole billing days of the range; the name, "
    "else the e-mail, else the id. With organizations chosen: their members, with all that they "
    "used, also elsewhere, but without those beyond DEVIN_USER_LIMIT, whose membership is not "
    "published. Service users stand on the dashboard People. Reads the recording rule of "
    "deploy/prometheus/rules.yml.",
    rows_of_range(names.with_user_name(_top, _user_ids, at=q.AT_NOW)),
    ranked=Ranked(label="user", names="User", figures="ACUs"),
    empty=("no use of a user is on record in this range", _top),
    width=10,
    height=17,
)

BELOW = (
    QUEUE,
    stat_panel(
        "All other users",
        f"ACUs of the range by users who are not among the {USERS_SHOWN} above.",
        LOCAL,
        of_range(
            days.with_line(
                q.rest(_users, "user_id", _top),
                days.as_text(f"count(({_users}) unless on (user_id) {_top})", "$1 users"),
                "users",
            ),
            "{{line}}",
        ),
        width=6,
        empty="none",
    ).decimals(0),
    stat_panel(
        "Whole days",
        "Billing days of the range that are over, and how many of them have their ACUs known (of "
        "every organization chosen): figures of the range hold these. A day becomes known some ten "
        "minutes after it ended.",
        LOCAL,
        of_range(
            days.with_line(
                days.known_days(q.USE_YESTERDAY), days.as_text(days.DAYS, "known of $1"), "known"
            ),
            "{{line}}",
        ),
        width=6,
        empty="none",
    ),
    stat_panel(
        "Days of users",
        "Days of the range with any use of a user on record, which are those that ACUs by user "
        "holds; fewer than whole days where the recording rule was not loaded yet.",
        LOCAL,
        of_range(
            days.with_line(
                days.DAYS_OF_USERS, days.as_text(days.DAYS, "recorded of $1"), "recorded"
            ),
            "{{line}}",
        ),
        width=6,
        empty="none",
    ),
)

BOARD = Board(
    uid="devin-overview",
    about="Cost, ACUs, sessions and active users of the enterprise or of chosen organizations.",
    variables=[*OF_ORGANIZATIONS, CURRENCY_VARIABLE],
    sections=[
        ("", CARDS),
        ("", [Stack([ACUS_BY_DAY, firing_panel(width=14, height=5)]), USERS]),
        ("", BELOW),
        ("", [recent_sessions(height=11)]),
    ],
    alerts={"DevinAcuSpike|DevinUsageStopped|DevinUnattributedHigh": ["ACUs by day and product"]},
)
