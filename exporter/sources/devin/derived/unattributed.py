"""ACUs in the enterprise's total that no part has. Derived from the ledgers alone."""

import math
from collections.abc import Callable
from collections.abc import Set as AbstractSet

from exporter.errors import EntitiesUnknownError
from exporter.metrics import Metric, Sample
from exporter.scheduling.task import Snapshot, Task
from exporter.sources.devin.billing import cycles
from exporter.sources.devin.billing.windows import BillingWindows, Window
from exporter.sources.devin.consumption.collector import Consumption
from exporter.sources.devin.consumption.ledger import Ledger
from exporter.sources.devin.consumption.scopes import ENTERPRISE, SCOPES
from exporter.sources.devin.members import directory
from exporter.sources.devin.members.directory import Directory

ROUNDING = 1e-9
"""Share of the total up to which a difference is taken as rounding."""

UNATTRIBUTED = Metric(
    "devin_exporter_unattributed_cycle_acus",
    "ACUs of the running cycle that the enterprise's total holds and the sum of the parts "
    "(organizations; or users and service users) does not; absent unless every part is known.",
    ("scope",),
)
METRICS = (UNATTRIBUTED,)


def task(
    source: str,
    poll_interval: float,
    *,
    ledgers: Consumption,
    people: Directory,
    windows: Callable[[float], BillingWindows],
) -> Task:
    """The task that compares the ledgers after each of their polls."""

    def snapshot(now: float, max_age: float) -> Snapshot:
        cycle = windows(now).certain().get("cycle")
        if cycle is None:
            return Snapshot()

        def known(ledger: Ledger, list_entities: Callable[[], AbstractSet[str]]) -> float | None:
            return _sum(ledger, list_entities, cycle, now, max_age)

        total = known(ledgers.enterprise, lambda: {ENTERPRISE})
        parts = {
            "organizations": (known(ledgers.organizations, people.all_org_ids),),
            "users": (
                known(ledgers.users, people.all_user_ids),
                known(ledgers.service_users, people.all_service_user_ids),
            ),
        }
        samples: list[Sample] = []
        for scope, sums in parts.items():
            complete = [acus for acus in sums if acus is not None]
            if total is not None and len(complete) == len(sums):
                left = total - math.fsum(complete)
                samples.append(UNATTRIBUTED(_unless_rounding(left, total), scope=scope))
        return Snapshot(
            tuple(samples),
            expires=min(ledger.expires(now, max_age) for ledger in ledgers.ledgers),
        )

    return Task(
        name="unattributed",
        source=source,
        interval=poll_interval,
        metrics=METRICS,
        poll=None,
        snapshot=snapshot,
        next_window_end=lambda now: windows(now).next_window_end,
        depends_on=(cycles.TASK, *directory.TASKS, *(scope.task for scope in SCOPES)),
    )


def _unless_rounding(difference: float, total: float) -> float:
    return 0.0 if abs(difference) <= ROUNDING * abs(total) else difference


def _sum(
    ledger: Ledger,
    list_entities: Callable[[], AbstractSet[str]],
    cycle: Window,
    now: float,
    max_age: float,
) -> float | None:
    """ACUs of a cycle over all entities; None unless every one of them is known."""
    accounts = ledger.fresh(now, max_age)
    try:
        complete = accounts.keys() >= list_entities() and not ledger.missing(now, max_age)
    except EntitiesUnknownError:
        return None
    if not complete or not all(account.is_final_at(cycle, now) for account in accounts.values()):
        return None
    return math.fsum(
        acus for account in accounts.values() for acus in account.total(cycle).values()
    )
