"""The PromQL of billing cycles made of days, so that finished and backfilled ones are there, too.

A day gets the start of the cycle that it is in as a label, `start`, and days are summed by it.
"""

from grafana.builders.days import (
    OF_DAY_ENDING_AT_EIGHT,
    daily,
    each_day,
    mean_of_seven_days,
    running_day,
)
from grafana.builders.promql import ANY_INSTANCE, PREVIOUS_CYCLE_START, Scoped, last, scoped

_START = "devin_billing_cycle_start_timestamp_seconds"
_END = "devin_billing_cycle_end_timestamp_seconds"
OF_THE_DAY_FROM_HERE = "[22h] offset -23h59m"
OF_THE_DAY_TO_EIGHT = "[22h] offset -7h59m"
UP_TO_THIS_DAY = "[40d:1d] offset -16h"
"""At a day's start: midnights that stand for the days up to that one; no cycle is longer."""
TWO_CYCLES = "[65d:1d]"
_of_this_day = f"max({last(_START, OF_THE_DAY_FROM_HERE)})"
_of_each_day = f"max({last(_START, OF_THE_DAY_TO_EIGHT)})"
_this_cycle = f'count_values("start", {_of_this_day})'


def _by_cycle(values: str) -> str:
    return f'({values}) * on () group_left (start) count_values("start", {_of_each_day})'


def course(figure: Scoped, today: Scoped) -> str:
    """Used in the cycle by the end of the day that starts here; absent unless all days are known.

    The running day counts as far as it has gone.
    """
    days = _by_cycle(each_day(figure))
    finished, counted = (
        f"(sum({function}(({days}){UP_TO_THIS_DAY}) and on (start) {_this_cycle}) or vector(0))"
        for function in ("sum_over_time", "count_over_time")
    )
    so_far = running_day(today, daily(figure))
    known = f"{counted} + (count({so_far}) or vector(0))"
    wanted = f"round((vector(time()) - {_of_this_day}) / 86400) + 1"
    return f"({finished} + (sum({so_far}) or vector(0))) and on () ({known} == {wanted})"


def forecast_course(figure: Scoped, today: Scoped) -> str:
    """ACUs at the cycle's end as they could be foreseen at the end of the day that starts here."""
    mean = mean_of_seven_days(
        scoped(figure, OF_DAY_ENDING_AT_EIGHT), days="[6d23h59m59s:1d] offset -16h"
    )
    end = f"max({last(_END, OF_THE_DAY_FROM_HERE)})"
    left = f"(({end} - vector(time())) / 86400 - 1)"
    return f"({course(figure, today)}) + {left} * {mean}"


_previous = f'count_values("start", {PREVIOUS_CYCLE_START})'


def at_previous_end(metric: str, *, by: str = "", matchers: str) -> str:
    """What was said last of a figure in the last complete cycle."""
    read = _by_cycle(f"sum by ({by}) ({last(metric, OF_THE_DAY_TO_EIGHT, matchers)})")
    kept = f"{by}, start" if by else "start"
    said = f"last_over_time(({read}){TWO_CYCLES}) and on (start) {_previous}"
    return f"sum without (start) (max by ({kept}) ({said}))"


def users_of_previous(selector: str) -> str:
    """ACUs by `user_id` in the last complete cycle."""
    read = f"{ANY_INSTANCE} (last_over_time({selector}{OF_DAY_ENDING_AT_EIGHT}))"
    days = f"sum_over_time(({_by_cycle(read)}){TWO_CYCLES})"
    return f"sum by (user_id) ({days} and on (start) {_previous})"
