"""Monthly report: the last complete billing cycle on one page, for the person who pays."""

from grafana_foundation_sdk.builders.common import TableSortByFieldState

from grafana.boards.cost.board import FORECAST, FORECAST_IS
from grafana.boards.cost.by_organization import CYCLE_BEFORE
from grafana.builders import cycles, days, names
from grafana.builders import promql as q
from grafana.builders.board import Board
from grafana.builders.panels import LOCAL, NO_PRICE, in_currency, ranking_panel, stat_panel
from grafana.builders.queries import now, rows
from grafana.builders.tables import number_column, table_panel, wide_column
from grafana.builders.variables import CURRENCY_VARIABLE, OF_ORGANIZATIONS

USERS_SHOWN = 15
LAST = "Of the last complete billing cycle, at the price as last known."
NOT_COMPARED = "the cycle before is not known"


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
_change = days.percent_line(
    f"{_total} / ({_total_before} > 0) - 1",
    'label_replace(vector(1), "than", "the cycle before", "", "")',
)
_of_sessions = q.total(q.USE_PREVIOUS_CYCLE, ', product="devin"')
_per_merged = f"{_of_sessions} / ({_at_its_end(q.MERGED_CYCLE)} > 0)"
_products = f"sum by (product) ({q.scoped(q.USE_PREVIOUS_CYCLE)}) != 0"
_users = q.of_users(q.DAILY_USE_OF_USERS, cycles.users_of_previous)
_top = f"topk({USERS_SHOWN}, {_users})"
_two_before = cycles.at_previous_end(
    q.USE_PREVIOUS_CYCLE.organization, by="org_id", matchers=q.ORGANIZATION
)
_change_of_forecast = days.percent_line(
    f"({FORECAST}) / ({_total} > 0) - 1",
    'label_replace(vector(1), "than", "the last one", "", "")',
)

CARDS = (
    in_currency(
        stat_panel(
            "Cost of the last cycle",
            f"{LAST} Above, its ACUs against those of the cycle before.",
            LOCAL,
            now(
                days.with_line(q.cost(_total), f"max by (line) ({_change})", NOT_COMPARED),
                "{{currency}} {{line}}",
            ),
            width=6,
            missing=NO_PRICE,
        ),
        "${__field.labels.line}",
    ),
    stat_panel(
        "ACUs of the last cycle",
        "Of the last complete billing cycle; above, how many days it had.",
        LOCAL,
        now(
            days.with_line(
                _total,
                days.as_text(f"round({q.PREVIOUS_CYCLE_DAYS})", "in $1 days"),
                "its length is not known",
            ),
            "{{line}}",
        ),
        width=6,
    ).decimals(0),
    in_currency(
        stat_panel(
            "A merged pull request",
            "Cost of cloud sessions (product devin) of the last complete cycle for each pull "
            "request that Devin opened in it and that was merged when it ended. The API has no "
            "past of pull requests: it is known of cycles that ended while the exporter ran.",
            LOCAL,
            now(q.cost(_per_merged), "{{currency}} of the last cycle"),
            width=6,
            empty="not known",
            missing=NO_PRICE,
        ),
        "of the last cycle",
    ),
    in_currency(
        stat_panel(
            "Forecast of this cycle",
            f"{FORECAST_IS} At the price as last known.",
            LOCAL,
            now(
                days.with_line(
                    q.cost(FORECAST), f"max by (line) ({_change_of_forecast})", "last one not known"
                ),
                "{{currency}} {{line}}",
            ),
            width=6,
            empty="no forecast",
            missing=NO_PRICE,
        ),
        "${__field.labels.line}",
    ),
)

BY_ORGANIZATION = table_panel(
    "By organization",
    f"{LAST} Change is against the cycle before. Organizations hold cloud sessions alone; use in "
    "IDE and terminal is tied to users.",
    rows(names.organization_names(CYCLE_BEFORE)),
    rows(q.cost(CYCLE_BEFORE)),
    rows(CYCLE_BEFORE),
    rows(q.cost(_two_before)),
    rows(f"{CYCLE_BEFORE} / on (org_id) ({_two_before} > 0) - 1"),
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
    height=11,
).sort_by([TableSortByFieldState().display_name("ACUs").desc(True)])  # noqa: FBT003

BY_PRODUCT = in_currency(
    ranking_panel(
        "By product",
        f"{LAST}",
        LOCAL,
        now(q.cost(_products), "{{currency}} {{product}}"),
        width=10,
        height=11,
        names_above=True,
        empty="no cost of a product is known",
    ),
    "${__field.labels.product}",
)

TOP_USERS = in_currency(
    ranking_panel(
        "Top users",
        f"{LAST} The {USERS_SHOWN} users with most, of those whose use is on record; with "
        "organizations chosen: their members, with all that they used. Reads the recording rule of "
        "deploy/prometheus/rules.yml.",
        LOCAL,
        now(q.cost(names.with_user_name(_top, _users)), "{{currency}} {{user}}"),
        width=24,
        height=12,
        empty="no use of a user in that cycle is on record",
    ),
    "${__field.labels.user}",
)

BOARD = Board(
    uid="devin-monthly-report",
    about="The last complete billing cycle on one page that can be printed: cost, by organization, "
    "product and user, against the cycle before, and what this one will cost.",
    variables=[*OF_ORGANIZATIONS, CURRENCY_VARIABLE],
    sections=[("", CARDS), ("", [BY_ORGANIZATION, BY_PRODUCT]), ("", [TOP_USERS])],
    refresh="",
    fixed_variables=True,
)
