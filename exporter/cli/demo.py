"""The simulated API of `devin-exporter demo`, and the settings that point to it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from exporter.cli.catalogue import ALL_SECTIONS
from exporter.cli.printing import announce
from exporter.config.settings import load
from exporter.demo import DEMO_KEYS, start_demo_api
from exporter.demo.settings import DemoSettings
from exporter.sources import SOURCES
from exporter.sources.source import Fields
from exporter.web.server import ListenError, os_error_text

UNUSED_URL = "http://127.0.0.1"


def _for_demo(overrides: Fields, *, url: str) -> Fields:
    """The settings of `serve` with the simulated APIs in place of the real ones."""
    simulated = [source for source in SOURCES if source.name in DEMO_KEYS]
    pointed = {section: dict(values) for section, values in overrides.items()}
    for source in simulated:
        for section, values in source.demo(url, DEMO_KEYS[source.name]).items():
            pointed.setdefault(section, {}).update(values)
    settings = load(ALL_SECTIONS, pointed)
    for source in simulated:
        for section, values in source.demo_defaults.items():
            for name in values.keys() - settings[section].model_fields_set:
                pointed.setdefault(section, {})[name] = values[name]
    return pointed


@contextmanager
def simulated_api(overrides: Fields) -> Iterator[Fields]:
    """Start the simulated API; yields the settings that point to it.

    Raises:
        SettingsError: if settings are invalid.
        ListenError: if its port cannot be used.
    """
    demo = load(ALL_SECTIONS, _for_demo(overrides, url=UNUSED_URL))[DemoSettings]
    try:
        api = start_demo_api(demo.size(), clock=time.time, port=demo.api_port)
    except OSError as failure:
        raise ListenError(
            f"DEMO_API_PORT: port {demo.api_port}: {os_error_text(failure)}"
        ) from None
    announce(f"Simulated API: {api.url}")
    try:
        yield _for_demo(overrides, url=api.url)
    finally:
        api.stop()
