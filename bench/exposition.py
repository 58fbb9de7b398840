"""How fast a page is made and copied out, against prometheus_client's own rendering.

`python bench/exposition.py [series …]`: ratios within one run; absolute times are this machine's.
"""

import statistics
import sys
import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from exporter.exposition.page import Page, Part
from exporter.exposition.render import render
from exporter.metrics import Metric

ROUNDS = 5
ACUS = Metric("some_acus", "ACUs of somebody.", ("user_id", "product"))
PRODUCTS = ("devin", "cascade", "terminal", "review")


def median_seconds(work: Callable[[], object]) -> float:
    """Run some work a few times and give the median."""
    times: list[float] = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def main() -> None:
    """Print a row for each size."""
    sizes = [int(word) for word in sys.argv[1:]] or [4_000, 40_000, 200_000]
    print("series | render | compress | scrape plain | scrape gzip | generate_latest | ratio")
    for series in sizes:
        labels = [(f"email|user-{n // 4}", PRODUCTS[n % 4]) for n in range(series)]
        samples = [ACUS(n * 1.1, user_id=u, product=p) for n, (u, p) in enumerate(labels)]
        registry = CollectorRegistry()
        gauge = Gauge("some_acus", "ACUs of somebody.", ("user_id", "product"), registry=registry)
        for number, (user, product) in enumerate(labels):
            gauge.labels(user, product).set(number * 1.1)
        text = render(samples).text
        part = Part.of(text)
        page = Page.of([part], valid_until=0.0)
        own = b"own 1\n" * 300
        rendered = median_seconds(lambda: render(samples))  # noqa: B023 - called at once
        packed = median_seconds(lambda: Part.of(text))  # noqa: B023
        plain = median_seconds(lambda: page.plain([], own))  # noqa: B023
        gzipped = median_seconds(lambda: page.gzipped([], own))  # noqa: B023
        theirs = median_seconds(lambda: generate_latest(registry))  # noqa: B023
        print(
            f"{series} | {rendered * 1e3:.1f} ms | {packed * 1e3:.1f} ms | "
            f"{plain * 1e3:.3f} ms | {gzipped * 1e3:.3f} ms | {theirs * 1e3:.1f} ms | "
            f"a scrape costs 1/{theirs / gzipped:.0f} of theirs"
        )


main()
