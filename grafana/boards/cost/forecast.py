"""The PromQL of the running cycle: so far, at its end, and the pool."""

from grafana.expressions import days
from grafana.expressions import promql as q

SO_FAR = q.total(q.USE_CYCLE)
MEAN_DAY = days.mean_of_seven_days(q.scoped(q.USE_YESTERDAY, days.OF_DAY_ENDING_AT_EIGHT))
FORECAST = q.forecast(SO_FAR, MEAN_DAY)
FORECAST_IS = (
    "Forecast: ACUs of the cycle so far + days left * mean of the last 7 complete billing days, "
    "which holds five working days and a weekend. Absent unless all seven are known."
)
ENTERPRISE_SO_FAR = f"sum({q.latest('devin_consumption_cycle_acus')})"
ENTERPRISE_MEAN_DAY = days.mean_of_seven_days(
    q.last("devin_consumption_yesterday_acus", days.OF_DAY_ENDING_AT_EIGHT), known_by=""
)
ENTERPRISE_FORECAST = q.forecast(ENTERPRISE_SO_FAR, ENTERPRISE_MEAN_DAY)
POOL = f"max({q.latest('devin_pool_acus')})"
NO_POOL = ("no pool", "DEVIN_ACU_POOL", q.none_of(POOL))
