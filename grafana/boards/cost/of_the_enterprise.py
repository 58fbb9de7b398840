"""Cards of the whole enterprise: pool, limit, and what belongs to no organization."""

from grafana.boards.cost.forecast import (
    ENTERPRISE_FORECAST,
    ENTERPRISE_MEAN_DAY,
    ENTERPRISE_SO_FAR,
    FORECAST_IS,
    NO_POOL,
    POOL,
)
from grafana.builders.colours import BAD, GOOD, WARNING
from grafana.builders.overrides import BY_THRESHOLD, thresholds
from grafana.builders.panels import ENTERPRISE_ONLY, LOCAL, stat_panel
from grafana.builders.queries import now
from grafana.expressions import promql as q

_enterprise_limit = f"max({q.latest('devin_enterprise_cycle_limit_acus')})"
_unattributed = (
    "max("
    + q.latest("devin_exporter_unattributed_cycle_acus", f'{q.JOB}, scope="organizations"')
    + ")"
)
OF_THE_ENTERPRISE = (
    stat_panel(
        "Pool used",
        "ACUs of the running cycle against the pool bought for it (DEVIN_ACU_POOL). "
        f"{ENTERPRISE_ONLY}",
        "percentunit",
        now(f"{ENTERPRISE_SO_FAR} / ({POOL} > 0)", "so far"),
        missing=[NO_POOL],
    )
    .decimals(1)
    .color_scheme(BY_THRESHOLD)
    .thresholds(thresholds(GOOD, (0.9, WARNING), (1, BAD))),
    stat_panel(
        "Pool at the end",
        f"Where the forecast would stand against the pool. {FORECAST_IS} {ENTERPRISE_ONLY}",
        "percentunit",
        now(f"({ENTERPRISE_FORECAST}) / ({POOL} > 0)", "forecast"),
        missing=[NO_POOL],
    )
    .decimals(1)
    .color_scheme(BY_THRESHOLD)
    .thresholds(thresholds(GOOD, (0.9, WARNING), (1, BAD))),
    stat_panel(
        "Pool lasts",
        "Days until the pool is used up at the rate of the last 7 complete billing days; the cycle "
        f"may end before. {ENTERPRISE_ONLY}",
        "suffix: days",
        now(
            f"clamp_min({POOL} - {ENTERPRISE_SO_FAR}, 0) / ({ENTERPRISE_MEAN_DAY} > 0)",
            "at the last week's rate",
        ),
        missing=[NO_POOL],
    ).decimals(1),
    stat_panel(
        "Limit used",
        f"ACUs of the running cycle against the enterprise's limit. {ENTERPRISE_ONLY}",
        "percentunit",
        now(f"{ENTERPRISE_SO_FAR} / ({_enterprise_limit} > 0)", "of the enterprise's"),
        missing=[("none known", "limit of the enterprise", q.none_of(_enterprise_limit))],
    )
    .decimals(1)
    .color_scheme(BY_THRESHOLD)
    .thresholds(thresholds(GOOD, (0.8, WARNING), (1, BAD))),
    stat_panel(
        "Not attributed",
        "ACUs of the running cycle that the enterprise's total holds and the sum of its "
        "organizations does not. Usually it is use in IDE and terminal, which the vendor ties to "
        "users, not to organizations. Absent unless every organization is known. "
        f"{ENTERPRISE_ONLY}",
        LOCAL,
        now(_unattributed, "ACUs of this cycle"),
        width=4,
    ).decimals(0),
)
