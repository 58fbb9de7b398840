"""The AIone gateway for models of several vendors: one endpoint, one task."""

from exporter.accounting import Limits
from exporter.config.settings import Settings
from exporter.http import Client
from exporter.sources.aione import dashboard, metrics
from exporter.sources.aione.samples import Figures
from exporter.sources.aione.settings import AioneSettings
from exporter.sources.connection import Connection, Fields, Report, Source, Surroundings
from exporter.sources.report import ask_for_row, report

NAME = "aione"
LIMITS = Limits(requests_per_second=5, concurrency=1)


def open_client(settings: AioneSettings, surroundings: Surroundings) -> Client | None:
    """The client with the settings' token; None if the source is not turned on."""
    key = settings.key()
    if key is None or settings.api_url is None:
        return None
    return surroundings.client(NAME, settings.api_url, key, limits=LIMITS, ca_file=settings.ca_file)


def connect(settings: Settings, surroundings: Surroundings) -> Connection | None:
    """Open the source; None if it is not turned on."""
    own = settings[AioneSettings]
    client = open_client(own, surroundings)
    if client is None:
        return None
    seen = dashboard.Dashboard(
        client, surroundings.timing.clock, range_days=own.range_days, zone=own.zone()
    )
    return Connection(NAME, client, (seen.task(own.poll_interval),))


def check(settings: Settings, surroundings: Surroundings) -> Report | None:
    """Ask the endpoint once, and tell what its answer leaves out; None if it is not turned on."""
    own = settings[AioneSettings]
    client = open_client(own, surroundings)
    if client is None:
        return None
    row, answer = ask_for_row(
        dashboard.ENDPOINT, "AIone's figures", lambda: dashboard.ask(client, own.range_days)
    )
    client.close()
    notes: list[str] = []
    if answer is not None:
        sections = {"tech": answer.tech, "business": answer.business}
        notes += [f"the section {name} is not there" for name in sections if not sections[name]]
        unreadable = dict.fromkeys(Figures(answer, own.zone()).unreadable())
        notes += [f"{field}: makes no sense, and is absent" for field in unreadable]
    return report([row], notes)


def demo(url: str, key: str) -> Fields:
    """The simulated gateway in place of a real one; its days are UTC's."""
    fields = {"api_url": url, "ca_file": None, "token": key, "token_file": None, "timezone": "UTC"}
    return {AioneSettings: fields}


SOURCE = Source(
    name=NAME,
    sections=(AioneSettings,),
    wanted="AIONE_API_URL with AIONE_TOKEN or AIONE_TOKEN_FILE",
    metrics=metrics.METRICS,
    connect=connect,
    check=check,
    demo=demo,
)
