"""The PromQL of billing days: day by day, and summed over the days that ended within the range.

A billing day is read from `…_yesterday_…`, which shows it from the minutes after it ended until the
next one has. `$__range`, `$__from` and `$__to` are the range's; `$now` is its end, or the present
where that is in the future, so that days that are not over are not counted.
"""

from grafana.expressions.promql import (
    ANY_INSTANCE,
    AT_NOW,
    DAILY_USE_OF_USERS,
    JOB,
    Scoped,
    last,
    of_users,
    scoped,
)

OF_DAY_FROM_HERE = "[23h50m] offset -47h59m"
OF_DAY_ENDING_AT_EIGHT = "[23h50m] offset -31h59m"
RUNNING_DAY_FROM_HERE = "[23h58m] offset -23h59m"
PRICE_OF_DAY_ENDING_AT_EIGHT = "[22h50m] offset -6h50m"
CALENDAR_DAY_FROM_HERE = "[1h59m] offset -25h59m"
"""At 08:00 UTC of a calendar day: what was said of it from 08:00 to 09:59 UTC of the next one.

In those two hours it is that next day in every zone from UTC-8 to UTC+14, and at UTC-9 from 09:00
UTC on. Other hours are of another day somewhere, so a day without a scrape in these is absent.
"""
FROM, TO = "${__from:date:seconds}", "${__to:date:seconds}"
DAYS_IN_RANGE = f"[$__range:1d] @ {TO} offset 7h59m"
"""Midnights that stand for the billing days that end within the range, to the minute."""
DAYS_UP_TO_ITS_END = f"[1d${{__range_s}}s:1d] @ {TO} offset 7h59m"
"""A day more than the range is long, so one midnight at least."""
DAYS_BEFORE = f"[1d${{__range_s}}s:1d] @ {FROM} offset 7h59m"
"""A day more than the range is long, as a range of a day and a half may hold the ends of two."""
LAST_SEVEN_DAYS = "[6d23h59m59s:1d] offset 8h40m"
"""A new day counts from 08:40 on, when the rules have recorded it in any case."""
DAYS_OF_FORECAST = 7
ONE_DAY_LESS_A_MINUTE = 86_340
EIGHT_HOURS_LESS_A_MINUTE = 28_740

IS_OVER = f"vector(time()) <= $now - {EIGHT_HOURS_LESS_A_MINUTE}"
"""Of a midnight: whether the billing day that it stands for is over."""
IN_RANGE_FROM_HERE = (
    f"(vector(time()) > {FROM} - {ONE_DAY_LESS_A_MINUTE} "
    f"and on () vector(time()) <= {TO} - {ONE_DAY_LESS_A_MINUTE})"
)
"""Of a day's start: whether the day ends within the range, to the minute."""


def daily(figure: Scoped, *, by: str = "") -> str:
    """Of the billing day that starts at the evaluation time."""
    return f"sum by ({by}) ({scoped(figure, OF_DAY_FROM_HERE)})"


def daily_in_range(figure: Scoped) -> str:
    """The same, of days that end within the range: their sum is the range's figure."""
    return f"({daily(figure)} and on () {IN_RANGE_FROM_HERE})"


def running(read: str, finished: str) -> str:
    """Of the day that has not ended at the end of the range, to the minute, as last seen."""
    has_begun = f"vector(time()) > $now - {ONE_DAY_LESS_A_MINUTE}"
    return f"({read} and on () ({has_begun})) unless on () ({finished})"


def running_day(figure: Scoped, finished: str, *, by: str = "") -> str:
    """The same of a figure."""
    return running(f"sum by ({by}) ({scoped(figure, RUNNING_DAY_FROM_HERE)})", finished)


def each_day(figure: Scoped, *, by: str = "") -> str:
    """Inside a subquery over midnights: of the billing day that ends eight hours after each."""
    return f"sum by ({by}) ({scoped(figure, OF_DAY_ENDING_AT_EIGHT)})"


def in_range(each: str, function: str = "sum_over_time") -> str:
    """Over the billing days that end within the range."""
    return f"{function}(({each}){DAYS_IN_RANGE})"


def in_range_by_mask(each: str, function: str = "sum_over_time") -> str:
    """The same; for what has a `topk`, as Prometheus 2.53 panics where a range has no midnight."""
    in_range = f"vector(time()) > {FROM} - {EIGHT_HOURS_LESS_A_MINUTE}"
    return f"{function}((({each}) and on () ({in_range})){DAYS_UP_TO_ITS_END})"


DAYS = in_range(IS_OVER, "count_over_time")
"""The range's billing days that are over."""
_is_compared = f"vector(time()) > {FROM} - {EIGHT_HOURS_LESS_A_MINUTE} - 86400 * scalar({DAYS})"
"""Of a midnight before the range: whether it is one of as many days as the range has had so far."""


def before(each: str, function: str = "sum_over_time") -> str:
    """Over as many days before the range as it has that are over."""
    return f"{function}((({each}) and on () ({_is_compared})){DAYS_BEFORE})"


def used_in_range(figure: Scoped, shown: str) -> str:
    """The products among those shown that the range has any of."""
    return f"({shown}) and on (product) ({in_range(each_day(figure, by='product'))} != 0)"


def _each_known_day(figure: Scoped) -> str:
    return f"max by (org_id) ({scoped(figure, OF_DAY_ENDING_AT_EIGHT)})"


def known_days(figure: Scoped) -> str:
    """How many of the range's days are known: of the enterprise, or of each chosen organization."""
    return f"min({in_range(_each_known_day(figure), 'count_over_time')})"


def change(figure: Scoped) -> str:
    """How much more than in the days before, as a ratio; absent unless all days are known."""
    each = each_day(figure)
    known = f"{known_days(figure)} == {DAYS}"
    known_before = f"min({before(_each_known_day(figure), 'count_over_time')}) == {DAYS}"
    return (
        f"({in_range(each)} / ({before(each)} > 0) - 1) "
        f"and on () ({known}) and on () ({known_before})"
    )


def as_text(number: str, text: str, label: str = "line") -> str:
    """1 with a label that holds a number, with separators of thousands: `$1` in the text."""
    values = f'count_values("number", {number})'
    for _ in ("thousands", "millions", "billions"):
        values = (
            f'label_replace({values}, "number", "$1,$2$3", "number", '
            '"(-?[0-9]+)([0-9][0-9][0-9])((?:[,.].*)?)")'
        )
    return f'label_replace({values}, "{label}", "{text}", "number", "(.+)")'


def with_line(value: str, line: str, otherwise: str) -> str:
    """A value with a label `line` beside it, which is what a card shows above its figure."""
    fallback = f'label_replace(vector(1), "line", "{otherwise}", "", "")'
    return f"({value}) * on () group_left (line) ({line} or on () {fallback})"


def days_before() -> str:
    """1 with a label `than`: «30 days before»."""
    several = as_text(DAYS, "$1 days before", "than")
    return f'max by (than) (label_replace({several}, "than", "the day before", "number", "1"))'


def with_days(values: str) -> str:
    """Values with a label `line`: of how many whole days they are."""
    several = as_text(DAYS, "in $1 whole days")
    line = f'label_replace({several}, "line", "in 1 whole day", "number", "1")'
    return f"({values}) * on () group_left (line) max by (line) ({line})"


def mean_of_seven_days(read: str, *, known_by: str = "org_id", days: str = LAST_SEVEN_DAYS) -> str:
    """ACUs per day over the last seven complete days; absent unless all are known."""
    counted = f"count_over_time((max by ({known_by}) ({read})){days})"
    mean = f"avg_over_time((sum({read})){days})"
    return f"({mean} and on () (min({counted}) == {DAYS_OF_FORECAST}))"


def users_in_range(matchers: str = JOB) -> str:
    """ACUs by `user_id` over the range."""

    def summed(selector: str) -> str:
        read = f"last_over_time({selector}{OF_DAY_ENDING_AT_EIGHT})"
        return in_range(f"{ANY_INSTANCE} ({read})")

    return of_users(DAILY_USE_OF_USERS, summed, matchers, at=AT_NOW)


DAYS_OF_USERS = in_range(
    f"group({last(DAILY_USE_OF_USERS, OF_DAY_ENDING_AT_EIGHT)})", "count_over_time"
)
"""Days of the range on which any user's use is recorded."""
