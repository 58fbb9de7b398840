"""A simulated Devin API: a real HTTP server with the documented shapes, the same from a seed."""

from collections.abc import Callable

from exporter.demo.answers import Answers
from exporter.demo.api import DemoApi
from exporter.demo.endpoints import DemoKey
from exporter.demo.people import Size
from exporter.demo.world import World

DEMO_KEY = "cog_demo"
REQUESTS_PER_SECOND = 200


def start_demo_api(size: Size, *, clock: Callable[[], float], port: int = 0) -> DemoApi:
    """Start the simulated API on a loopback port (0 for any); `DEMO_KEY` opens all of it."""
    world = World(size, start=clock())
    api = DemoApi(Answers(world, clock), {DEMO_KEY: DemoKey()}, port=port)
    api.start()
    return api
