"""AI spend: what Devin costs beside what the models behind the AIone gateway cost."""

from grafana.boards.ai_spend import gateway, gateway_billing, gateway_quality
from grafana.boards.cost.by_organization import COST_OF_THIS, THIS_CYCLE
from grafana.builders.board import Board, Stack
from grafana.builders.charts import RUNNING, RUNNING_IS, bar_panel, by_product, running_day_apart
from grafana.builders.panels import LOCAL, NO_PRICE, NOTHING, in_currency, stat_panel
from grafana.builders.queries import now, over_time, rows
from grafana.builders.tables import Ranked, ranking_table
from grafana.builders.variables import CURRENCY_VARIABLE, OF_ORGANIZATIONS
from grafana.expressions import days, money, names
from grafana.expressions import promql as q

AT_PRICE = money.AT_ITS_PRICE
_first = f"topk({gateway.SHOWN}, {THIS_CYCLE})"
_named = names.with_organization_name(f"{COST_OF_THIS} and on (org_id) {_first}", THIS_CYCLE)
_yesterday = f"round({money.yesterday()}, 0.01)"

_rest = in_currency(
    gateway.others(
        "Devin: other cost",
        COST_OF_THIS,
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
            empty=("no cost of an organization is known", COST_OF_THIS),
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
    variables=[*OF_ORGANIZATIONS, CURRENCY_VARIABLE],
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
                                money.today(),
                                days.as_text(
                                    f"sum({_yesterday})", "so far; $1 $currency yesterday"
                                ),
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
                        now(money.cycle_so_far(q.total(q.USE_CYCLE)), "so far"),
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
                    running_day_apart(
                        by_product(
                            bar_panel(
                                "Devin: cost by day",
                                "Cost of each complete billing day by product, of those that the "
                                f"range has any of. {money.DAYS_AT_ITS_PRICE} {RUNNING_IS}",
                                LOCAL,
                                over_time(
                                    days.used_in_range(
                                        q.USE_YESTERDAY,
                                        money.of_day(by="product"),
                                    ),
                                    "{{product}}",
                                    step="1d",
                                ),
                                over_time(
                                    money.of_running_day(), f"{{{{product}}}}{RUNNING}", step="1d"
                                ),
                                axis="cost",
                                empty="no whole day with a price is known in this range",
                            )
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
        ("AIone gateway: billing and keys", gateway_billing.BILLING),
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
