"""AI spend: what Devin costs beside what the models behind the AIone gateway cost."""

from grafana.boards import aione
from grafana.boards.cost_by_organization import THIS_CYCLE
from grafana.builders import promql as q
from grafana.builders.board import OF_ORGANIZATIONS, Board
from grafana.builders.panels import (
    at_end,
    bar_panel,
    by_product,
    over_time,
    ranking_panel,
    stat_panel,
)

AT_PRICE = "ACUs at the price of now (DEVIN_ACU_PRICE)."
NO_COST = "no figures of Devin, or DEVIN_ACU_PRICE is not set"
_first = f"topk({aione.SHOWN}, {THIS_CYCLE})"
_named = q.cost(q.with_organization_name(_first, THIS_CYCLE))
_others = q.cost(q.rest(THIS_CYCLE, "org_id", _first))

BOARD = Board(
    uid="devin-ai-spend",
    title="Devin / AI spend",
    about="Cost and use of Devin beside those of the AIone gateway, each in its own currency and "
    "by its own days.",
    variables=OF_ORGANIZATIONS,
    sections=[
        (
            "",
            [
                stat_panel(
                    "Devin: cost of today and yesterday",
                    f"Of the running billing day so far, and of the last complete one. {AT_PRICE}",
                    "short",
                    at_end(q.cost(q.total(q.USE_TODAY)), "today so far, {{currency}}"),
                    at_end(q.cost(q.total(q.USE_YESTERDAY)), "yesterday, {{currency}}"),
                    width=6,
                    empty=NO_COST,
                ).decimals(2),
                stat_panel(
                    "Devin: cost of the cycle",
                    f"Of the running billing cycle so far. {AT_PRICE}",
                    "short",
                    at_end(q.cost(q.total(q.USE_CYCLE)), "{{currency}}"),
                    width=6,
                    empty=NO_COST,
                ).decimals(2),
                aione.COST_OF_DAYS,
                aione.COST_OF_RANGE,
            ],
        ),
        (
            "",
            [
                by_product(
                    bar_panel(
                        "Devin: cost by day and product",
                        "Cost of each complete billing day, at the price of that day.",
                        "short",
                        over_time(
                            q.cost(q.daily(q.USE_YESTERDAY, by="product")),
                            "{{product}}, {{currency}}",
                            step="1d",
                        ),
                        empty=NO_COST,
                    )
                ),
                aione.COST_BY_DAY,
            ],
        ),
        (
            "",
            [
                ranking_panel(
                    "Devin: cost by organization",
                    f"Of the running billing cycle so far: the {aione.SHOWN} chosen organizations "
                    f"with most, and all others as one. {AT_PRICE} Organizations hold cloud "
                    "sessions alone; the dashboard Cost says what they lack.",
                    "short",
                    at_end(f"sort_desc({_named})", "{{org_name}}, {{currency}}"),
                    at_end(_others, f"{aione.OTHERS}, {{{{currency}}}}"),
                    width=12,
                    empty=NO_COST,
                ),
                aione.COST_BY_TEAM,
            ],
        ),
        ("AIone: use", [*aione.USE, *aione.RANKINGS]),
        ("AIone: speed, errors and state", [*aione.QUALITY, *aione.STATUS]),
    ],
)
