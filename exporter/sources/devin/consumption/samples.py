"""The samples of consumption, from the usage of entities. Pure."""

from collections.abc import Iterable, Iterator, Mapping

from exporter.metrics import Sample
from exporter.sources.devin.billing.windows import Window
from exporter.sources.devin.consumption.ledger import EntityUsage, total
from exporter.sources.devin.consumption.scopes import Scope


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
        for label, accounts in groups.items():
            if not all(account.is_final_at(window, now) for account in accounts):
                continue
            used = {product: acus for product, acus in total(accounts, window).items() if acus}
            labels = {scope.label: label} if scope.label else {}
            for product, acus in {**dict.fromkeys(zeros, 0.0), **used}.items():
                yield metric(acus, product=product, **labels)
