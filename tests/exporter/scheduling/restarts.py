"""An exporter that keeps its state, and the one that starts from it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from exporter.demo.api import DemoApi
from exporter.scheduling.state import State
from exporter.sources.source import owner_of
from tests.support.rig import Clock, Rig, rig


def state_of(polled: Rig, folder: Path) -> State:
    owner = owner_of(polled.opened)
    return State.at(folder, owner=owner, tasks=polled.tasks, store=polled.store)


def poll_and_keep(api: DemoApi, clock: Clock, folder: Path, **settings: str) -> Rig:
    with rig(api.url, clock, **settings) as polled:
        polled.poll()
        state = state_of(polled, folder)
        state.save()
        state.close()
        return polled


@contextmanager
def restarted(api: DemoApi, clock: Clock, folder: Path, **settings: str) -> Iterator[Rig]:
    with rig(api.url, clock, **settings) as again:
        state = state_of(again, folder)
        state.restore()
        again.scheduler.publish_known()
        yield again
        state.close()
