"""Devin's enterprise metrics v2, which the vendor has deprecated: one endpoint, one task."""

from exporter.accounting import Limits
from exporter.config.settings import Settings
from exporter.http import Client
from exporter.sources.connection import Connection, Fields, Report, Source, Surroundings
from exporter.sources.devin_api import DevinApiSettings
from exporter.sources.devin_v2 import usage
from exporter.sources.devin_v2.settings import DevinV2Settings
from exporter.sources.report import ask_for_row, report

NAME = "devin_v2"
LIMITS = Limits(requests_per_second=5, concurrency=1)


def open_client(settings: Settings, surroundings: Surroundings) -> Client | None:
    """The client with the settings' key; None if no key is set."""
    key, api = settings[DevinV2Settings].key(), settings[DevinApiSettings]
    if key is None:
        return None
    return surroundings.client(
        NAME,
        api.api_url,
        key,
        limits=LIMITS,
        ca_file=api.ca_file,
        permission_of=lambda _: "of an Enterprise Admin, whose personal key it must be",
    )


def connect(settings: Settings, surroundings: Surroundings) -> Connection | None:
    """Open the source; None if no key is set."""
    client = open_client(settings, surroundings)
    if client is None:
        return None
    told = usage.Usage(client, surroundings.timing.clock)
    return Connection(NAME, client, (told.task(settings[DevinV2Settings].poll_interval),))


def check(settings: Settings, surroundings: Surroundings) -> Report | None:
    """Ask the endpoint once; None if no key is set."""
    client = open_client(settings, surroundings)
    if client is None:
        return None
    row, _ = ask_for_row(
        usage.ENDPOINT,
        "the older figures of the cycle",
        lambda: usage.ask(client),
    )
    client.close()
    return report([row], ["the v2 API is deprecated by its vendor"])


def demo(url: str, key: str) -> Fields:
    """The simulated API in place of the real one."""
    return {
        DevinApiSettings: {"api_url": url, "ca_file": None},
        DevinV2Settings: {"api_key": key, "api_key_file": None},
    }


SOURCE = Source(
    name=NAME,
    sections=(DevinV2Settings, DevinApiSettings),
    wanted="DEVIN_V2_API_KEY or DEVIN_V2_API_KEY_FILE",
    metrics=usage.METRICS,
    connect=connect,
    check=check,
    demo=demo,
)
