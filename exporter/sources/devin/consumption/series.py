"""The series of consumption: which users have their own, and the samples of each scope. Pure."""

import math
from collections.abc import Iterable, Iterator, Mapping

from exporter.errors import EntitiesUnknownError
from exporter.metrics import Sample
from exporter.sources.devin.billing.windows import BillingWindows, Window, day_number
from exporter.sources.devin.consumption.scopes import Scope
from exporter.sources.devin.consumption.usage import EntityUsage, total
from exporter.sources.devin.members.directory import Directory
from exporter.sources.devin.members.user_policy import OTHER, UserPolicy


def rank(
    policy: UserPolicy,
    user_ids: Iterable[str],
    accounts: Mapping[str, EntityUsage],
    windows: BillingWindows,
) -> None:
    """Decide for the billing day which users have their own series."""
    cycles_known = [w for w in (windows.cycle, windows.previous_cycle) if w is not None]
    use = {
        user_id: math.fsum(
            acus
            for window in cycles_known
            if user_id in accounts
            for acus in accounts[user_id].total(window).values()
        )
        for user_id in user_ids
    }
    policy.rank(use, day=day_number(windows.today.start))


def by_label(
    policy: UserPolicy,
    people: Directory,
    accounts: Mapping[str, EntityUsage],
    missing: frozenset[str],
) -> dict[str, list[EntityUsage]]:
    """The usage behind each label value: of one user, or of all users that are summed.

    Args:
        missing: users who were requested, and of whom no account is known.
    """
    if policy.mode == "off" or not policy.decided or not accounts:
        return {}
    groups: dict[str, list[EntityUsage]] = {}
    for user_id, account in sorted(accounts.items()):
        groups.setdefault(policy.label(user_id), []).append(account)
    if not _others_known(policy, people, accounts, missing):
        groups.pop(OTHER, None)
    return groups


def _others_known(
    policy: UserPolicy,
    people: Directory,
    accounts: Mapping[str, EntityUsage],
    missing: frozenset[str],
) -> bool:
    """Whether the usage of all users in the sum is known, so that the sum is complete."""
    try:
        unknown = (people.all_user_ids() | missing) - accounts.keys()
    except EntitiesUnknownError:
        return False
    return all(policy.own(user_id) for user_id in unknown)


def samples(
    scope: Scope,
    groups: Mapping[str, list[EntityUsage]],
    windows: Mapping[str, Window],
    zeros: Iterable[str],
    now: float,
) -> Iterator[Sample]:
    """The samples of a scope.

    Args:
        groups: the usage behind each label value.
        windows: the windows that are known, by their names in metrics.
        zeros: products that are published even without use.
        now: Unix seconds.
    """
    for name, metric in scope.metrics.items():
        window = windows.get(name)
        if window is None:
            continue
        unused = dict.fromkeys(zeros, 0.0)
        for label, accounts in groups.items():
            if not all(account.is_final_at(window, now) for account in accounts):
                continue
            labels = (label,) if scope.label else ()
            for product, acus in {**unused, **total(accounts, window)}.items():
                if acus or product in unused:
                    yield Sample(metric, (*labels, product), acus)
