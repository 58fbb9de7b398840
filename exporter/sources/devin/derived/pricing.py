"""Price, purchased pool and the size of large sessions: settings, as no endpoint has them."""

from collections.abc import Iterator

from exporter.metrics import Metric, Sample
from exporter.scheduling.task import Snapshot, Task
from exporter.sources.devin.settings import DevinSettings

PRICE = Metric("devin_acu_price", "Price of one ACU, in the currency named.", ("currency",))
POOL = Metric("devin_pool_acus", "ACUs bought for a billing cycle.")
LARGE_SESSION = Metric(
    "devin_large_session_acus",
    "ACUs above which a session is large, as set; absent without the table of recent sessions.",
)
METRICS = (PRICE, POOL, LARGE_SESSION)


def task(source: str, settings: DevinSettings) -> Task:
    """The task that publishes those of them that are set."""
    samples = tuple(_samples(settings))
    return Task(
        name="money",
        source=source,
        interval=settings.poll_interval,
        metrics=METRICS,
        poll=None,
        snapshot=lambda now, max_age: Snapshot(samples),  # noqa: ARG005 - they never change
    )


def _samples(settings: DevinSettings) -> Iterator[Sample]:
    if settings.acu_price is not None:
        yield PRICE(settings.acu_price, currency=settings.acu_currency)
    if settings.acu_pool is not None:
        yield POOL(settings.acu_pool)
    if settings.recent_sessions:
        yield LARGE_SESSION(settings.large_session_acus)
