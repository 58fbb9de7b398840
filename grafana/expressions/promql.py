"""The PromQL that panels share: what is read, of whom, and what it costs, as text.

A second replica or a renamed instance must not count twice, hence `ANY_INSTANCE` around whatever is
read.
"""

from collections.abc import Callable
from dataclasses import dataclass

ANY_INSTANCE = "max without (instance, pod, endpoint)"
JOB = 'job="$job"'
ORGANIZATION = f'{JOB}, org_id=~"$org"'
UNDER_USER_LIMIT = 'product!="review"'
UNDER_CLOUD_LIMIT = 'product="devin"'
UNDER_LOCAL_LIMIT = 'product=~"cascade|terminal"'
"""What each kind of limit covers."""
WHOLE_ENTERPRISE = 'job="$total"'
"""Nothing where organizations are chosen, and nothing with an organization's key."""
CHOSEN_ORGANIZATIONS = f'{JOB}, job!="$total", org_id=~"$org"'

NOTHING_FOUND = "no devin-exporter in this data source, choose another one"
"""What the variable `job` is then."""
_job = 'label_replace(vector(1), "job", "$job", "", "")'
NOTHING_OF_OURS = (
    f'label_replace({_job}, "nothing", "$1", "job", "({NOTHING_FOUND})") '
    "unless on (nothing) vector(1)"
)
"""1 where the data source has nothing of the exporter in this range."""

NAMES_WITHIN = "[2h]"
PRICE_WITHIN = "[1d]"
PRICE_OF_DAY_FROM_HERE = "[22h50m] offset -22h50m"
"""At the start of a billing day: before 07:00 UTC, where it ends in summer on some deployments."""
AT_NOW = " @ $now"
"""At the range's end, or now where the range ends in the future (see `board.NOW_VARIABLE`)."""
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
PRS_YESTERDAY = Scoped("devin_prs_created_yesterday", "devin_organization_prs_created_yesterday")
MERGED_CYCLE = Scoped("devin_prs_merged_cycle", "devin_organization_prs_merged_cycle")
MERGED_PREVIOUS_CYCLE = Scoped(
    "devin_prs_merged_previous_cycle", "devin_organization_prs_merged_previous_cycle"
)
SEARCHES_CYCLE = Scoped("devin_searches_cycle", "devin_organization_searches_cycle")
MERGING_CYCLE = Scoped(
    "devin_sessions_with_merged_prs_cycle", "devin_organization_sessions_with_merged_prs_cycle"
)
PLAYBOOK_CYCLE = Scoped(
    "devin_sessions_with_playbook_cycle", "devin_organization_sessions_with_playbook_cycle"
)
SEARCHING_CYCLE = Scoped(
    "devin_sessions_with_search_cycle", "devin_organization_sessions_with_search_cycle"
)
ORIGINS_CYCLE = Scoped(
    "devin_sessions_created_by_origin_cycle",
    "devin_organization_sessions_created_by_origin_cycle",
)
SIZES_CYCLE = Scoped(
    "devin_sessions_created_by_size_cycle", "devin_organization_sessions_created_by_size_cycle"
)
MEAN_ACUS_CYCLE = Scoped(
    "devin_session_average_cycle_acus", "devin_organization_session_average_cycle_acus"
)
CREATED_CYCLE = Scoped("devin_prs_created_cycle", "devin_organization_prs_created_cycle")
CLOSED_CYCLE = Scoped("devin_prs_closed_cycle", "devin_organization_prs_closed_cycle")
OPEN_CYCLE = Scoped("devin_prs_open_cycle", "devin_organization_prs_open_cycle")
TAKEN_OVER_CYCLE = Scoped("devin_prs_taken_over_cycle", "devin_organization_prs_taken_over_cycle")
ACTIVE_DAY = Scoped("devin_daily_active_users", "devin_organization_daily_active_users")
ACTIVE_WEEK = Scoped("devin_weekly_active_users", "devin_organization_weekly_active_users")
ACTIVE_MONTH = Scoped("devin_monthly_active_users", "devin_organization_monthly_active_users")


def present(expr: str) -> str:
    """An instant query's expression at the range's end, or now where that is in the future."""
    return f"last_over_time(({expr})[1s:1s] offset ${{ahead}}ms)"


def latest(metric: str, matchers: str = JOB) -> str:
    """As scraped last."""
    return f"{ANY_INSTANCE} ({metric}{{{matchers}}})"


def last(metric: str, window: str, matchers: str = JOB) -> str:
    """The last value within a window, which may have an offset and a moment."""
    return f"{ANY_INSTANCE} (last_over_time({metric}{{{matchers}}}{window}))"


def scoped(figure: Scoped, window: str = "", matchers: str = "") -> str:
    """The enterprise's series, or those of the chosen organizations."""
    both = (
        f"{figure.enterprise}{{{WHOLE_ENTERPRISE}{matchers}}}{window}",
        f"{figure.organization}{{{CHOSEN_ORGANIZATIONS}{matchers}}}{window}",
    )
    read = [f"last_over_time({each})" for each in both] if window else both
    return f"{ANY_INSTANCE} ({' or '.join(read)})"


def of_chosen(metric: str, window: str = "") -> str:
    """The chosen organizations' series; nothing where the enterprise's are shown."""
    if window:
        return last(metric, window, CHOSEN_ORGANIZATIONS)
    return latest(metric, CHOSEN_ORGANIZATIONS)


def unless_partial(summed: str, known: str, window: str = "") -> str:
    """A sum, or nothing where a chosen organization is not among those that are known."""
    chosen = of_chosen("devin_organization_info", window)
    return f"(({summed}) unless on () (({chosen}) unless on (org_id) ({known})))"


def total(
    figure: Scoped, matchers: str = "", *, window: str = "", by: str = "", or_known: str = ""
) -> str:
    """A sum, as scraped last or within a window; absent where an organization's part is unknown.

    `or_known` finds chosen organizations that need no series of the figure, as they have none of
    what it counts.
    """
    known = of_chosen(figure.organization, window)
    if or_known:
        known = f"{known} or on (org_id) ({or_known})"
    summed = f"sum by ({by}) ({scoped(figure, window, matchers)})"
    return unless_partial(summed, known, window)


def price(at: str = "") -> str:
    """1 ACU's price as last known, with the label `currency`; none if products have their own."""
    return f"topk(1, max by (currency) ({last('devin_acu_price', PRICE_WITHIN + at)}))"


def price_of_product(matchers: str = "", at: str = "") -> str:
    """A product's price as last known, with the label `currency`; without matchers that of any."""
    read = last("devin_product_acu_price", PRICE_WITHIN + at, JOB + matchers)
    return f"topk(1, max by (currency) ({read}))"


PRICE_OF_SESSIONS = price_of_product(', product="devin"')


KNOWN_TO_GRAFANA = (
    "USD|EUR|GBP|JPY|CHF|SEK|NOK|DKK|PLN|CZK|BRL|INR|KRW|ILS|ZAR|TRY|IDR|MYR|PHP|VND|UAH|BGN|ISK"
)
SIGNS = {"CNY": "¥", "CAD": "C$$", "AUD": "A$$", "SGD": "S$$", "HKD": "HK$$", "NZD": "NZ$$"}
"""Signs that Grafana does not know, written as a replacement of PromQL."""


def unit_of_price(at: str = "") -> str:
    """The price with a label `unit`, Grafana's: the currency's sign, else its code as a suffix."""
    unit = f'label_replace({price_of_product(at=at)}, "unit", "count:$1", "currency", "(.*)")'
    unit = f'label_replace({unit}, "unit", "currency$1", "currency", "({KNOWN_TO_GRAFANA})")'
    for code, sign in SIGNS.items():
        unit = f'label_replace({unit}, "unit", "currency:{sign}", "currency", "{code}")'
    return unit


def none_of(read: str) -> str:
    """1 where an expression finds nothing."""
    return f"vector(1) unless on () ({read})"


def cost(acus: str, at: str = "") -> str:
    """Money for ACUs, at the price as last known; with the label `currency`."""
    return f"({acus}) * on () group_left (currency) {price(at)}"


def cost_of_sessions(acus: str) -> str:
    """Money for ACUs of cloud sessions (product devin), at the price as last known."""
    return f"({acus}) * on () group_left (currency) {PRICE_OF_SESSIONS}"


def cost_of_day(acus: str, at: str = "", *, window: str = PRICE_OF_DAY_FROM_HERE) -> str:
    """Money for a day's ACUs by product, at that day's price of each; with the label `currency`."""
    of_products = last("devin_product_acu_price", window)
    own = f"topk by (product) (1, max by (product, currency) ({of_products}))"
    by_product = f"({acus}) * on (product) group_left (currency) {own}"
    return f"({by_product}) or ({cost(acus, at)})"


_START = f"max({latest('devin_billing_cycle_start_timestamp_seconds')})"
_END = f"max({latest('devin_billing_cycle_end_timestamp_seconds')})"
CYCLE_DAYS_LEFT = f"(({_END} - time()) / 86400)"
CYCLE_DAYS_GONE = f"((time() - {_START}) / 86400)"
_each_start = f"max({last('devin_billing_cycle_start_timestamp_seconds', '[2h]')})"


def _start_before(start: str, *, days: int) -> str:
    starts = (
        f"max by (start) (max_over_time(({_each_start} * on () group_left (start) "
        f'count_values("start", {_each_start}))[{days}d:1d]))'
    )
    return f"max({starts} < scalar({start}))"


PREVIOUS_CYCLE_START = _start_before(_START, days=40)
"""Of the last complete cycle; no cycle is longer than 40 days."""
START_BEFORE_PREVIOUS = _start_before(PREVIOUS_CYCLE_START, days=80)
"""Of the cycle before that one."""
PREVIOUS_CYCLE_DAYS = f"(({_START} - {PREVIOUS_CYCLE_START}) / 86400)"


def forecast(so_far: str, mean: str) -> str:
    """ACUs at the cycle's end: so far, and the days left at the mean of the last seven."""
    return f"{so_far} + {CYCLE_DAYS_LEFT} * {mean}"


def rest(values: str, key: str, top: str) -> str:
    """The sum of those that are not among the first; absent where there are none."""
    return f"sum(({values}) unless on ({key}) {top})"


def of_users(metric: str, wrap: Callable[[str], str], matchers: str = JOB, *, at: str = "") -> str:
    """Values by `user_id`: of everybody, or of the chosen organizations' members.

    Series of users have no `org_id`: with All (`.*`) the first half reads them all and the second
    none; with organizations chosen it is the other way round.
    """
    everybody, chosen = (
        wrap(f'{metric}{{{matchers}, org_id{matcher}"$org"}}') for matcher in ("=~", "!~")
    )
    members = last("devin_organization_member_info", NAMES_WITHIN + at, ORGANIZATION)
    return f"({everybody} or ({chosen} and on (user_id) max by (user_id) ({members})))"
