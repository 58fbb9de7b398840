"""Price, purchased pool and the size of large sessions: settings, as no endpoint has them."""

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from itertools import groupby

from exporter.exposition.openmetrics import Segment
from exporter.metrics import Metric, Sample
from exporter.scheduling.task import Snapshot, Task
from exporter.sources.devin.billing import cycles
from exporter.sources.devin.billing.cycles import Cycles
from exporter.sources.devin.billing.day_start import DayStart
from exporter.sources.devin.billing.windows import Window
from exporter.sources.devin.consumption.scopes import SCOPES
from exporter.sources.devin.derived.prices import Prices
from exporter.sources.devin.settings import DevinSettings

PRICE = Metric(
    "devin_acu_price",
    "Price of one ACU on the running billing day, in the currency named; absent where products "
    "have prices of their own.",
    ("currency",),
)
PRODUCT_PRICE = Metric(
    "devin_product_acu_price",
    "Price of one ACU of a product on the running billing day, in the currency named.",
    ("product", "currency"),
)
PRODUCT_PRICE_YESTERDAY = Metric(
    "devin_product_acu_price_yesterday",
    "Price of one ACU of a product on the last complete billing day, in the currency named.",
    ("product", "currency"),
)
POOL = Metric("devin_pool_acus", "ACUs bought for a billing cycle.")
LARGE_SESSION = Metric(
    "devin_large_session_acus",
    "ACUs above which a session is large, as set; absent without the table of recent sessions.",
)
METRICS = (PRICE, PRODUCT_PRICE, PRODUCT_PRICE_YESTERDAY, POOL, LARGE_SESSION)


def task(
    source: str,
    settings: DevinSettings,
    *,
    billing: Cycles,
    day_start: DayStart,
    products: Callable[[], Iterable[str]],
) -> Task:
    """The task that publishes those of them that are set.

    Args:
        products: the products that were seen.
    """
    unchanging = tuple(_sizes(settings))
    prices = settings.prices()

    def snapshot(now: float, max_age: float) -> Snapshot:
        del max_age
        if prices is None:
            return Snapshot(unchanging)
        running = [calendar.number(now) for calendar in day_start.calendars()]
        priced = _priced(prices, running, settings.acu_currency, products())
        return Snapshot((*priced, *unchanging))

    return Task(
        name="money",
        source=source,
        interval=settings.poll_interval,
        metrics=METRICS,
        poll=None,
        snapshot=snapshot,
        next_window_end=lambda now: billing.windows(now).next_window_end,
        republish_after=(cycles.TASK, *(scope.task for scope in SCOPES)),
    )


def _sizes(settings: DevinSettings) -> Iterator[Sample]:
    if settings.acu_pool is not None:
        yield POOL(settings.acu_pool)
    if settings.recent_sessions:
        yield LARGE_SESSION(settings.large_session_acus)


def _priced(
    prices: Prices, running: list[int], currency: str, products: Iterable[str]
) -> Iterator[Sample]:
    """The prices at a moment; absent where the calendars that may apply disagree about one.

    Args:
        running: the number of the running billing day, by each of these calendars.
    """
    price = _agreed(map(prices.of_all, running))
    if price is not None:
        yield PRICE(price, currency=currency)
    for metric, days in (
        (PRODUCT_PRICE, running),
        (PRODUCT_PRICE_YESTERDAY, [day - 1 for day in running]),
    ):
        for product in sorted({*products, *prices.by_product}):
            price = _agreed(prices.of(product, day) for day in days)
            if price is not None:
                yield metric(price, product=product, currency=currency)


def _agreed(prices: Iterable[Decimal | None]) -> float | None:
    different = set(prices)
    price = different.pop() if len(different) == 1 else None
    return None if price is None else float(price)


def history(
    settings: DevinSettings,
    days: range,
    shown: Window,
    *,
    day_start: DayStart,
    products: Iterable[str],
) -> Iterator[Segment]:
    """The segments of the prices, by family and then by series.

    Args:
        days: the numbers of the finished billing days.
        shown: from the first to the last moment that gets samples.
        products: all products of the history.
    """
    prices, currency = settings.prices(), settings.acu_currency
    if prices is None:
        return
    running = range(days.start, days.stop + 1)

    def segments(
        metric: Metric, by_day: Iterable[Decimal | None], **labels: str
    ) -> Iterator[Segment]:
        for price, group in groupby(zip(running, by_day, strict=True), key=lambda each: each[1]):
            if price is not None:
                same = [day for day, _ in group]
                certain = day_start.certain_span(range(same[0], same[-1] + 1))
                start, end = max(certain.start, shown.start), min(certain.end, shown.end)
                yield Segment(start, end, metric(float(price), **labels, currency=currency))

    yield from segments(PRICE, map(prices.of_all, running))
    for metric, back in ((PRODUCT_PRICE, 0), (PRODUCT_PRICE_YESTERDAY, 1)):
        for product in sorted({*products, *prices.by_product}):
            by_day = (prices.of(product, day - back) for day in running)
            yield from segments(metric, by_day, product=product)
