"""The exporter with all its sources beside servers that misbehave, polled by hand."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from io import StringIO
from pathlib import Path
from socket import socket

import httpx
import pytest

from exporter.app import Exporter, source_states
from exporter.cli.catalogue import ALL_SECTIONS
from exporter.config.logs import LogfmtFormatter
from exporter.config.settings import Settings, load
from exporter.demo.api import DemoApi
from exporter.demo.endpoints import GATEWAY, V2, V3, DemoKey
from exporter.demo.people import Size
from exporter.demo.responses import Responses
from exporter.demo.world import World
from exporter.process import Timing
from exporter.sources import SOURCES
from exporter.sources.devin.derived import metering, pricing, unattributed
from exporter.sources.devin.derived.teams import file as teams_file
from exporter.web.connections import ConnectionLimits
from exporter.web.endpoints import Endpoints
from exporter.web.server import WebServer, listen
from tests.support.faulty_server import Certificates, Front, Healthy, forwarding
from tests.support.limits import HANG_SECONDS
from tests.support.processes import BETWEEN_LOOKS
from tests.support.rig import Clock, Rig, Scrape, SkippedWaits, at, composed

Key = tuple[str, frozenset[tuple[str, str]]]
Figures = Mapping[Key, float]

SIZE = Size(organizations=2, users=5, days=60)
NOW = at("2026-03-20 15:30:00")
INTERVAL = 300.0
HOUR = 3_600.0
KEYS = {
    V3: "cog_9fQ2xVb7LmT4zR8kHs1W",
    V2: "apk_user_3hJ6yNc0PwD5uG7tEa2X",
    GATEWAY: "gw_8sKv4BqZ1rMf6YjUo9Ci",
}
NEW_KEY = "cog_5rTn8WpLx3CgQ7yMv0Zk"
"""Another that opens v3."""

PART_OF_A_KEY = 6
"""So many characters in a row give a part of a key away."""

OPENMETRICS = "application/openmetrics-text"
UNCHANGED: Mapping[str, str | None] = {}


@dataclass(frozen=True)
class Look:
    """All that the exporter shows at one moment."""

    page: Scrape
    ready: int
    healthy: int

    @cached_property
    def data(self) -> Figures:
        """The series of the sources, without those about the exporter itself."""
        return {
            (name, labels): value
            for (name, labels), value in self.page.values.items()
            if not name.startswith(("devin_exporter_", "process_", "python_"))
            or name == unattributed.UNATTRIBUTED.name
        }

    def up(self, task: str) -> float | None:
        """Whether a task is up; None if that is not said."""
        return self.page.one("devin_exporter_task_up", task=task)

    def down(self) -> set[str]:
        """The tasks that are not up."""
        up = self.page.family("devin_exporter_task_up")
        return {dict(labels)["task"] for labels, value in up.items() if not value}

    def missing(self, task: str) -> float | None:
        """How many of a task's entities have expired."""
        return self.page.one("devin_exporter_task_entities_missing", task=task)

    def failures(self) -> dict[tuple[str, str], float]:
        """How often tasks have failed, by task and reason; without those that have not."""
        counted = self.page.family("devin_exporter_task_failures_total")
        named = {(dict(labels)["task"], dict(labels)["reason"]): n for labels, n in counted.items()}
        return {which: count for which, count in named.items() if count}


@dataclass
class Servers:
    """The simulated APIs on a clock of their own, one server in front of Devin's, one of AIone's.

    Attributes:
        clock: what time it is for the APIs; it stands still until it is set.
    """

    world: World
    clock: Clock
    devin: Front
    gateway: Front
    certificates: Certificates

    def of(self, sources: Sequence[str]) -> Front:
        """The server of these sources."""
        return self.gateway if GATEWAY in sources else self.devin

    def heal(self) -> None:
        """Have both behave."""
        self.devin.heal()
        self.gateway.heal()


@contextmanager
def servers(folder: Path) -> Iterator[Servers]:
    """The servers, for as many stages as like."""
    clock = Clock(NOW)
    world = World(SIZE, start=NOW)
    keys = {key: DemoKey(api=api) for api, key in KEYS.items()} | {NEW_KEY: DemoKey()}
    api = DemoApi(Responses(world, clock), keys)
    api.start()
    certificates = Certificates(folder)
    with httpx.Client(base_url=api.url, timeout=HANG_SECONDS, trust_env=False) as client:
        healthy = remembered(forwarding(client), clock)
        gateway = Front(healthy, certificates)
        devin = Front(healthy, certificates, neighbour=gateway.url)
        gateway.neighbour = devin.url
        yield Servers(world, clock, devin, gateway, certificates)
        devin.stop()
        gateway.stop()
    api.stop()


def remembered(healthy: Healthy, clock: Clock) -> Healthy:
    """The same answers, each asked for once at each time."""
    known: dict[tuple[str, str, float], tuple[int, bytes]] = {}

    def ask(target: str, authorization: str) -> tuple[int, bytes]:
        key = (target, authorization, clock())
        if key not in known:
            known[key] = healthy(target, authorization)
        return known[key]

    return ask


@dataclass
class Watched:
    """The exporter, watched from outside, and everything that it has written."""

    web: httpx.Client
    log: StringIO
    written: list[str] = field(default_factory=list)

    def look(self) -> Look:
        """Look at everything that is served."""
        paths = ("/metrics", "/", "/-/ready", "/-/healthy")
        metrics, page, ready, healthy = (self.web.get(path) for path in paths)
        self.written += [metrics.text, page.text, ready.text, healthy.text]
        return Look(Scrape.of(metrics.text), ready.status_code, healthy.status_code)

    def until(self, holds: Callable[[Look], bool]) -> Look:
        """Look again and again until something holds."""
        deadline = time.monotonic() + HANG_SECONDS
        while time.monotonic() < deadline:
            look = self.look()
            if holds(look):
                return look
            BETWEEN_LOOKS.wait(0.02)
        raise AssertionError(f"it never came; down: {look.down()}; log:\n{self.log.getvalue()}")

    def logged(self) -> str:
        """What was logged since the last time."""
        text = self.log.getvalue()
        self.written.append(text)
        self.log.seek(0)
        self.log.truncate()
        return text

    def look_at_openmetrics(self) -> None:
        """Look at the other format of the metrics."""
        asked = self.web.get("/metrics", headers={"Accept": OPENMETRICS})
        assert asked.headers["Content-Type"].startswith(OPENMETRICS)
        self.written.append(asked.text)

    def assert_no_part_of_a_key(self) -> None:
        """Look through everything that it has written."""
        self.logged()
        assert_no_part_of_a_key(*self.written)


@dataclass
class Stage(Watched):
    """The exporter, polled by hand; its clock, and that of the APIs, are set by hand."""

    rig: Rig = field(kw_only=True)

    @property
    def clock(self) -> Clock:
        """The exporter's clock."""
        return self.rig.clock


@contextmanager
def stage(
    of: Servers,
    settings: Mapping[str, str | None] = UNCHANGED,
    *,
    at: float = NOW,
    speed: float = 1.0,
) -> Iterator[Stage]:
    """The exporter with all sources turned on, which has not polled yet.

    Args:
        settings: further ones by variable; None for one that is not to be set.
        at: Unix seconds, for the exporter and for the APIs.
        speed: how fast time passes for timeouts.
    """
    of.heal()
    of.clock.now = at
    clock = Clock(at)
    with ExitStack() as stack:
        loaded = stack.enter_context(_set(of, settings))
        rig = stack.enter_context(composed(SOURCES, loaded, clock, SkippedWaits(speed=speed)))
        endpoints = Endpoints(
            store=rig.store,
            registry=rig.registry,
            refresh=rig.scheduler.tick,
            sources=lambda: source_states(rig.opened),
            due_in=rig.scheduler.due_in,
            clock=clock,
            telemetry_path="/metrics",
            version="0",
        )
        sockets = listen([("127.0.0.1", 0)])
        server = WebServer(endpoints.app(), sockets, limits=ConnectionLimits())
        server.start()
        stack.callback(server.stop)
        web, log = stack.enter_context(_asking(sockets[0])), stack.enter_context(_logged())
        staged = Stage(web, log, rig=rig)
        yield staged
        staged.look_at_openmetrics()
        staged.assert_no_part_of_a_key()


@dataclass
class FastClock:
    """Unix seconds that pass faster than the machine's, and can be set."""

    now: float
    speed: float
    began: float = field(default_factory=time.monotonic)

    def __call__(self) -> float:
        """Tell the time."""
        return self.now + self.speed * (time.monotonic() - self.began)

    def timing(self) -> Timing:
        """The time that goes with it."""
        return Timing(self, lambda: self.speed * time.monotonic(), self.speed)


@contextmanager
def live(
    of: Servers, clock: FastClock, settings: Mapping[str, str | None] = UNCHANGED
) -> Iterator[Watched]:
    """The exporter with all sources turned on, which polls by itself."""
    of.heal()
    of.clock.now = NOW
    with ExitStack() as stack:
        sockets = listen([("127.0.0.1", 0)])
        loaded = stack.enter_context(_set(of, settings))
        exporter = Exporter(loaded, sockets, clock.timing())
        web, log = stack.enter_context(_asking(sockets[0])), stack.enter_context(_logged())
        exporter.start()
        watched = Watched(web, log)
        try:
            yield watched
            watched.look_at_openmetrics()
        finally:
            exporter.stop()
            for thread in threading.enumerate():
                if thread.name.startswith(("ThreadPoolExecutor", "sweep")):
                    thread.join(HANG_SECONDS)
            exporter.close()
        watched.assert_no_part_of_a_key()


@contextmanager
def _set(of: Servers, settings: Mapping[str, str | None]) -> Iterator[Settings]:
    with pytest.MonkeyPatch.context() as environment:
        for variable, value in {**_turned_on(of), **settings}.items():
            if value is not None:
                environment.setenv(variable, value)
        yield load(ALL_SECTIONS, {})


def _asking(listening: socket) -> httpx.Client:
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    return httpx.Client(base_url=url, timeout=HANG_SECONDS, trust_env=False)


def _turned_on(of: Servers) -> dict[str, str]:
    authority = str(of.certificates.authority)
    return {
        "DEVIN_API_URL": of.devin.url,
        "DEVIN_CA_FILE": authority,
        "DEVIN_SERVICE_USER_TOKEN": KEYS[V3],
        "DEVIN_REQUESTS_PER_SECOND": "10000",
        "DEVIN_V2_API_KEY": KEYS[V2],
        "DEVIN_V2_POLL_INTERVAL": f"{INTERVAL:.0f}",
        "AIONE_API_URL": of.gateway.url,
        "AIONE_CA_FILE": authority,
        "AIONE_TOKEN": KEYS[GATEWAY],
    }


@contextmanager
def _logged() -> Iterator[StringIO]:
    """Whatever would be logged in production at the level `debug`."""
    log = StringIO()
    handler = logging.StreamHandler(log)
    handler.setFormatter(LogfmtFormatter())
    root, ours = logging.getLogger(), logging.getLogger("exporter")
    levels = root.level, ours.level
    root.addHandler(handler)
    root.setLevel(logging.ERROR)
    ours.setLevel(logging.DEBUG)
    yield log
    root.setLevel(levels[0])
    ours.setLevel(levels[1])
    root.removeHandler(handler)


def polled(at: Stage, *tasks: str) -> Look:
    """What is seen after a poll."""
    at.rig.poll(*tasks)
    return at.look()


def own_families(at: Stage, tasks: AbstractSet[str]) -> set[str]:
    """What these tasks publish."""
    return {metric.name for task in at.rig.tasks if task.name in tasks for metric in task.metrics}


def families_of(at: Stage, tasks: AbstractSet[str]) -> set[str]:
    """What these tasks publish, and what is derived from them."""
    derived = {
        task.name
        for task in at.rig.tasks
        if tasks & {*task.republish_after} or (task.poll is None and tasks & {*task.depends_on})
    }
    return own_families(at, tasks | derived)


def polled_tasks(at: Stage, sources: Sequence[str]) -> set[str]:
    """The tasks of these sources that poll their API."""
    tasks = {t.name for t in at.rig.tasks if t.source in sources and t.poll is not None}
    return tasks - {teams_file.TASK}


def names(figures: Figures) -> set[str]:
    """The names of the series."""
    return {name for name, _ in figures}


@dataclass(frozen=True, kw_only=True)
class Course:
    """What is published as something breaks and is mended again.

    Attributes:
        lost: the families that nobody can tell meanwhile.
        follow: those that may be lost with them.
        before: while all is well; None where it never was.
        broken: as soon as it is broken.
        late: once the last good answers are too old; None where that is not waited for.
        healed: after the next poll without it; None where there is nothing to mend.
        ended: the families of the windows that end as it is broken.
        entity: the label of the only one that is lost.
    """

    lost: AbstractSet[str]
    follow: AbstractSet[str] = frozenset()
    before: Figures | None
    broken: Figures
    late: Figures | None = None
    healed: Figures | None = None
    ended: AbstractSet[str] = frozenset()
    entity: tuple[str, str] | None = None


def course_of(
    at: Stage,
    tasks: AbstractSet[str],
    *,
    before: Look | None,
    broken: Look,
    late: Look | None = None,
    healed: Look | None = None,
) -> Course:
    """How it goes for tasks that are of no use to any other without their answers."""
    # That something was metered once stays true; prices are settings.
    follow = {metering.METERED.name}
    return Course(
        lost=families_of(at, tasks) - follow - {metric.name for metric in pricing.METRICS},
        follow=follow,
        before=before.data if before else None,
        broken=broken.data,
        late=late.data if late else None,
        healed=healed.data if healed else None,
    )


def assert_kept(course: Course) -> None:
    """Nothing has changed."""
    assert course.late is None
    assert course.broken == course.before
    assert course.healed in (None, course.before)


def assert_aged(course: Course) -> None:
    """Nothing has changed but what was too old in the end."""
    assert course.broken == course.before
    _assert_too_old_and_back(course)


def assert_ended(course: Course) -> None:
    """Only the windows that had ended were gone at first, then all that was too old."""
    assert course.before is not None
    assert course.ended
    assert not course.ended & names(course.broken)
    assert_gone(course.before, course.broken, course.ended)
    _assert_too_old_and_back(course)


def _assert_too_old_and_back(course: Course) -> None:
    assert course.before is not None
    assert course.late is not None
    assert course.healed is not None
    assert course.lost & names(course.before)
    # In another window there may be something else to tell.
    assert course.ended or course.lost & names(course.before) <= names(course.healed)
    assert not course.lost & names(course.late)
    assert_gone(course.healed, course.late, course.lost | course.follow)


def assert_aged_for_one(course: Course) -> None:
    """Nothing has changed but what was too old of one entity in the end."""
    assert course.before is not None
    assert course.late is not None
    assert course.healed is not None
    assert course.broken == course.before
    assert course.before.keys() == course.healed.keys()
    of_that_one = {
        (name, labels)
        for name, labels in course.healed
        if name in course.lost and course.entity in labels
    }
    gone = course.healed.keys() - course.late.keys()
    assert of_that_one
    assert {key for key in gone if key[0] in course.lost} == of_that_one
    assert_gone(course.healed, course.late, course.lost | course.follow)


def assert_never_there(course: Course) -> None:
    """Nothing of it was there until it was mended."""
    assert course.before is None
    assert course.late is None
    assert course.healed is not None
    assert course.lost & names(course.healed)
    assert not course.lost & names(course.broken)
    assert_gone(course.healed, course.broken, course.lost | course.follow)


def assert_told_anew(course: Course) -> None:
    """All of it was gone, and is back."""
    assert course.before is not None
    assert course.late is None
    assert course.lost & names(course.before)
    assert not course.lost & names(course.broken)
    assert_gone(course.before, course.broken, course.lost)
    assert course.healed is not None
    assert _without(course.follow, course.healed) == _without(course.follow, course.before)


def _without(families: AbstractSet[str], figures: Figures) -> Figures:
    return {key: value for key, value in figures.items() if key[0] not in families}


def assert_nobody_tells(course: Course) -> None:
    """There is nothing at all."""
    assert (course.before, course.late, course.healed) == (None, None, None)
    assert not course.broken


def assert_gone(before: Figures, after: Figures, families: AbstractSet[str]) -> None:
    """Of these families something is gone; all else is as before, and nothing is new."""
    assert after.items() <= before.items()
    gone = {name for name, _ in before.keys() - after.keys()}
    assert bool(gone) == bool(families)
    assert gone <= families


def assert_failed(look: Look, tasks: AbstractSet[str], reasons: AbstractSet[str | None]) -> None:
    """Each of the tasks, and no other, has failed, for one of these reasons."""
    assert {task for task, _ in look.failures()} == tasks
    assert {reason for _, reason in look.failures()} <= reasons


def assert_no_part_of_a_key(*written: str) -> None:
    """Look for any part of any key but the prefix that all keys of a kind share."""
    for key in (*KEYS.values(), NEW_KEY):
        secret = key.rpartition("_")[2]
        for place in range(len(secret) - PART_OF_A_KEY + 1):
            part = secret[place : place + PART_OF_A_KEY]
            assert not any(part in text for text in written), "a part of a key was written"
