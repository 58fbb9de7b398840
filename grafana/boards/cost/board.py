"""Cost: what the cycle costs, where it goes, and where it ends."""

from grafana_foundation_sdk.builders import timeseries
from grafana_foundation_sdk.builders.common import TableSortByFieldState

from grafana.boards.cost.by_organization import BY_ORGANIZATION, CLOSENESS
from grafana.boards.cost.forecast import (
    FORECAST,
    FORECAST_IS,
    SO_FAR,
)
from grafana.boards.cost.of_the_enterprise import OF_THE_ENTERPRISE
from grafana.builders.board import Board, Stack
from grafana.builders.charts import (
    RUNNING,
    RUNNING_IS,
    bar_panel,
    by_product,
    line_panel,
    running_day_apart,
)
from grafana.builders.colours import AMBER, BLUE, GREY, PRODUCTS
from grafana.builders.overrides import (
    CATEGORIES,
    colour,
    dashed,
    setting,
    words,
)
from grafana.builders.panels import (
    ENTERPRISE_ONLY,
    LOCAL,
    NO_PRICE,
    NOTHING,
    as_people_write,
    in_currency,
    ranking_panel,
    stat_panel,
)
from grafana.builders.queries import now, over_time, rows
from grafana.builders.tables import (
    Ranked,
    column,
    number_column,
    ranking_table,
    table_panel,
    wide_column,
)
from grafana.builders.variables import CURRENCY_VARIABLE, OF_ORGANIZATIONS
from grafana.expressions import cycles, days, money, names
from grafana.expressions import promql as q

OF_SESSIONS = q.total(q.USE_CYCLE, ', product="devin"')
PER_MERGED = f"{OF_SESSIONS} / ({q.total(q.MERGED_CYCLE)} > 0)"

_cost_by_day = money.of_day(by="product")
_limit_of_users = f"max by (user_id) ({q.latest('devin_user_cycle_limit_acus')})"
_users = q.of_users(
    "devin_user_consumption_cycle_acus",
    lambda selector: f"sum by (user_id) ({q.ANY_INSTANCE} ({selector}))",
    f"{q.JOB}, {q.UNDER_USER_LIMIT}",
)
_near_limit = f"topk(15, {_users} / on (user_id) ({_limit_of_users} > 0))"
_categories = "max by (category, subcategory) ({})".format
_sessions = _categories(q.latest("devin_category_sessions_cycle"))
_acus = _categories(q.latest("devin_category_cycle_acus"))

CARDS = (
    in_currency(
        stat_panel(
            "Cost so far",
            f"Of the running billing cycle. {money.AT_ITS_PRICE}",
            LOCAL,
            now(money.cycle_so_far(SO_FAR), "in this cycle"),
            missing=[NO_PRICE, NOTHING],
        ),
    ),
    in_currency(
        stat_panel(
            "Cost at the end",
            f"Of the running billing cycle. {FORECAST_IS} With the cost of these days. "
            f"{money.AT_ITS_PRICE}",
            LOCAL,
            now(money.forecast(SO_FAR, FORECAST), "forecast"),
            missing=[NO_PRICE],
        ),
    ),
    stat_panel(
        "ACUs so far",
        f"Of the running billing cycle; above, at its end. {FORECAST_IS}",
        LOCAL,
        now(
            days.with_line(
                SO_FAR,
                days.as_text(f"round({FORECAST})", "$1 at the end"),
                "no forecast: days are missing",
            ),
            "{{line}}",
        ),
    ).decimals(0),
    in_currency(
        stat_panel(
            "A merged pull request",
            "Cost of cloud sessions (product devin) of the running cycle for each pull request "
            "that Devin opened in it and that is merged, at the price as last known; above, their "
            "ACUs.",
            LOCAL,
            now(
                days.with_line(
                    q.cost_of_sessions(PER_MERGED),
                    days.as_text(f"round({PER_MERGED}, 0.01)", "$1 ACUs"),
                    "ACUs",
                ),
                "{{line}}",
            ),
            missing=[NO_PRICE],
            empty="none known",
        ),
    ),
    stat_panel(
        "Days left",
        "Until the running billing cycle ends.",
        "suffix: days",
        now(q.CYCLE_DAYS_LEFT, "in this cycle"),
        width=4,
    ).decimals(1),
)

BY_DAY = in_currency(
    running_day_apart(
        by_product(
            bar_panel(
                "Cost by day and product",
                f"Cost of each complete billing day, of the products that the range has any of. "
                f"{money.DAYS_AT_ITS_PRICE} {RUNNING_IS}",
                LOCAL,
                over_time(
                    days.used_in_range(q.USE_YESTERDAY, _cost_by_day),
                    "{{product}}",
                    step="1d",
                ),
                over_time(money.of_running_day(), f"{{{{product}}}}{RUNNING}", step="1d"),
                axis="cost",
                empty="no whole day with a price is known in this range",
            )
        )
    ),
    over_range=True,
)


def _course() -> timeseries.Panel:
    return (
        line_panel(
            "Cycle against the pool",
            "ACUs of the cycle by the end of each billing day (the running day as far as it has "
            "gone), what could be foreseen of the cycle's end then, and the pool as last known. "
            "Choose a longer range for the cycles before. Made of days: a day that is not known "
            f"leaves the rest of its cycle out. The pool is the enterprise's. {FORECAST_IS}",
            LOCAL,
            over_time(cycles.course(q.USE_YESTERDAY, q.USE_TODAY), "ACUs", step="1d"),
            over_time(
                cycles.forecast_course(q.USE_YESTERDAY, q.USE_TODAY),
                "Forecast of the end",
                step="1d",
            ),
            over_time(f"max({q.last('devin_pool_acus', '[1d]' + q.AT_NOW)})", "Pool", step="1d"),
            axis="ACUs",
            height=10,
            empty="no cycle's days are all known in this range",
        )
        .interval("1d")
        .decimals(0)
        .override_by_name("ACUs", [colour(BLUE)])
        .override_by_name(
            "Forecast of the end",
            [colour(AMBER), dashed()],
        )
        .override_by_name("Pool", [colour(GREY)])
    )


PRODUCTS_OF_CYCLE = as_people_write(
    ranking_panel(
        "ACUs by product",
        "ACUs of the running billing cycle.",
        LOCAL,
        now(f"{q.total(q.USE_CYCLE, by='product')} != 0", "{{product}}"),
        width=5,
        empty="no use in this cycle is known",
        names_above=True,
    ),
    PRODUCTS,
).decimals(0)

_tiers = f"max by (tier_id, tier_name) ({q.latest('devin_usage_tier_limit_acus')})"
TIERS = table_panel(
    "Tiers of users",
    "ACUs that each user of a tier may use in a billing cycle, reviews left out. A tier without a "
    f"limit is not shown. {ENTERPRISE_ONLY}",
    rows(_tiers),
    columns={
        "tier_name": wide_column("Tier", 110),
        "Value #A": number_column("ACUs each", 115),
    },
    empty=("tier_name", "no limit of a tier is known", _tiers),
    width=5,
    height=5,
).sort_by([TableSortByFieldState().display_name("ACUs each").desc(True)])  # noqa: FBT003


BOARD = Board(
    uid="devin-cost",
    about="Cost and ACUs of the billing cycle, by organization, product and category, against "
    "pool and limits.",
    variables=[*OF_ORGANIZATIONS, CURRENCY_VARIABLE],
    sections=[
        ("", CARDS),
        ("", [BY_ORGANIZATION]),
        ("", [BY_DAY, _course()]),
        ("The whole enterprise", OF_THE_ENTERPRISE),
        (
            "Where it goes",
            [
                Stack([PRODUCTS_OF_CYCLE, TIERS]),
                table_panel(
                    "By category",
                    "What sessions created in the running billing cycle were for; the row without "
                    "a subcategory is what its category holds beyond its subcategories. Cost is at "
                    "the price as last known. "
                    f"{ENTERPRISE_ONLY}",
                    rows(_sessions),
                    rows(_acus),
                    rows(q.cost_of_sessions(_acus)),
                    columns={
                        "category": wide_column(
                            "Category", 170, setting("mappings", [words(*CATEGORIES)])
                        ),
                        "subcategory": column("Subcategory", 125),
                        "Value #A": number_column("Sessions", 80),
                        "Value #B": number_column("ACUs", 80),
                        "Value #C": number_column("Cost, $currency", 95),
                    },
                    empty=("category", "no category is known", _sessions),
                    width=11,
                    height=14,
                ).sort_by([TableSortByFieldState().display_name("ACUs").desc(True)]),  # noqa: FBT003
                ranking_table(
                    "Users close to a limit",
                    "ACUs of the running cycle, reviews left out, against the user's own limit (a "
                    "permanent override), the 15 closest among the chosen organizations' members, "
                    "with all that they used. A limit of 0 blocks all use and is not shown.",
                    rows(names.with_user_name(_near_limit, _limit_of_users)),
                    setting("max", 1),
                    ranked=Ranked(label="user", names="User", figures="Used"),
                    empty=("no user with a limit is known to have used anything", _near_limit),
                    unit="percentunit",
                    by_threshold=CLOSENESS,
                    bar_width=125,
                    width=8,
                    height=14,
                ),
            ],
        ),
    ],
    alerts={
        "DevinPool.+|DevinEnterpriseNearLimit": ["Cycle against the pool"],
        "DevinAcuSpike": ["Cost by day and product"],
    },
)
