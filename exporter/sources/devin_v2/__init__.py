"""Devin's enterprise metrics v2, which the vendor has deprecated: one endpoint, one task."""

from exporter.client.http import Client
from exporter.client.rate_limit import RateLimits
from exporter.config.settings import Settings
from exporter.scheduling.task import Task
from exporter.sources.check_report import report, request_row
from exporter.sources.devin_api import DevinApiSettings
from exporter.sources.devin_v2 import usage
from exporter.sources.devin_v2.settings import DevinV2Settings
from exporter.sources.source import CheckReport, Fields, OpenSource, Shared, Source

NAME = "devin_v2"
LIMITS = RateLimits(requests_per_second=5, concurrency=1)


def open_client(settings: Settings, shared: Shared) -> Client | None:
    """Open a client with the settings' key; None if no key is set."""
    key, api = settings[DevinV2Settings].key(), settings[DevinApiSettings]
    return shared.client(NAME, api.api_url, key, limits=LIMITS, ca_file=api.ca_file)


def tasks(opened: OpenSource) -> tuple[Task, ...]:
    """The one task."""
    interval = opened.settings[DevinV2Settings].poll_interval
    return (usage.task(opened.client, opened.clock, interval),)


def check(opened: OpenSource) -> CheckReport:
    """Request the endpoint once."""
    row, _ = request_row(usage.ENDPOINT, lambda: usage.fetch(opened.client))
    return report([row], ["the v2 API is deprecated by its vendor"])


def demo(url: str, key: str) -> Fields:
    """Settings for the simulated API in place of the real one."""
    return {
        DevinApiSettings: {"api_url": url, "ca_file": None},
        DevinV2Settings: {"api_key": key, "api_key_file": None},
    }


SOURCE = Source(
    name=NAME,
    sections=(DevinV2Settings, DevinApiSettings),
    enabled_by="DEVIN_V2_API_KEY or DEVIN_V2_API_KEY_FILE",
    metrics=usage.METRICS,
    endpoints=(usage.ENDPOINT,),
    open_client=open_client,
    tasks=tasks,
    check=check,
    demo=demo,
)
