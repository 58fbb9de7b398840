"""Teams: who pays, for what, and who comes near a budget."""

from grafana.boards.cost.forecast import FORECAST_IS
from grafana.boards.firing_alerts import firing_panel
from grafana.boards.teams import figures as f
from grafana.boards.teams.chargeback import (
    BY_COST_CENTER,
    BY_CYCLE,
    BY_DAY,
    CHARGEBACK,
    FORECASTS,
    NOT_SCOPED,
)
from grafana.boards.teams.got import GOT
from grafana.boards.teams.spent_on import GROUPS, REPOSITORIES, TAGS
from grafana.builders.board import Board
from grafana.builders.panels import LOCAL, NO_PRICE, NOTHING, in_currency, stat_panel
from grafana.builders.queries import now
from grafana.builders.variables import CARRIED_ORGANIZATION_VARIABLE, CURRENCY_VARIABLE
from grafana.expressions import days, money
from grafana.expressions import promql as q

NO_PRICE_OF_TEAMS = (*NO_PRICE[:2], f"({NO_PRICE[2]}) and on () ({f.CYCLE})")
_nobodys = f"(sum({f.of_teams('cycle', f.NO_TEAM)}) or 0 * sum({f.CYCLE}))"
_in_teams = f"(sum({f.CYCLE}) - {_nobodys}) / (sum({f.CYCLE}) > 0)"
_with_budget = f"count({f.USED})"
_over = f"(count({f.USED} >= 1) or 0 * {_with_budget})"
_near = f"(count({f.USED} >= 0.8 < 1) or 0 * {_with_budget})"
_teams = f"count({f.of_teams('cycle', f.ANY_TEAM)})"
_of_everybody = f"sum by (currency) ({f.COST})"
_whole = f"{_of_everybody} and on () (count({f.COST}) == count({f.CYCLE}))"

CARDS = (
    in_currency(
        stat_panel(
            "Cost so far",
            "Of the running billing cycle: all that people and service users used, in a team or "
            f"not. {money.AT_ITS_PRICE} {NOT_SCOPED}",
            LOCAL,
            now(
                days.with_line(_whole, days.as_text(_teams, "of $1 teams and nobody's"), "so far"),
                "{{line}}",
            ),
            width=6,
            empty="not on record",
            missing=[f.NO_FILE, f.NOT_KNOWN, NO_PRICE_OF_TEAMS, NOTHING],
        )
    ),
    stat_panel(
        "ACUs at the end",
        f"Of the running billing cycle, all teams and nobody's. {FORECAST_IS} {NOT_SCOPED}",
        LOCAL,
        now(
            days.with_line(
                f"sum({f.FORECAST}) and on () (count({f.FORECAST}) == count({f.CYCLE}))",
                days.as_text(f"round(sum({f.CYCLE}))", "forecast; $1 so far"),
                "forecast",
            ),
            "{{line}}",
        ),
        width=6,
        empty="no forecast",
        missing=[f.NO_FILE, f.NOT_KNOWN],
    ).decimals(0),
    stat_panel(
        "In a team",
        "Share of the ACUs of the running billing cycle that somebody in a team used; the rest is "
        f"{f.NOBODYS}. {NOT_SCOPED}",
        "percentunit",
        now(
            days.with_line(
                _in_teams,
                days.as_text(f"round({_nobodys})", "$1 ACUs are in none"),
                "of all ACUs",
            ),
            "{{line}}",
        ),
        width=6,
        missing=[f.NO_FILE, f.NOT_KNOWN],
    ).decimals(1),
    stat_panel(
        "Budgets spent",
        "Teams that have used their budget of the running billing cycle; above, those that have "
        f"used 80 % of it and more. {NOT_SCOPED}",
        LOCAL,
        now(
            days.with_line(
                _over,
                days.as_text(_near, "and $1 nearly"),
                "no budget",
            ),
            "{{line}}",
        ),
        width=6,
        missing=[
            f.NO_FILE,
            f.NOT_KNOWN,
            (
                "none known",
                "budget of a team",
                f"({q.none_of(f.BUDGET)}) and on () (count({f.CYCLE}) > 0)",
            ),
        ],
    ),
)

BOARD = Board(
    uid="devin-teams",
    about="Who pays: cost by team and cost center of this cycle, the one before and each day, "
    "budgets and forecasts, and what it was spent on.",
    variables=[CARRIED_ORGANIZATION_VARIABLE, CURRENCY_VARIABLE],
    sections=[
        ("", CARDS),
        ("", [CHARGEBACK]),
        ("", [BY_COST_CENTER, FORECASTS]),
        ("", [BY_CYCLE, BY_DAY]),
        ("What it was spent on, and what came of it, in this cycle", [GOT]),
        ("", [REPOSITORIES, TAGS]),
        (
            "Groups and alerts",
            [GROUPS, firing_panel(width=14, height=9, only="DevinTeamNearBudget")],
        ),
    ],
    alerts={"DevinTeamNearBudget": ["Cost by day and team"]},
)
