"""What the tests stand on: a clock that is set by hand, and the exporter beside a simulated API."""

import json
import socketserver
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from exporter.client.http import Client
from exporter.client.rate_limit import RateLimits
from exporter.client.request_metrics import RequestMetrics
from exporter.config.settings import Section, Settings, load
from exporter.demo.api import DemoApi
from exporter.demo.endpoints import DemoKey
from exporter.demo.people import Size
from exporter.demo.responses import Responses
from exporter.demo.world import World
from exporter.exposition.instruments import OwnRegistry
from exporter.process import Timing
from exporter.scheduling.scheduler import Scheduler
from exporter.scheduling.store import Store
from exporter.scheduling.task import Task
from exporter.sources import devin
from exporter.sources.source import Fields, OpenSource, Shared, Source, open_sources, sections_of

KEY = "cog_the_key_of_the_tests"
PAYLOADS = Path(__file__).parents[1] / "payloads"

Series = Mapping[str, str]


@dataclass
class Clock:
    """Unix seconds that stand still until they are set."""

    now: float

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


class SkippedWaits(threading.Event):
    """A stop signal on which waiting takes no time, though time passes for the thread that waits.

    Args:
        speed: how fast time passes for timeouts.
    """

    def __init__(self, *, speed: float = 1.0) -> None:
        super().__init__()
        self._speed = speed
        self._skipped = threading.local()

    def wait(self, timeout: float | None = None) -> bool:
        """Skip that time."""
        assert timeout is not None
        self._skipped.seconds = self._of_thread() + timeout * self._speed
        return self.is_set()

    def _of_thread(self) -> float:
        return float(getattr(self._skipped, "seconds", 0.0))

    def monotonic(self) -> float:
        """Seconds, those that were skipped among them."""
        return time.monotonic() * self._speed + self._of_thread()

    def timing(self, clock: Clock) -> Timing:
        """The time that goes with it."""
        return Timing(clock, self.monotonic, self._speed)


class Waits(threading.Event):
    """A stop signal on which waiting takes no time but moves a clock, and is written down."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        """Move the clock instead."""
        assert timeout is not None
        if timeout > 0:
            self.seconds.append(timeout)
            self._clock.now += timeout
        return self.is_set()


def payload(name: str) -> object:
    """A recorded response by its path below the folder of payloads, such as `devin/keys/self`."""
    return recorded(PAYLOADS / f"{name}.json")


def recorded(path: Path) -> object:
    """A recorded response."""
    return json.loads(path.read_text(encoding="utf-8"))


def at(text: str) -> float:
    """Unix seconds of a UTC time like `2026-03-01 08:00:00`."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@lru_cache(maxsize=50_000)
def parsed_series(series: str) -> tuple[str, frozenset[tuple[str, str]]]:
    """The name and labels of a series, which most pages have in common with those before."""
    (family,) = text_string_to_metric_families(f"{series} 0")
    (sample,) = family.samples
    assert sample.timestamp is None, f"{series} has a timestamp"
    return sample.name, frozenset(sample.labels.items())


@dataclass
class Scrape:
    """A page of metrics, parsed: values by name and labels."""

    values: dict[tuple[str, frozenset[tuple[str, str]]], float] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str) -> "Scrape":
        """Parse a page and refuse a series that stands twice."""
        scrape = cls()
        for line in text.split("\n"):
            if line and not line.startswith("#"):
                series, _, value = line.rpartition(" ")
                key = parsed_series(series)
                assert key not in scrape.values, f"{key} stands twice"
                scrape.values[key] = float(value)
        return scrape

    def one(self, name: str, **labels: str) -> float | None:
        """The value of one series; None if it is absent."""
        return self.values.get((name, frozenset(labels.items())))

    def family(self, name: str) -> dict[frozenset[tuple[str, str]], float]:
        """All series of a name."""
        return {labels: value for (found, labels), value in self.values.items() if found == name}

    def names(self) -> set[str]:
        """The names of all series."""
        return {name for name, _ in self.values}


@dataclass
class Rig:
    """Sources with scheduler and store, polled by hand."""

    opened: Sequence[OpenSource]
    tasks: Sequence[Task]
    store: Store
    scheduler: Scheduler
    registry: OwnRegistry
    clock: Clock

    @property
    def client(self) -> Client:
        """The client of the first source."""
        return self.opened[0].client

    def poll(self, *names: str) -> None:
        """Run these tasks once, or all of them in the order of the source."""
        for task in self.tasks:
            if not names or task.name in names:
                self.scheduler.poll(task)

    def scrape(self) -> Scrape:
        """What a scrape shows now, after time has had its effect."""
        if self.clock() >= self.store.page.valid_until:
            self.scheduler.tick()
        return Scrape.of(self.store.page.text.decode())

    def page(self) -> str:
        """The page as text, without what is another in every run."""
        lines = self.store.page.text.decode().splitlines(keepends=True)
        return "".join(line for line in lines if "task_duration_seconds{" not in line)

    def own(self) -> Scrape:
        """The exporter's own counters and histograms."""
        return Scrape.of(generate_latest(self.registry).decode())

    def counted(self, name: str, **labels: str) -> float | None:
        """The value of one of the exporter's own counters."""
        return self.registry.get_sample_value(name, labels)

    def error(self, task: str) -> Exception | None:
        """Why the last attempt of a task failed."""
        outcome = self.store.states()[task].outcome
        return outcome.error if outcome else None


def make_client(
    url: str,
    *,
    key: Callable[[], str] = lambda: KEY,
    registry: CollectorRegistry | None = None,
    stopping: threading.Event | None = None,
    requests_per_second: float = 10_000,
    concurrency: int = 4,
    attempt_seconds: float = 30.0,
    clock: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
) -> Client:
    """A client for a server of the tests."""
    return Client(
        source="test",
        base_url=url,
        key=key,
        limits=RateLimits(
            requests_per_second=requests_per_second,
            concurrency=concurrency,
            attempt_seconds=attempt_seconds,
        ),
        metrics=RequestMetrics(registry or CollectorRegistry()),
        stopping=stopping or threading.Event(),
        timing=Timing(clock, monotonic),
    )


@contextmanager
def raw_server(answer: bytes, *, byte_every: float = 0) -> Iterator[str]:
    """A server that gives the same bytes, status line and all, to every request.

    Args:
        byte_every: seconds between two bytes; 0 for all of them at once.
    """
    ended = threading.Event()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                pass
            if not byte_every:
                self.wfile.write(answer)
                return
            with suppress(OSError):
                for byte in answer:
                    if ended.wait(byte_every):
                        break
                    self.wfile.write(bytes([byte]))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            ended.set()
            server.shutdown()
            thread.join()


def fields_of(*sections: type[Section], **fields: str) -> Fields:
    """Values for those of the sections that have such a field."""
    return {
        section: {name: value for name, value in fields.items() if name in section.model_fields}
        for section in sections
    }


@contextmanager
def composed(
    sources: Sequence[Source], settings: Settings, clock: Clock, waits: SkippedWaits
) -> Iterator[Rig]:
    """Those of the sources that are turned on, as composed in production, but polled by hand."""
    timing = waits.timing(clock)
    registry = OwnRegistry()
    shared = Shared(RequestMetrics(registry), waits, timing)
    with open_sources(sources, settings, shared) as opened:
        tasks = [task for each in opened for task in each.source.tasks(each)]
        store = Store(tasks)
        scheduler = Scheduler(tasks, store=store, registry=registry, timing=timing)
        try:
            yield Rig(opened, tasks, store, scheduler, registry, clock)
        finally:
            waits.set()


def settings_at(
    sources: Sequence[Source], url: str, keys: Mapping[str, str], **more: str
) -> Settings:
    """The settings of sources at an API, each with the key of its name, and more fields."""
    sections = sections_of(sources)
    fields = dict(fields_of(*sections, **{"requests_per_second": "10000", **more}))
    for source in sources:
        key = keys[source.name]
        for section, values in source.demo(url, key).items():
            opening = {name: value for name, value in values.items() if value in {url, key}}
            fields[section] = {**opening, **fields[section]}
    return load(sections, fields)


def rig_of(source: Source, url: str, clock: Clock, **settings: str) -> AbstractContextManager[Rig]:
    """One source against an API."""
    loaded = settings_at((source,), url, {source.name: KEY}, **settings)
    return composed((source,), loaded, clock, SkippedWaits())


def rig(url: str, clock: Clock, **settings: str) -> AbstractContextManager[Rig]:
    """The v3 source against an API."""
    return rig_of(devin.SOURCE, url, clock, **settings)


@contextmanager
def simulated_api(
    size: Size, clock: Clock, *, keys: Mapping[str, DemoKey] | None = None
) -> Iterator[tuple[World, DemoApi]]:
    """The simulated API on a real socket, showing the given clock's world."""
    world = World(size, start=clock())
    api = DemoApi(Responses(world, clock), keys or {KEY: DemoKey()})
    api.start()
    yield world, api
    api.stop()
