"""Simulated APIs: a real HTTP server with the documented shapes, the same from a seed."""

from collections.abc import Callable

from exporter.demo.api import DemoApi
from exporter.demo.endpoints import GATEWAY, V2, V3, DemoKey
from exporter.demo.people import Size
from exporter.demo.responses import Responses
from exporter.demo.world import World

DEMO_KEYS = {V3: "cog_demo", V2: "apk_user_demo", GATEWAY: "aione_demo"}
"""By the name of the source that each is for."""


def start_demo_api(size: Size, *, clock: Callable[[], float], port: int = 0) -> DemoApi:
    """Start the simulated APIs on one loopback port (0 for any); `DEMO_KEYS` open them."""
    world = World(size, start=clock())
    keys = {key: DemoKey(api=api) for api, key in DEMO_KEYS.items()}
    api = DemoApi(Responses(world, clock), keys, port=port)
    api.start()
    return api
