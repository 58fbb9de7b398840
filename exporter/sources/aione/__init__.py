"""The AIone gateway to models of several vendors: its dashboard, billing and keys."""

from functools import partial

from exporter.client.http import Client
from exporter.client.rate_limit import RateLimits
from exporter.config.settings import Settings
from exporter.scheduling.task import Task
from exporter.sources.aione import billing, dashboard, keys, metrics
from exporter.sources.aione.samples import Dashboard
from exporter.sources.aione.settings import AioneSettings
from exporter.sources.aione.unreadable import UnreadableValues
from exporter.sources.check_report import report, request_row
from exporter.sources.source import CheckReport, Fields, OpenSource, Shared, Source

NAME = "aione"
OPTIONAL_INTERVALS = 4
"""Invoices and limits of keys change rarely."""
LIMITS = RateLimits(requests_per_second=5, concurrency=1)


def open_client(settings: Settings, shared: Shared) -> Client | None:
    """Open a client with the settings' token; None if the source is off."""
    own = settings[AioneSettings]
    return shared.client(NAME, own.api_url, own.key(), limits=LIMITS, ca_file=own.ca_file)


def tasks(opened: OpenSource) -> tuple[Task, ...]:
    """The dashboard's task, and those that a token or a gateway may lack."""
    client, clock, own = opened.client, opened.clock, opened.settings[AioneSettings]
    interval, unreadable = own.poll_interval * OPTIONAL_INTERVALS, UnreadableValues()
    noted_by = (billing.PLAN_TASK, keys.TASK)
    return (
        dashboard.task(client, clock, own, unreadable=unreadable, noted_by=noted_by),
        billing.plan_task(client, clock, own.poll_interval, unreadable),
        billing.invoices_task(client, clock, own.zone(), interval),
        keys.task(client, clock, interval, unreadable),
    )


def check(opened: OpenSource) -> CheckReport:
    """Request each endpoint once, and report missing sections and invalid values."""
    own = opened.settings[AioneSettings]
    row, response = request_row(
        dashboard.ENDPOINT, lambda: dashboard.fetch(opened.client, own.range_days)
    )
    notes: list[str] = []
    if response is not None:
        sections = {"tech": response.tech, "business": response.business}
        notes += [f"the section {name} is not there" for name in sections if not sections[name]]
        unreadable = dict.fromkeys(Dashboard(response, own.zone()).unreadable())
        notes += [f"{field}: makes no sense, and is absent" for field in unreadable]
    rows = [row]
    for endpoint, fetch in (
        (billing.PLAN, billing.fetch_plan),
        (billing.INVOICES, billing.fetch_invoices),
        (keys.ENDPOINT, keys.fetch),
    ):
        other, found = request_row(endpoint, partial(fetch, opened.client))
        rows.append(other)
        if isinstance(found, billing.Plan):
            fields = found.unreadable()
            notes += [f"plan.{each}: is no amount that is known to be RMB" for each in fields]
    return report(rows, notes)


def demo(url: str, key: str) -> Fields:
    """Settings for the simulated gateway in place of a real one; its days are UTC days."""
    fields = {"api_url": url, "ca_file": None, "token": key, "token_file": None, "timezone": "UTC"}
    return {AioneSettings: fields}


SOURCE = Source(
    name=NAME,
    sections=(AioneSettings,),
    enabled_by="AIONE_API_URL with AIONE_TOKEN or AIONE_TOKEN_FILE",
    metrics=(
        *metrics.METRICS,
        *billing.PLAN_METRICS,
        *billing.INVOICE_METRICS,
        *keys.METRICS,
    ),
    endpoints=(dashboard.ENDPOINT, billing.PLAN, billing.INVOICES, keys.ENDPOINT),
    open_client=open_client,
    tasks=tasks,
    check=check,
    demo=demo,
)
