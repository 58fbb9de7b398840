"""The PromQL that panels share. Each function gives an expression as text.

A billing day is read from `…_yesterday_…`, which shows it from the minutes after it ended until the
next one has: day by day with a step of 1d at 08:00 UTC, or summed over the days that ended within
the dashboard's range. A second replica or a renamed instance must not count twice, hence
`ANY_INSTANCE` around whatever is read.
"""

from collections.abc import Callable
from dataclasses import dataclass

ANY_INSTANCE = "max without (instance, pod, endpoint)"
JOB = 'job="$job"'
ORGANIZATION = f'{JOB}, org_id=~"$org"'
WHOLE_ENTERPRISE = 'job="$total"'
"""Nothing where organizations are chosen, and nothing with an organization's key."""
CHOSEN_ORGANIZATIONS = f'{JOB}, job!="$total", org_id=~"$org"'

OF_DAY_FROM_HERE = "[23h50m] offset -47h59m"
OF_DAY_ENDING_AT_EIGHT = "[23h50m] offset -31h59m"
RUNNING_DAY_FROM_HERE = "[23h58m] offset -23h59m"
CALENDAR_DAY_FROM_HERE = "[1h59m] offset -25h59m"
"""At 08:00 UTC of a calendar day: what was said of it from 08:00 to 09:59 UTC of the next one.

In those two hours it is that next day in every zone from UTC-8 to UTC+14, and at UTC-9 from 09:00
UTC on. Other hours are of another day somewhere, so a day without a scrape in these is absent.
"""
DAYS_IN_RANGE = "[$__range:1d] offset 7h59m"
"""Midnights that stand for the billing days that end within the range, to the minute."""
LAST_SEVEN_DAYS = "[6d23h59m59s:1d] offset 8h40m"
"""A new day counts from 08:40 on, when the rules have recorded it in any case."""
DAYS_OF_FORECAST = 7
NAMES_WITHIN = "[2h]"
PRICE_WITHIN = "[1d]"
DAILY_USE_OF_USERS = "user:devin_consumption_yesterday_acus:sum"
"""Recorded by `deploy/prometheus/rules.yml`."""


@dataclass(frozen=True, slots=True)
class Scoped:
    """A figure of the enterprise, and the same of an organization."""

    enterprise: str
    organization: str


def _consumption(window: str) -> Scoped:
    return Scoped(
        f"devin_consumption_{window}_acus", f"devin_organization_consumption_{window}_acus"
    )


USE_TODAY = _consumption("today")
USE_YESTERDAY = _consumption("yesterday")
USE_CYCLE = _consumption("cycle")
USE_PREVIOUS_CYCLE = _consumption("previous_cycle")
SESSIONS_YESTERDAY = Scoped(
    "devin_sessions_created_yesterday", "devin_organization_sessions_created_yesterday"
)
SESSIONS_CYCLE = Scoped("devin_sessions_created_cycle", "devin_organization_sessions_created_cycle")
MERGED_CYCLE = Scoped("devin_prs_merged_cycle", "devin_organization_prs_merged_cycle")
SEARCHES_CYCLE = Scoped("devin_searches_cycle", "devin_organization_searches_cycle")
ACTIVE_DAY = Scoped("devin_daily_active_users", "devin_organization_daily_active_users")
ACTIVE_WEEK = Scoped("devin_weekly_active_users", "devin_organization_weekly_active_users")
ACTIVE_MONTH = Scoped("devin_monthly_active_users", "devin_organization_monthly_active_users")


def latest(metric: str, matchers: str = JOB) -> str:
    """As scraped last."""
    return f"{ANY_INSTANCE} ({metric}{{{matchers}}})"


def last(metric: str, window: str, matchers: str = JOB) -> str:
    """The last value within a window."""
    return f"{ANY_INSTANCE} (last_over_time({metric}{{{matchers}}}{window}))"


def scoped(figure: Scoped, window: str = "", matchers: str = "") -> str:
    """The enterprise's series, or those of the chosen organizations."""
    both = (
        f"{figure.enterprise}{{{WHOLE_ENTERPRISE}{matchers}}}{window}",
        f"{figure.organization}{{{CHOSEN_ORGANIZATIONS}{matchers}}}{window}",
    )
    read = [f"last_over_time({each})" for each in both] if window else both
    return f"{ANY_INSTANCE} ({' or '.join(read)})"


def total(figure: Scoped, matchers: str = "") -> str:
    """One number, as scraped last."""
    return f"sum({scoped(figure, matchers=matchers)})"


def daily(figure: Scoped, *, by: str = "") -> str:
    """Of the billing day that starts at the evaluation time."""
    return f"sum by ({by}) ({scoped(figure, OF_DAY_FROM_HERE)})"


def running_day(figure: Scoped, finished: str, *, by: str = "") -> str:
    """Of the billing day that has not ended at the end of the range, as last seen."""
    so_far = f"sum by ({by}) ({scoped(figure, RUNNING_DAY_FROM_HERE)})"
    is_running = "vector(time()) > $__to / 1000 - 86400"
    return f"({so_far} and on () ({is_running})) unless on () ({finished})"


def each_day(figure: Scoped) -> str:
    """Inside a subquery over midnights: of the billing day that ends eight hours after each."""
    return f"sum({scoped(figure, OF_DAY_ENDING_AT_EIGHT)})"


def in_range(each: str, function: str = "sum_over_time") -> str:
    """Over the billing days that end within the range."""
    return f"{function}(({each}){DAYS_IN_RANGE})"


def in_range_before(each: str, function: str = "sum_over_time") -> str:
    """Over as many days before."""
    return f"last_over_time(({in_range(each, function)})[1s:1s] offset $__range)"


DAYS = in_range("vector(1)", "count_over_time")


def _each_known_day(figure: Scoped) -> str:
    return f"max by (org_id) ({scoped(figure, OF_DAY_ENDING_AT_EIGHT)})"


def known_days(figure: Scoped) -> str:
    """How many of the range's days are known: of the enterprise, or of each chosen organization."""
    return f"min({in_range(_each_known_day(figure), 'count_over_time')})"


def change(figure: Scoped) -> str:
    """How much more than in the range before, as a ratio; absent unless all days are known."""
    each = each_day(figure)
    known = f"{known_days(figure)} == {DAYS}"
    known_before = f"min({in_range_before(_each_known_day(figure), 'count_over_time')}) == {DAYS}"
    return (
        f"({in_range(each)} / ({in_range_before(each)} > 0) - 1) "
        f"and on () ({known}) and on () ({known_before})"
    )


PRICE = (
    f"topk(1, max by (currency) ({latest('devin_acu_price')}) or on () "
    f"max by (currency) ({last('devin_acu_price', PRICE_WITHIN)}))"
)


def cost(acus: str) -> str:
    """Money for ACUs, at the price as last known; with the label `currency`."""
    return f"({acus}) * on () group_left (currency) {PRICE}"


def mean_of_seven_days(read: str, *, known_by: str = "org_id") -> str:
    """ACUs per day over the last seven complete days; absent unless all are known."""
    counted = f"count_over_time((max by ({known_by}) ({read})){LAST_SEVEN_DAYS})"
    mean = f"avg_over_time((sum({read})){LAST_SEVEN_DAYS})"
    return f"({mean} and on () (min({counted}) == {DAYS_OF_FORECAST}))"


CYCLE_DAYS_LEFT = f"((max({latest('devin_billing_cycle_end_timestamp_seconds')}) - time()) / 86400)"


def forecast(so_far: str, mean: str) -> str:
    """ACUs at the cycle's end: so far, and the days left at the mean of the last seven."""
    return f"{so_far} + {CYCLE_DAYS_LEFT} * {mean}"


def _most_frequent(metric: str, key: str, names: str, *, matchers: str = JOB, at: str = "") -> str:
    """One name for each id, also in the hours after a change of names."""
    seen = f"count_over_time({metric}{{{matchers}}}{NAMES_WITHIN}{at})"
    return f"topk by ({key}) (1, max by ({key}, {names}) ({seen}))"


def organization_names(ids: str, *, at: str = "") -> str:
    """1 by `org_id` and `org_name`, which is the id where no name is known; of chosen ones."""
    names = _most_frequent(
        "devin_organization_info", "org_id", "org_name", matchers=ORGANIZATION, at=at
    )
    return (
        f"(group by (org_id, org_name) ({names}) or on (org_id) "
        f'label_replace(group by (org_id) ({ids}), "org_name", "$1", "org_id", "(.*)"))'
    )


def user_names(ids: str) -> str:
    """1 by `user_id` and `user`: the name, else the e-mail, else the id."""
    info = _most_frequent("devin_user_info", "user_id", "user_email, user_name")
    by_id = f'label_replace({info}, "user", "$1", "user_id", "(.*)")'
    by_email = f'label_replace({by_id}, "user", "$1", "user_email", "(.+)")'
    by_name = f'label_replace({by_email}, "user", "$1", "user_name", "(.+)")'
    return (
        f"(group by (user_id, user) ({by_name}) or on (user_id) "
        f'label_replace(group by (user_id) ({ids}), "user", "$1", "user_id", "(.*)"))'
    )


def service_user_names(ids: str) -> str:
    """1 by `service_user_id` and `service_user_name`, which is the id where no name is known."""
    names = _most_frequent("devin_service_user_info", "service_user_id", "service_user_name")
    return (
        f"(group by (service_user_id, service_user_name) ({names}) or on (service_user_id) "
        f"label_replace(group by (service_user_id) ({ids}), "
        '"service_user_name", "$1", "service_user_id", "(.*)"))'
    )


def team_names(ids: str) -> str:
    """1 by `team_id` and `team_name`, which is the id where no name is known."""
    names = _most_frequent("aione_team_info", "team_id", "team_name")
    return (
        f"(group by (team_id, team_name) ({names}) or on (team_id) "
        f'label_replace(group by (team_id) ({ids}), "team_name", "$1", "team_id", "(.*)"))'
    )


def with_organization_name(acus: str, ids: str, *, at: str = "") -> str:
    """Values by `org_id`, with `org_name` beside it."""
    return f"({acus}) * on (org_id) group_left (org_name) {organization_names(ids, at=at)}"


def with_team_name(values: str, ids: str) -> str:
    """Values by `team_id`, with `team_name` beside it."""
    return f"({values}) * on (team_id) group_left (team_name) {team_names(ids)}"


def rest(values: str, key: str, top: str) -> str:
    """The sum of those that are not among the first; absent where there are none."""
    return f"sum(({values}) unless on ({key}) {top})"


def with_user_name(acus: str, ids: str) -> str:
    """Values by `user_id`, with `user` beside it."""
    return f"({acus}) * on (user_id) group_left (user) {user_names(ids)}"


def with_service_user_name(values: str, ids: str) -> str:
    """Values by `service_user_id`, with `service_user_name` beside it."""
    names = service_user_names(ids)
    return f"({values}) * on (service_user_id) group_left (service_user_name) {names}"


MEMBERS = (
    f"max by (user_id) (last_over_time(devin_organization_member_info{{{ORGANIZATION}}}"
    f"{NAMES_WITHIN}))"
)


def of_users(metric: str, wrap: Callable[[str], str], matchers: str = JOB) -> str:
    """Values by `user_id`: of everybody, or of the chosen organizations' members.

    Series of users have no `org_id`: with All (`.*`) the first half reads them all and the second
    none; with organizations chosen it is the other way round.
    """
    everybody, chosen = (
        wrap(f'{metric}{{{matchers}, org_id{matcher}"$org"}}') for matcher in ("=~", "!~")
    )
    return f"({everybody} or ({chosen} and on (user_id) {MEMBERS}))"


def users_in_range(matchers: str = JOB) -> str:
    """ACUs by `user_id` over the range."""

    def summed(selector: str) -> str:
        read = f"last_over_time({selector}{OF_DAY_ENDING_AT_EIGHT})"
        return in_range(f"{ANY_INSTANCE} ({read})")

    return of_users(DAILY_USE_OF_USERS, summed, matchers)


DAYS_OF_USERS = in_range(
    f"group({last(DAILY_USE_OF_USERS, OF_DAY_ENDING_AT_EIGHT)})", "count_over_time"
)
"""Days of the range on which any user's use is recorded."""
