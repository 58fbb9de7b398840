"""Monthly report: the last complete billing cycle on one page, for the person who pays."""

from grafana_foundation_sdk.builders.common import TableSortByFieldState

from grafana.boards.cost.by_organization import COST_BEFORE, CYCLE_BEFORE
from grafana.boards.cost.forecast import FORECAST, FORECAST_IS, SO_FAR
from grafana.builders.board import Board
from grafana.builders.colours import PRODUCTS
from grafana.builders.overrides import setting, words
from grafana.builders.panels import (
    LOCAL,
    NO_PRICE,
    NOTHING,
    Change,
    in_currency,
    stat_panel,
    with_change,
)
from grafana.builders.queries import now, rows
from grafana.builders.tables import (
    bar_column,
    number_column,
    table_panel,
    wide_column,
)
from grafana.builders.variables import CURRENCY_VARIABLE, OF_ORGANIZATIONS
from grafana.expressions import cycles, days, money, names
from grafana.expressions import promql as q

USERS_SHOWN = 15
LAST = "Of the last complete billing cycle."


def _at_its_end(figure: q.Scoped) -> str:
    """A figure as it stood when the last complete cycle ended."""
    enterprise, organizations = (
        cycles.at_previous_end(metric, matchers=matchers)
        for metric, matchers in (
            (figure.enterprise, q.WHOLE_ENTERPRISE),
            (figure.organization, q.CHOSEN_ORGANIZATIONS),
        )
    )
    return f"sum({enterprise} or {organizations})"


_total = q.total(q.USE_PREVIOUS_CYCLE)
_total_before = _at_its_end(q.USE_PREVIOUS_CYCLE)
_of_sessions = q.total(q.USE_PREVIOUS_CYCLE, ', product="devin"')
_per_merged = f"{_of_sessions} / ({q.total(q.MERGED_PREVIOUS_CYCLE)} > 0)"
_cost = money.previous_cycle(_total)
_cost_of_one_before = money.cycle_before(_total_before)
_forecast = money.forecast(SO_FAR, FORECAST)
_products = f"sum by (product) ({q.scoped(q.USE_PREVIOUS_CYCLE)}) != 0"
_cost_of_products = f"{money.products_of_previous(_products)} != 0"
_users = q.of_users(q.DAILY_USE_OF_USERS, cycles.users_of_previous)
_top = f"topk({USERS_SHOWN}, {_users})"
_two_before = cycles.at_previous_end(
    q.USE_PREVIOUS_CYCLE.organization, by="org_id", matchers=q.ORGANIZATION
)

_rows_of_one_before = money.rows_of_one_before(
    "organization", "org_id", _two_before, q.ORGANIZATION
)


def _change(last: str, before: str) -> str:
    return f"sum by (org_id) ({last}) / on (org_id) (sum by (org_id) ({before}) > 0) - 1"


def _priced(cost: str, acus: str, label: str) -> str:
    """A row for each in any case: Grafana names values after queries where several answer."""
    return f"({cost}) or on ({label}) (({acus}) * NaN)"


def _than(what: str) -> str:
    return f'label_replace(vector(1), "than", "{what}", "", "")'


CARDS = (
    with_change(
        in_currency(
            stat_panel(
                "Cost of the last cycle",
                f"{LAST} {money.AT_ITS_PRICE} Beside it the change against the cycle before.",
                LOCAL,
                now(
                    days.with_line(
                        _cost,
                        days.as_text(f"round({q.PREVIOUS_CYCLE_DAYS})", "in $1 days"),
                        "its length is not known",
                    ),
                    "{{line}}",
                ),
                width=6,
                missing=[NO_PRICE, NOTHING],
            )
        ),
        Change(
            ratio=f"{_cost} / on (currency) ({_cost_of_one_before} > 0) - 1",
            than=_than("the one before"),
            compared=f"({_total}) and on () {q.price_of_product()}",
            rise_is_good=False,
        ),
        now,
    ),
    stat_panel(
        "ACUs of the last cycle",
        "Of the last complete billing cycle.",
        LOCAL,
        now(_total, "used"),
        width=6,
    ).decimals(0),
    in_currency(
        stat_panel(
            "A merged pull request",
            "Cost of cloud sessions (product devin) of the last complete cycle for each pull "
            "request that Devin opened in it and that is merged by now. At the price as last "
            "known.",
            LOCAL,
            now(q.cost_of_sessions(_per_merged), "of the last cycle"),
            width=6,
            empty="not known",
            missing=[NO_PRICE],
        )
    ),
    with_change(
        in_currency(
            stat_panel(
                "Forecast of this cycle",
                f"{FORECAST_IS} {money.AT_ITS_PRICE} Beside it the change against the last cycle.",
                LOCAL,
                now(_forecast, "at its end"),
                width=6,
                empty="no forecast",
                missing=[NO_PRICE],
            )
        ),
        Change(
            ratio=f"({_forecast}) / on (currency) ({_cost} > 0) - 1",
            than=_than("the last one"),
            compared=f"({FORECAST}) and on () {q.price_of_product()}",
            rise_is_good=False,
        ),
        now,
    ),
)

BY_ORGANIZATION = table_panel(
    "By organization",
    f"{LAST} {money.AT_ITS_PRICE} Change is that of the cost against the cycle before, or of ACUs "
    "where no cost is known. Organizations hold cloud sessions alone; use in IDE and terminal is "
    "tied to users.",
    rows(names.organization_names(CYCLE_BEFORE)),
    rows(COST_BEFORE),
    rows(CYCLE_BEFORE),
    rows(_rows_of_one_before),
    rows(
        money.either(
            _change(COST_BEFORE, _rows_of_one_before),
            _change(CYCLE_BEFORE, _two_before),
            by="org_id",
        )
    ),
    columns={
        "org_name": wide_column("Organization", 150),
        "Value #B": number_column("Cost, $currency", 120),
        "Value #C": number_column("ACUs", 90),
        "Value #D": number_column("Before, $currency", 130),
        "Value #E": number_column("Change", 90, unit="percentunit"),
    },
    hidden=("org_id",),
    empty=("org_name", "no organization is known", CYCLE_BEFORE),
    width=14,
    height=10,
).sort_by([TableSortByFieldState().display_name("ACUs").desc(True)])  # noqa: FBT003

BY_PRODUCT = table_panel(
    "By product",
    f"{LAST} {money.AT_ITS_PRICE}",
    rows(_products),
    rows(_priced(_cost_of_products, _products, "product")),
    columns={
        "product": wide_column("Product", 110, setting("mappings", [words(*PRODUCTS)])),
        "Value #A": bar_column("ACUs", 160, unit="locale"),
        "Value #B": number_column("Cost, $currency", 130),
    },
    empty=("product", "no use of a product is known", _products),
    width=10,
    height=10,
).sort_by([TableSortByFieldState().display_name("ACUs").desc(True)])  # noqa: FBT003

TOP_USERS = table_panel(
    "Top users",
    f"{LAST} The {USERS_SHOWN} users with most, of those whose use is on record; with "
    "organizations chosen: their members, with all that they used. The cost is at the price as "
    "last known, and empty where products have prices of their own. Reads the recording rule of "
    "deploy/prometheus/rules.yml.",
    rows(names.with_user_name(_top, _top)),
    rows(_priced(q.cost(_top), _top, "user_id")),
    columns={
        "user": wide_column("User", 150),
        "Value #A": bar_column("ACUs", 160, unit="locale"),
        "Value #B": number_column("Cost, $currency", 130),
    },
    hidden=("user_id",),
    empty=("user", "no user's use in that cycle is known", _users),
    width=24,
    height=17,
).sort_by([TableSortByFieldState().display_name("ACUs").desc(True)])  # noqa: FBT003

BOARD = Board(
    uid="devin-monthly-report",
    about="The last complete billing cycle on one page that can be printed: cost, by organization, "
    "product and user, against the cycle before, and what this one will cost.",
    variables=[*OF_ORGANIZATIONS, CURRENCY_VARIABLE],
    sections=[("", CARDS), ("", [BY_ORGANIZATION, BY_PRODUCT]), ("", [TOP_USERS])],
    refresh="",
    fixed_variables=True,
)
