"""The PromQL of billing cycles made of days, so that finished and backfilled ones are there, too.

A day gets the start of the cycle that it is in as a label, `start`, and days are summed by it.
"""

from grafana.expressions.days import (
    OF_DAY_ENDING_AT_EIGHT,
    daily,
    each_day,
    mean_of_seven_days,
    running,
    running_day,
)
from grafana.expressions.promql import (
    ANY_INSTANCE,
    PREVIOUS_CYCLE_DAYS,
    PREVIOUS_CYCLE_START,
    START_BEFORE_PREVIOUS,
    Scoped,
    last,
    latest,
    scoped,
    total,
)

_START = "devin_billing_cycle_start_timestamp_seconds"
_END = "devin_billing_cycle_end_timestamp_seconds"
OF_THE_DAY_FROM_HERE = "[22h] offset -23h59m"
OF_THE_DAY_TO_EIGHT = "[22h] offset -7h59m"
UP_TO_THIS_DAY = "[40d:1d] offset -16h"
"""At a day's start: midnights that stand for the days up to that one; no cycle is longer."""
TWO_CYCLES = "[65d:1d]"
THREE_CYCLES = "[97d:1d]"
DAYS_SO_FAR = "[40d:1d] offset 7h59m"
"""Now: midnights that stand for the days that are over."""
THIRTEEN_CYCLES = "[400d:1d] offset 7h59m"
_of_this_day = f"max({last(_START, OF_THE_DAY_FROM_HERE)})"
_of_each_day = f"max({last(_START, OF_THE_DAY_TO_EIGHT)})"
_this_cycle = f'count_values("start", {_of_this_day})'
_wanted = f"round((vector(time()) - {_of_this_day}) / 86400) + 1"


def _by_cycle(values: str) -> str:
    return f'({values}) * on () group_left (start) count_values("start", {_of_each_day})'


def course(figure: Scoped, today: Scoped) -> str:
    """Used in the cycle by the end of the day that starts here; absent unless all days are known.

    The running day counts as far as it has gone.
    """
    finished, counted = _up_to_this_day(each_day(figure))
    so_far = running_day(today, daily(figure))
    known = f"({counted} or vector(0)) + (count({so_far}) or vector(0))"
    summed = f"({finished} or vector(0)) + (sum({so_far}) or vector(0))"
    return f"({summed}) and on () ({known} == {_wanted})"


def course_of_counts(yesterday: Scoped, so_far: Scoped) -> str:
    """Counted in the cycle by the end of the day that starts here.

    It is a sum of days, absent unless all of them are known; for the running day it is the cycle's
    count as last seen.
    """
    summed, counted = _up_to_this_day(total(yesterday, window=OF_DAY_ENDING_AT_EIGHT))
    finished = f"({summed} and on () ({counted} == {_wanted}))"
    return f"{finished} or {running(total(so_far, window=OF_THE_DAY_FROM_HERE), finished)}"


def _up_to_this_day(each: str) -> tuple[str, str]:
    """Of the cycle's days up to the one that starts here: their sum and their number."""
    days = _by_cycle(each)
    summed, counted = (
        f"sum({function}(({days}){UP_TO_THIS_DAY}) and on (start) {_this_cycle})"
        for function in ("sum_over_time", "count_over_time")
    )
    return summed, counted


def forecast_course(figure: Scoped, today: Scoped) -> str:
    """ACUs at the cycle's end as they could be foreseen at the end of the day that starts here."""
    mean = mean_of_seven_days(
        scoped(figure, OF_DAY_ENDING_AT_EIGHT), days="[6d23h59m59s:1d] offset -16h"
    )
    end = f"max({last(_END, OF_THE_DAY_FROM_HERE)})"
    left = f"(({end} - vector(time())) / 86400 - 1)"
    return f"({course(figure, today)}) + {left} * {mean}"


_start = f"max({latest(_START)})"
_running = f'count_values("start", {_start})'
_days_over = f"floor((time() - {_start} + 60) / 86400)"


def so_far(each: str, today: str) -> str:
    """Of the running cycle, of days (`each` of `days.each_day`) and the running one.

    Absent unless every day is known.
    """
    read = f"({_by_cycle(each)}){DAYS_SO_FAR}"
    summed, counted = (
        f"sum without (start) ({function}({read}) and on (start) {_running})"
        for function in ("sum_over_time", "count_over_time")
    )
    later = f"({summed} + ({today})) and ({counted} == on () group_left () {_days_over})"
    return f"(({later}) or (({today}) and on () ({_days_over} == 0)))"


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


def of_previous(each: str) -> str:
    """Of the last complete cycle, of days; absent unless every day is known."""
    length = f"on () group_left () round({PREVIOUS_CYCLE_DAYS})"
    return _whole(each, _previous, length, TWO_CYCLES)


def of_one_before(each: str) -> str:
    """The same of the cycle before the last complete one."""
    start = f'count_values("start", {START_BEFORE_PREVIOUS})'
    lengths = f"max_over_time(({_by_cycle(_length)}){THREE_CYCLES})"
    return _whole(each, start, f"on (start) group_left () {lengths}", THREE_CYCLES)


def _whole(each: str, start: str, length: str, cycles: str) -> str:
    """Short, as some servers take no query of more than 16 KiB."""
    read = f"(({_by_cycle(each)}){cycles})"
    known = f"sum_over_time{read} and (count_over_time{read} == {length})"
    return f"sum without (start) (({known}) and on (start) {start})"


def _date(start: str) -> str:
    return f"(10000 * year({start}) + 100 * month({start}) + day_of_month({start}))"


def _dated(values: str, says: str) -> str:
    return f'label_replace({values}, "cycle", "{says}", "cycle", "(....)(..)(..)")'


_by_date = f'on () group_left (cycle) count_values("cycle", {_date(_of_each_day)})'
_length = f"round((max({last(_END, OF_THE_DAY_TO_EIGHT)}) - {_of_each_day}) / 86400)"


def each_cycle(each: str) -> str:
    """Of each complete cycle of the last 400 days, of days; `cycle` is the date that it began on.

    Absent unless every day of it is known.
    """
    summed, counted = (
        f"{function}((({each}) * {_by_date}){THIRTEEN_CYCLES})"
        for function in ("sum_over_time", "count_over_time")
    )
    lengths = f"max_over_time(({_length} * {_by_date}){THIRTEEN_CYCLES})"
    whole = f"{summed} and ({counted} == on (cycle) group_left () {lengths})"
    return _dated(whole, "$1-$2-$3")


def as_running_one(values: str) -> str:
    """Values of the running cycle with `so far` as the label `cycle`, while its start is known."""
    running = f'label_replace(count_values("cycle", {_date(_start)}), "cycle", "so far", "", "")'
    return f"({values}) * on () group_left (cycle) {running}"
