"""The PromQL of money.

`deploy/prometheus/rules.yml` records what a day cost, at the price of that day. A day that is not
on record is ACUs at the price as last known; nothing where products have prices of their own.
"""

from grafana.expressions import cycles, days
from grafana.expressions import promql as q

COST_TODAY = q.Scoped("account:devin_cost_today:sum", "organization:devin_cost_today:sum")
COST_YESTERDAY = q.Scoped(
    "account:devin_cost_yesterday:sum", "organization:devin_cost_yesterday:sum"
)
AT_ITS_PRICE = (
    "Each day at the price of that day, where the rules of deploy/prometheus/rules.yml have "
    "recorded every day; else ACUs at the price as last known."
)
DAYS_AT_ITS_PRICE = (
    "At the price of each day, as the rules of deploy/prometheus/rules.yml have recorded it; a day "
    "that they have not is at the price as last known."
)
RECORDED_WITHIN = "[20m]"
"""A recorded day is written every quarter of an hour."""


def of_day(*, by: str = "") -> str:
    """What the billing day that starts at the evaluation time cost, with the label `currency`.

    Absent where a product of the day has no price.
    """
    kept = f"{by}, currency" if by else "currency"
    recorded = days.daily(COST_YESTERDAY, by=kept)
    acus = days.daily(q.USE_YESTERDAY, by="product")
    priced = q.cost_of_day(acus, q.AT_NOW)
    unpriced = f"({acus} != 0) unless on (product) ({priced})"
    return (
        f"({recorded} or (sum by ({kept}) ({priced}) unless on () ({unpriced}) "
        f"unless on () ({recorded})))"
    )


def of_running_day() -> str:
    """By product: what the billing day cost that has not ended at the end of the range."""
    finished = days.daily(COST_YESTERDAY, by="product, currency")
    recorded = days.running_day(COST_TODAY, finished, by="product, currency")
    acus = days.running_day(q.USE_TODAY, finished, by="product")
    return f"{either(recorded, q.cost(acus, q.AT_NOW))} != 0"


def of_days_in_range() -> str:
    """The same, of days that end within the range: their sum is the range's figure.

    Absent unless all of them are on record, or one price is known for the others.
    """
    recorded = days.in_range(f"sum({days.each_day(COST_YESTERDAY)})", "count_over_time")
    known = f"({q.price(q.AT_NOW)} or on () ({recorded} == {days.DAYS}))"
    return f"({of_day()} and on () {days.IN_RANGE_FROM_HERE} and on () {known})"


def today() -> str:
    """Of the running billing day so far."""
    return either(q.total(COST_TODAY, by="currency"), q.cost(q.total(q.USE_TODAY)))


def yesterday() -> str:
    """Of the last complete billing day."""
    recorded = q.total(COST_YESTERDAY, window=RECORDED_WITHIN, by="currency")
    return either(recorded, q.cost(q.total(q.USE_YESTERDAY)))


def either(recorded: str, otherwise: str, *, by: str = "") -> str:
    """What is recorded, else the other; for each value of a label."""
    return f"(({recorded}) or on ({by}) ({otherwise}))"


_each_day = q.scoped(COST_YESTERDAY, days.OF_DAY_ENDING_AT_EIGHT)


def _of_account(rows: str) -> str:
    """A sum; absent where a chosen organization is not among the rows."""
    return q.unless_partial(f"sum by (currency) ({rows})", rows)


def cycle_so_far(acus: str) -> str:
    """Of the running billing cycle."""
    by_organization = "sum by (org_id, currency) ({})".format
    recorded = cycles.so_far(by_organization(_each_day), by_organization(q.scoped(COST_TODAY)))
    return either(_of_account(recorded), q.cost(acus))


def previous_cycle(acus: str) -> str:
    """Of the last complete billing cycle."""
    recorded = cycles.of_previous(f"sum by (org_id, currency) ({_each_day})")
    return either(_of_account(recorded), q.cost(acus))


def cycle_before(acus: str) -> str:
    """Of the billing cycle before the last complete one."""
    recorded = cycles.of_one_before(f"sum by (org_id, currency) ({_each_day})")
    return either(_of_account(recorded), q.cost(acus))


def products_of_previous(acus: str) -> str:
    """Of the last complete billing cycle by product."""
    rows = cycles.of_previous(f"sum by (org_id, product, currency) ({_each_day})")
    whole = f"sum by (product, currency) ({rows}) and on () ({_of_account(rows)})"
    return either(whole, q.cost(acus), by="product")


def forecast(acus_so_far: str, acus: str) -> str:
    """At the cycle's end: so far, and the days left at the mean cost of the last seven."""
    mean = days.mean_of_seven_days(_each_day)
    later = f"{q.CYCLE_DAYS_LEFT} * {mean}"
    return either(f"{cycle_so_far(acus_so_far)} + on () group_left () ({later})", q.cost(acus))


def _recorded(kind: str, key: str, matchers: str) -> tuple[str, str]:
    """By organization or team: a day that is over, and the running one."""
    each = q.last(f"{kind}:devin_cost_yesterday:sum", days.OF_DAY_ENDING_AT_EIGHT, matchers)
    running = q.latest(f"{kind}:devin_cost_today:sum", matchers)
    by = f"sum by ({key}, currency)"
    return f"{by} ({each})", f"{by} ({running})"


def rows_so_far(kind: str, key: str, acus: str, matchers: str = q.JOB) -> str:
    """By organization or team, of the running cycle."""
    each, running = _recorded(kind, key, matchers)
    return either(cycles.so_far(each, running), q.cost(acus), by=key)


def rows_of_previous(kind: str, key: str, acus: str, matchers: str = q.JOB) -> str:
    """By organization or team, of the last complete cycle."""
    each, _ = _recorded(kind, key, matchers)
    return either(cycles.of_previous(each), q.cost(acus), by=key)


def rows_of_one_before(kind: str, key: str, acus: str, matchers: str = q.JOB) -> str:
    """By organization or team, of the cycle before the last complete one."""
    each, _ = _recorded(kind, key, matchers)
    return either(cycles.of_one_before(each), q.cost(acus), by=key)


def of_products_in_range(each_day: str) -> str:
    """Money for ACUs by product, a day's at a midnight, over the days that end within the range.

    Absent where a product was used on a day and has no price.
    """
    priced = q.cost_of_day(each_day, q.AT_NOW, window=days.PRICE_OF_DAY_ENDING_AT_EIGHT)
    unpriced = days.in_range_by_mask(
        f"(({each_day}) != 0) unless on (product) ({priced})", "count_over_time"
    )
    return (
        f"sum by (currency) ({days.in_range_by_mask(f'sum by (currency) ({priced})')}) "
        f"unless on () ({unpriced})"
    )


def change_per_day(cost: tuple[str, str], acus: tuple[str, str], *, by: str) -> str:
    """The change of the mean day's cost of a cycle against the one before, or that of its ACUs.

    Args:
        cost: of this cycle and of the one before.
        acus: the same; where no cost is known.
        by: the label of the rows.
    """

    def change(this: str, before: str) -> str:
        mean = f"sum by ({by}) (({this}) / on () group_left () {q.CYCLE_DAYS_GONE})"
        mean_before = f"sum by ({by}) (({before}) / on () group_left () {q.PREVIOUS_CYCLE_DAYS})"
        return f"{mean} / on ({by}) ({mean_before} > 0) - 1"

    return either(change(*cost), change(*acus), by=by)
