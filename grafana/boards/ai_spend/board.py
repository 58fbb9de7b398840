"""AI spend: what Devin costs beside what the models behind the AIone gateway cost."""

from grafana.boards.ai_spend import gateway, gateway_quality
from grafana.boards.cost.by_organization import THIS_CYCLE
from grafana.builders import days, names
from grafana.builders import promql as q
from grafana.builders.board import Board, Stack
from grafana.builders.charts import bar_panel, by_product
from grafana.builders.panels import LOCAL, NO_PRICE, NOTHING, in_currency, stat_panel
from grafana.builders.queries import now, over_time, rows
from grafana.builders.tables import Ranked, ranking_table
from grafana.builders.variables import OF_ORGANIZATIONS

AT_PRICE = "ACUs at the price as last known (DEVIN_ACU_PRICE)."
_first = f"topk({gateway.SHOWN}, {THIS_CYCLE})"
_named = q.cost(names.with_organization_name(_first, THIS_CYCLE))
_yesterday = f"round({q.total(q.USE_YESTERDAY)} * on () {q.price()}, 0.01)"

_rest = in_currency(
    gateway.others(
        "Devin: other cost",
        q.cost(THIS_CYCLE),
        key="org_id",
        top=f"({_first})",
        unit=LOCAL,
        width=12,
    )
)
_BY_ORGANIZATION = Stack(
    [
        ranking_table(
            "Devin: cost by organization",
            f"Of the running billing cycle so far: the {gateway.SHOWN} chosen organizations with "
            f"most. {AT_PRICE} Organizations hold cloud sessions alone; the dashboard Cost says "
            "what they lack.",
            rows(_named),
            ranked=Ranked(label="org_name", names="Organization", figures="Cost"),
            empty=("no cost of an organization is known", q.cost(THIS_CYCLE)),
            money=True,
            width=12,
            height=11,
        ),
        _rest,
    ]
)

BOARD = Board(
    uid="devin-ai-spend",
    about="Cost and use of Devin beside those of the AIone gateway, each in its own currency and "
    "by its own days.",
    variables=OF_ORGANIZATIONS,
    sections=[
        (
            "",
            [
                in_currency(
                    stat_panel(
                        "Devin today",
                        "Cost of the running billing day so far; above, of the last complete one. "
                        f"{AT_PRICE}",
                        LOCAL,
                        now(
                            days.with_line(
                                q.cost(q.total(q.USE_TODAY)),
                                days.as_text(f"sum({_yesterday})", "so far; $1 yesterday"),
                                "so far",
                            ),
                            "{{line}}",
                        ),
                        width=6,
                        missing=[NO_PRICE, NOTHING],
                    ),
                ),
                in_currency(
                    stat_panel(
                        "Devin this cycle",
                        f"Cost of the running billing cycle so far. {AT_PRICE}",
                        LOCAL,
                        now(q.cost(q.total(q.USE_CYCLE)), "so far"),
                        width=6,
                        missing=[NO_PRICE],
                    ),
                ),
                *gateway.COST_CARDS,
            ],
        ),
        (
            "",
            [
                in_currency(
                    by_product(
                        bar_panel(
                            "Devin: cost by day",
                            "Cost of each complete billing day by product, at the price of that "
                            "day, of the products that the range has any of.",
                            LOCAL,
                            over_time(
                                days.used_in_range(
                                    q.USE_YESTERDAY,
                                    q.cost_of_day(days.daily(q.USE_YESTERDAY, by="product")),
                                ),
                                "{{product}}",
                                step="1d",
                            ),
                            axis="cost",
                            empty="no whole day with a price is known in this range",
                        )
                    ),
                    over_range=True,
                ),
                gateway.COST_BY_DAY,
            ],
        ),
        (
            "",
            [
                _BY_ORGANIZATION,
                gateway.COST_BY_TEAM,
            ],
        ),
        ("AIone gateway: use", [*gateway.USE, *gateway.RANKINGS]),
        (
            "AIone gateway: speed, errors and state",
            [*gateway_quality.QUALITY, *gateway_quality.STATUS],
        ),
    ],
    alerts={
        "DevinAcuSpike": ["Devin: cost by day"],
        "AIoneErrorRatioHigh": ["Gateway: failed requests"],
        "AIone(Capacity|Service).+": ["Gateway: capacity and service over time"],
    },
)
