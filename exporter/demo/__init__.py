"""Simulated APIs: an HTTP server with the documented responses, reproducible from a seed."""

from collections.abc import Callable

from exporter.demo.api import DemoApi
from exporter.demo.endpoints import GATEWAY, V2, V3, DemoKey
from exporter.demo.people import Size
from exporter.demo.responses import Responses
from exporter.demo.world import World

DEMO_KEYS = {V3: "cog_demo", V2: "apk_user_demo", GATEWAY: "aione_demo"}
"""The key of each simulated API, by the name of its source."""


def start_demo_api(size: Size, *, clock: Callable[[], float], port: int = 0) -> DemoApi:
    """Start the simulated APIs on one loopback port (0 for any). The keys are `DEMO_KEYS`."""
    world = World(size, start=clock())
    keys = {key: DemoKey(api=api) for api, key in DEMO_KEYS.items()}
    api = DemoApi(Responses(world, clock), keys, port=port)
    api.start()
    return api
