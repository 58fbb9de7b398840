"""Cost: what the cycle costs, where it goes, and where it ends."""

from grafana_foundation_sdk.builders.common import TableSortByFieldState

from grafana.boards.cost_by_organization import BY_ORGANIZATION, TRENDS
from grafana.builders import promql as q
from grafana.builders.board import OF_ORGANIZATIONS, Board
from grafana.builders.colours import BAD, BLACK, BLUE, GOOD, ORANGE, WARNING
from grafana.builders.overrides import BY_THRESHOLD, colour, setting, thresholds
from grafana.builders.panels import (
    NO_PRICE,
    at_end,
    bar_panel,
    by_product,
    line_panel,
    over_time,
    ranking_panel,
    rows,
    stat_panel,
    table_panel,
)

SO_FAR = q.total(q.USE_CYCLE)
MEAN_DAY = q.mean_of_seven_days(q.scoped(q.USE_YESTERDAY, q.OF_DAY_ENDING_AT_EIGHT))
FORECAST = q.forecast(SO_FAR, MEAN_DAY)
FORECAST_IS = (
    "Forecast: ACUs of the cycle so far + days left * mean of the last 7 complete billing days, "
    "which holds five working days and a weekend. Absent unless all seven are known."
)
ENTERPRISE_SO_FAR = f"sum({q.latest('devin_consumption_cycle_acus')})"
ENTERPRISE_MEAN_DAY = q.mean_of_seven_days(
    q.last("devin_consumption_yesterday_acus", q.OF_DAY_ENDING_AT_EIGHT), known_by=""
)
ENTERPRISE_FORECAST = q.forecast(ENTERPRISE_SO_FAR, ENTERPRISE_MEAN_DAY)
POOL = f"max({q.latest('devin_pool_acus')})"
NO_POOL = "set DEVIN_ACU_POOL"
OF_SESSIONS = q.total(q.USE_CYCLE, ', product="devin"')
PER_MERGED = f"{OF_SESSIONS} / (sum({q.scoped(q.MERGED_CYCLE)}) > 0)"


_cost_by_day = q.cost(q.daily(q.USE_YESTERDAY, by="product"))
_used_by_enterprise = f"{ENTERPRISE_SO_FAR} / ({POOL} > 0)"
_limit_of_users = f"max by (user_id) ({q.latest('devin_user_cycle_limit_acus')})"
_users = q.of_users(
    "devin_user_consumption_cycle_acus",
    lambda selector: f"sum by (user_id) ({q.ANY_INSTANCE} ({selector}))",
)
_enterprise_limit = f"max({q.latest('devin_enterprise_cycle_limit_acus')})"
_not_attributed = q.latest(
    "devin_exporter_unattributed_cycle_acus", f'{q.JOB}, scope="organizations"'
)
_unattributed = f"max({_not_attributed})"

BOARD = Board(
    uid="devin-cost",
    title="Devin / Cost",
    about="Cost and ACUs of the billing cycle, by organization, product and category, against "
    "pool and limits.",
    variables=OF_ORGANIZATIONS,
    sections=[
        (
            "",
            [
                stat_panel(
                    "Cost of the cycle so far",
                    "ACUs of the running billing cycle at the price of now (DEVIN_ACU_PRICE).",
                    "short",
                    at_end(q.cost(SO_FAR), "{{currency}}"),
                    empty=NO_PRICE,
                ).decimals(2),
                stat_panel(
                    "Cost at the cycle's end",
                    f"{FORECAST_IS} At the price of now.",
                    "short",
                    at_end(q.cost(FORECAST), "{{currency}}"),
                    empty="no forecast",
                ).decimals(2),
                stat_panel(
                    "ACUs of the cycle",
                    f"So far, and at the cycle's end. {FORECAST_IS}",
                    "short",
                    at_end(SO_FAR, "so far"),
                    at_end(FORECAST, "forecast"),
                ).decimals(1),
                stat_panel(
                    "Pool used (enterprise)",
                    "ACUs of the running cycle against the pool bought for it (DEVIN_ACU_POOL); "
                    f"and where the forecast would stand. {FORECAST_IS}",
                    "percentunit",
                    at_end(_used_by_enterprise, "so far"),
                    at_end(
                        f"({ENTERPRISE_FORECAST}) / ({POOL} > 0)",
                        "forecast",
                    ),
                    empty=NO_POOL,
                )
                .color_scheme(BY_THRESHOLD)
                .thresholds(thresholds(GOOD, (0.9, WARNING), (1, BAD))),
                stat_panel(
                    "Pool lasts (enterprise)",
                    "Days until the pool is used up at the rate of the last 7 complete billing "
                    "days; the cycle may end before.",
                    "d",
                    at_end(
                        f"clamp_min({POOL} - {ENTERPRISE_SO_FAR}, 0) / ({ENTERPRISE_MEAN_DAY} > 0)"
                    ),
                    empty=NO_POOL,
                ).decimals(1),
                stat_panel(
                    "Per merged pull request",
                    "ACUs of cloud sessions (product devin) of the running cycle for each pull "
                    "request that Devin opened in it and that is merged; and their cost.",
                    "short",
                    at_end(PER_MERGED, "ACUs"),
                    at_end(q.cost(PER_MERGED), "{{currency}}"),
                    empty="none merged",
                ).decimals(2),
            ],
        ),
        ("", [BY_ORGANIZATION, *TRENDS]),
        (
            "",
            [
                by_product(
                    bar_panel(
                        "Cost by day and product",
                        "Cost of each complete billing day, at the price of that day.",
                        "short",
                        over_time(_cost_by_day, "{{product}}, {{currency}}", step="1d"),
                        empty=NO_PRICE,
                    )
                ),
                line_panel(
                    "ACUs of the cycle against the pool (enterprise)",
                    f"The cycle so far, the pool, and the forecast as it was. {FORECAST_IS}",
                    "short",
                    over_time(ENTERPRISE_SO_FAR, "cycle so far"),
                    over_time(
                        ENTERPRISE_FORECAST,
                        "forecast",
                        step="1h",
                    ),
                    over_time(POOL, "pool"),
                )
                .override_by_name("cycle so far", [colour(BLUE)])
                .override_by_name("forecast", [colour(ORANGE)])
                .override_by_name("pool", [colour(BLACK)]),
            ],
        ),
        (
            "",
            [
                ranking_panel(
                    "ACUs of the cycle by product",
                    "ACUs of the running billing cycle.",
                    "short",
                    at_end(f"sort_desc(sum by (product) ({q.scoped(q.USE_CYCLE)}))", "{{product}}"),
                    width=6,
                ),
                table_panel(
                    "By category (enterprise)",
                    "What sessions created in the running billing cycle were for; the row without "
                    "a subcategory is what its category holds beyond its subcategories. The API "
                    "has no categories by organization.",
                    rows(
                        "max by (category, subcategory) "
                        f"({q.latest('devin_category_sessions_cycle')})"
                    ),
                    rows(
                        f"max by (category, subcategory) ({q.latest('devin_category_cycle_acus')})"
                    ),
                    rows(
                        q.cost(
                            "max by (category, subcategory) "
                            f"({q.latest('devin_category_cycle_acus')})"
                        )
                    ),
                    columns={
                        "category": "Category",
                        "subcategory": "Subcategory",
                        "Value #A": "Sessions",
                        "Value #B": "ACUs",
                        "Value #C": "Cost",
                        "currency": "Currency",
                    },
                    width=12,
                    empty="no sessions in this cycle",
                )
                .sort_by([TableSortByFieldState().display_name("ACUs").desc(True)])  # noqa: FBT003
                .override_by_regexp("/ACUs|Cost/", [setting("decimals", 2)]),
                stat_panel(
                    "Not attributed to an organization (enterprise)",
                    "ACUs of the running cycle that the enterprise's total holds and the sum of "
                    "its organizations does not, and their cost. Usually it is use in IDE and "
                    "terminal, which the vendor ties to users, not to organizations. Absent unless "
                    "every organization is known.",
                    "short",
                    at_end(_unattributed, "ACUs"),
                    at_end(q.cost(_unattributed), "{{currency}}"),
                    width=6,
                ).decimals(2),
            ],
        ),
        (
            "",
            [
                ranking_panel(
                    "Closest to their limit: users",
                    "ACUs of the running cycle against the user's own limit, the 15 closest among "
                    "the chosen organizations' members, with all that they used. A "
                    "limit of 0 blocks all use and is not shown.",
                    "percentunit",
                    at_end(
                        "sort_desc("
                        + q.with_user_name(
                            f"topk(15, {_users} / on (user_id) ({_limit_of_users} > 0))",
                            _limit_of_users,
                        )
                        + ")",
                        "{{user}}",
                    ),
                    width=12,
                    empty="no user with a limit has used anything",
                ),
                stat_panel(
                    "Limit used (enterprise)",
                    "ACUs of the running cycle against the enterprise's limit.",
                    "percentunit",
                    at_end(f"{ENTERPRISE_SO_FAR} / ({_enterprise_limit} > 0)"),
                    width=6,
                    empty="no limit",
                )
                .color_scheme(BY_THRESHOLD)
                .thresholds(thresholds(GOOD, (0.8, WARNING), (1, BAD))),
                stat_panel(
                    "Days left in the cycle",
                    "Until the running billing cycle ends.",
                    "d",
                    at_end(q.CYCLE_DAYS_LEFT),
                    width=6,
                ).decimals(1),
            ],
        ),
    ],
)
