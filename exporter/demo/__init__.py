"""Simulated APIs: an HTTP server with the documented responses, reproducible from a seed."""

from collections.abc import Callable

from exporter.demo.api import DemoApi
from exporter.demo.endpoints import DEMO_KEYS, DemoKey
from exporter.demo.people import Size, in_mid_cycle
from exporter.demo.responses import Responses
from exporter.demo.world import World

__all__ = ["DEMO_KEYS", "start_demo_api"]


def start_demo_api(size: Size, *, clock: Callable[[], float], port: int = 0) -> DemoApi:
    """Start the simulated APIs on one loopback port (0 for any). The keys are `DEMO_KEYS`."""
    world = World(in_mid_cycle(size, clock()), start=clock())
    keys = {key: DemoKey(api=api) for api, key in DEMO_KEYS.items()}
    api = DemoApi(Responses(world, clock), keys, port=port)
    api.start()
    return api
