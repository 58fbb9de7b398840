"""What each team and cost center pays: in this cycle and those before, at its end, and by day."""

from grafana_foundation_sdk.builders import barchart, common
from grafana_foundation_sdk.builders.common import TableSortByFieldState
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as model

from grafana.boards.cost.by_organization import CLOSENESS
from grafana.boards.cost.forecast import FORECAST_IS
from grafana.boards.teams import figures as f
from grafana.builders.charts import RUNNING, RUNNING_IS, bar_panel, running_day_apart
from grafana.builders.colours import BLUE, GREY
from grafana.builders.overrides import BY_PALETTE, colour, setting
from grafana.builders.panels import LOCAL, framed, in_currency
from grafana.builders.queries import over_time, rows
from grafana.builders.tables import (
    Column,
    bar_column,
    column,
    number_column,
    table_panel,
    wide_column,
)
from grafana.expressions import cycles, money

EMPTY = "no team is known: there is no teams file, or an organization's key"
NOT_SCOPED = "Teams go across organizations: whatever is chosen, this is all of them."
_ROWS = (
    f"{f.NOBODYS} is use by people and service users whom the file puts in no team, {f.SMALL} that "
    "of teams too small to be shown alone."
)
_by_acus = TableSortByFieldState().display_name("ACUs").desc(True)  # noqa: FBT003


def _closeness(title: str, width: int) -> Column:
    return bar_column(title, width, setting("max", 1), unit="percentunit", by_threshold=CLOSENESS)


def _with_cost_center(values: str) -> str:
    """Values by cost center; what has none stands without one."""
    joined = f"({values}) * on (team) group_left (cost_center) {f.COST_CENTERS}"
    alone = f"({values}) unless on (team) {f.COST_CENTERS}"
    summed = f"sum by (cost_center) (({joined}) or ({alone}))"
    return f'label_replace({summed}, "cost_center", "(none)", "cost_center", "")'


_NAMES = f"{f.COST_CENTERS} or on (team) group by (team) ({f.CYCLE})"

CHARGEBACK = (
    table_panel(
        "Chargeback by team",
        f"By the teams file (DEVIN_TEAMS_FILE). Of the running billing cycle so far, and of the "
        f"whole cycle before. {money.AT_ITS_PRICE} Change is that of the mean day's cost in each, "
        "or of its ACUs where no cost is known. By day: ACUs of each complete day of the last 30. "
        "Used is the share of the team's budget in the "
        f"running cycle. {_ROWS} {NOT_SCOPED}",
        rows(f.named(_NAMES)),
        rows(f.named(f.COST)),
        rows(f.named(f.COST_BEFORE)),
        over_time(f.named(f.BY_DAY), "", step="1d"),
        rows(f.named(f.CYCLE)),
        rows(f.named(f.BUDGET)),
        rows(f.named(f.USED)),
        rows(f.named(f.CHANGE)),
        columns={
            "team": wide_column("Team", 110),
            "cost_center": column("Cost center", 95),
            "Value #B": number_column("This cycle, $currency", 125),
            "Value #C": number_column("Last cycle, $currency", 125),
            "Value #H": number_column("Change per day", 125, unit="percentunit"),
            "Trend #D": column(
                "ACUs by day",
                230,
                setting("custom.cellOptions", options.TableSparklineCellOptions()),
                colour(BLUE),
            ),
            "Value #E": number_column("ACUs", 90),
            "Value #F": number_column("Budget, ACUs", 115),
            "Value #G": _closeness("Budget used", 120),
        },
        empty=("team", EMPTY, f.CYCLE),
        before=[
            model.DataTransformerConfig("timeSeriesTable", options={"D": {"stat": "lastNotNull"}})
        ],
        height=10,
    )
    .time_from("30d")
    .max_data_points(10_000)
    .sort_by([_by_acus])
)

BY_COST_CENTER = table_panel(
    "Chargeback by cost center",
    "The teams of each cost center together: of the running billing cycle so far, and of the whole "
    f"cycle before. {money.AT_ITS_PRICE} (none) is use by who is in no team, and by teams without "
    f"a cost center. {NOT_SCOPED}",
    rows(f"group by (cost_center) ({_with_cost_center(f.CYCLE)})"),
    rows(_with_cost_center(f.CYCLE)),
    rows(_with_cost_center(f.COST)),
    rows(_with_cost_center(f.COST_BEFORE)),
    columns={
        "cost_center": wide_column("Cost center", 115),
        "Value #C": number_column("This cycle, $currency", 150),
        "Value #D": number_column("Last cycle, $currency", 150),
        "Value #B": number_column("ACUs", 90),
    },
    empty=("cost_center", EMPTY, f.CYCLE),
    width=10,
    height=9,
).sort_by([_by_acus])

FORECASTS = table_panel(
    "Forecast by team",
    f"ACUs of the running billing cycle. {FORECAST_IS} {_ROWS} {NOT_SCOPED}",
    rows(f.named(f"group by (team) ({f.CYCLE})")),
    rows(f.named(f.CYCLE)),
    rows(f.named(f.FORECAST)),
    rows(f.named(f.BUDGET)),
    rows(f.named(f"{f.FORECAST} / on (team) ({f.BUDGET} > 0)")),
    columns={
        "team": wide_column("Team", 150),
        "Value #B": number_column("ACUs so far", 115),
        "Value #C": number_column("At the end", 110),
        "Value #D": number_column("Budget", 90),
        "Value #E": _closeness("Budget at the end", 170),
    },
    empty=("team", EMPTY, f.CYCLE),
    width=14,
    height=9,
).sort_by([TableSortByFieldState().display_name("At the end").desc(True)])  # noqa: FBT003

_each_cycle = f"({cycles.each_cycle(f.EACH_DAYS_COST)}) or ({cycles.as_running_one(f.COST)})"
_first = f"topk({f.SHOWN}, {f.CYCLE})"
BY_CYCLE = (
    in_currency(
        framed(
            barchart.Panel(),
            "Cost by billing cycle",
            "Of the billing cycles of the last 400 days by the date that each began on, of the "
            f"{f.SHOWN} teams with most ACUs in the running one. A complete cycle is absent unless "
            "the rules of deploy/prometheus/rules.yml have recorded every day of it. The past "
            f"has the teams of then, or of the backfill. {NOT_SCOPED}",
            [rows(f.named(f"({_each_cycle}) and on (team) {_first}"))],
            unit=LOCAL,
            size=(10, 10),
            empty="no complete cycle of a team is on record",
        )
        .min(0)
        .axis_label("cost")
        .stacking(options.StackingMode.NORMAL)
        .show_value(options.VisibilityMode.NEVER)
        .fill_opacity(85)
        .line_width(0)
        .bar_width(0.6)
        .x_tick_label_max_length(24)
        .color_scheme(BY_PALETTE)
        .tooltip(
            common.VizTooltipOptions()
            .mode(options.TooltipDisplayMode.MULTI)
            .sort(options.SortOrder.DESCENDING)
        )
        .legend(
            common.VizLegendOptions()
            .show_legend(True)  # noqa: FBT003 - the library's signature
            .display_mode(options.LegendDisplayMode.LIST)
            .placement(options.LegendPlacement.BOTTOM)
        ),
    )
    .with_transformation(
        model.DataTransformerConfig("sortBy", options={"fields": {}, "sort": [{"field": "team"}]})
    )
    .with_transformation(
        model.DataTransformerConfig(
            "groupingToMatrix",
            options={
                "columnField": "team",
                "rowField": "cycle",
                "valueField": "Value #A",
                "emptyValue": "null",
            },
        )
    )
    .with_transformation(
        model.DataTransformerConfig(
            "sortBy", options={"fields": {}, "sort": [{"field": "cycle\\team"}]}
        )
    )
)

BY_DAY = in_currency(
    running_day_apart(
        bar_panel(
            "Cost by day and team",
            f"Cost of each complete billing day at the price of that day, as recorded by "
            f"deploy/prometheus/rules.yml: the {f.SHOWN} teams with most in the range, and all "
            f"others together. {RUNNING_IS} {_ROWS} {NOT_SCOPED}",
            LOCAL,
            over_time(f.named(f.COST_BY_DAY), "{{team}}", step="1d"),
            over_time(f.COST_OF_OTHERS_BY_DAY, "all others", step="1d"),
            over_time(f.COST_OF_RUNNING_DAY, f"everybody{RUNNING}", step="1d"),
            axis="cost",
            width=14,
            height=10,
            empty="no whole day of a team is on record in this range",
        )
    )
    .color_scheme(BY_PALETTE)
    .override_by_regexp(f"/^(all others|everybody{RUNNING})$/", [colour(GREY)]),
    over_range=True,
)
