"""The servers that `bench.scrape` compares: `python -m bench.scrape_servers NAME PORT SERIES`."""

import sys
import threading
import time
from collections.abc import Callable
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import uvicorn
from prometheus_client import CollectorRegistry, Gauge, make_asgi_app, make_wsgi_app
from prometheus_client import ProcessCollector as Process

from exporter.client.request_metrics import RequestMetrics
from exporter.exposition.instruments import OwnRegistry
from exporter.metrics import Metric, Sample
from exporter.process import Timing, keep_responsive
from exporter.scheduling.scheduler import Scheduler
from exporter.scheduling.store import Store
from exporter.scheduling.task import Snapshot, Task
from exporter.web.access import Access
from exporter.web.config.loaded import WebConfig
from exporter.web.connections import ConnectionLimits
from exporter.web.endpoints import Endpoints
from exporter.web.server import WebServer, listen

ACUS = Metric("some_acus", "ACUs of somebody.", ("user_id", "product"))
QUEUE = Metric("some_queue", "Sessions that wait.")
PRODUCTS = ("devin", "cascade", "terminal", "review")
PATHS = 40
RENDER_SECONDS = 15


def labels(series: int) -> list[tuple[str, str]]:
    """The labels of all series."""
    return [(f"email|user-{n // 4}", PRODUCTS[n % 4]) for n in range(series)]


def ours(port: int, series: int, *, load: str = "") -> None:
    """The exporter's own web server, with own metrics as a real exporter has them.

    Args:
        load: `sweep` for a change of the queue each second and one of a user every 15 seconds, as
            often as the exporter renders them; `renders` for all of it without a pause.
    """
    samples = [ACUS(n * 1.1, user_id=u, product=p) for n, (u, p) in enumerate(labels(series))]
    tasks = [_task("users", ACUS), _task("queue", QUEUE)]
    registry = OwnRegistry()
    Process(registry=registry)
    store = Store(tasks)
    Scheduler(tasks, store=store, registry=registry, timing=Timing())
    metrics = RequestMetrics(registry)
    for path in range(PATHS):
        metrics.requests.labels("devin", f"/v3/{path}", "200").inc()
        metrics.durations.labels("devin", f"/v3/{path}").observe(0.1 * path)
    store.publish("users", Snapshot(tuple(samples)), now=time.time())
    store.refresh_page()
    endpoints = Endpoints(
        store=store,
        registry=registry,
        refresh=lambda: None,
        sources=lambda: (),
        due_in=lambda _: None,
        clock=time.time,
        telemetry_path="/metrics",
        version="bench",
    )
    access = Access(endpoints.app(), config=WebConfig, monotonic=time.monotonic)
    keep_responsive()
    WebServer(access, listen([("127.0.0.1", port)]), limits=ConnectionLimits()).start()
    number = 0
    while load:
        number += 1
        metrics.requests.labels("devin", "/v3/1", "200").inc()
        metrics.durations.labels("devin", "/v3/1").observe(0.2)
        if load == "renders" or number % RENDER_SECONDS == 1:
            samples[0] = Sample(ACUS, samples[0].labels, float(number))
            # Tasks make them one by one, too.
            changed = tuple(sample for sample in samples)
            store.publish("users", Snapshot(changed), now=time.time())
        store.publish("queue", Snapshot((QUEUE(number),)), now=time.time())
        store.refresh_page()
        if load == "sweep":
            time.sleep(1)
    threading.Event().wait()


def _task(name: str, metric: Metric) -> Task:
    return Task(
        name=name,
        source="bench",
        interval=60,
        metrics=(metric,),
        poll=lambda: None,
        snapshot=lambda _now, _max_age: Snapshot(),
    )


def _registry(series: int) -> CollectorRegistry:
    registry = CollectorRegistry()
    gauge = Gauge("some_acus", "ACUs of somebody.", ("user_id", "product"), registry=registry)
    for number, (user, product) in enumerate(labels(series)):
        gauge.labels(user, product).set(number * 1.1)
    return registry


def asgi(port: int, series: int) -> None:
    """prometheus_client's ASGI application on uvicorn."""
    app = make_asgi_app(_registry(series))
    uvicorn.run(app, port=port, log_level="critical", timeout_keep_alive=600)


class _Threads(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def wsgi(port: int, series: int) -> None:
    """prometheus_client's WSGI application on the server that it starts itself."""
    app = make_wsgi_app(_registry(series))
    make_server("127.0.0.1", port, app, _Threads, handler_class=_Quiet).serve_forever()


SERVERS: dict[str, Callable[[int, int], None]] = {"ours": ours, "asgi": asgi, "wsgi": wsgi}

if __name__ == "__main__":
    name, chosen_port, count, *more = sys.argv[1:]
    if more:
        ours(int(chosen_port), int(count), load=more[0])
    SERVERS[name](int(chosen_port), int(count))
