"""The headers of those who scrape and look at metrics, as their sources have them."""

from dataclasses import dataclass
from enum import Enum

TEXT = "text/plain; version=0.0.4; charset=utf-8"


class Reads(Enum):
    """What a client can make sense of."""

    TEXT = frozenset({"text/plain"})
    OPENMETRICS = frozenset({"application/openmetrics-text"})
    BOTH = frozenset({"text/plain", "application/openmetrics-text"})


@dataclass(frozen=True, kw_only=True)
class Scraper:
    """A client and its headers.

    Attributes:
        accept: the lines of `Accept`.
        encoding: the lines of `Accept-Encoding`.
        gets: the content type that it likes best of what the exporter has.
        gzip: whether it is to get gzip.
    """

    name: str
    accept: tuple[str, ...]
    encoding: tuple[str, ...] = ("gzip",)
    reads: Reads = Reads.TEXT
    gets: str = TEXT
    gzip: bool = True

    @property
    def headers(self) -> list[tuple[str, str]]:
        """All lines."""
        lines = [("Accept", line) for line in self.accept]
        return lines + [("Accept-Encoding", line) for line in self.encoding]


OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
FIRST_OPENMETRICS = "application/openmetrics-text; version=0.0.1; charset=utf-8"

PROTOBUF = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
)


def prometheus(name: str, *protocols: str, gets: str, last: float) -> Scraper:
    """A Prometheus that weighs its protocols from 0.5 or 0.6 down, and takes anything at last."""
    weights = [round(last + 0.1 * (len(protocols) - place), 1) for place in range(len(protocols))]
    parts = [f"{each};q={weight}" for each, weight in zip(protocols, weights, strict=True)]
    accept = ",".join([*parts, f"*/*;q={last}"])
    return Scraper(name=name, accept=(accept,), reads=Reads.BOTH, gets=gets)


OM_1, OM_0 = (f"application/openmetrics-text;version={version}" for version in ("1.0.0", "0.0.1"))
TEXT_1, TEXT_0 = (f"text/plain;version={version}" for version in ("1.0.0", "0.0.4"))
UTF_8 = ";escaping=allow-utf-8"
UNDERSCORES = ";escaping=underscores"

PROMETHEUS = (
    Scraper(
        name="Prometheus 0.15",
        accept=(
            (
                f"{PROTOBUF};q=0.7,{TEXT_0};q=0.3,"
                'application/json;schema="prometheus/telemetry";version=0.0.2;q=0.2,*/*;q=0.1'
            ),
        ),
    ),
    Scraper(
        name="Prometheus 1.8",
        accept=(f"{PROTOBUF};q=0.7,text/plain;version=0.0.4;q=0.3,*/*;q=0.1",),
    ),
    Scraper(
        name="Prometheus 2.0, vmagent, Netdata, New Relic", accept=(f"{TEXT_0};q=1,*/*;q=0.1",)
    ),
    Scraper(
        name="Prometheus 2.5",
        accept=(
            "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
        ),
        reads=Reads.BOTH,
        gets=FIRST_OPENMETRICS,
    ),
    Scraper(
        name="Prometheus 2.42, Datadog Agent 7.46",
        accept=(f"{OM_1},{OM_0};q=0.75,{TEXT_0};q=0.5,*/*;q=0.1",),
        reads=Reads.BOTH,
        gets=OPENMETRICS,
    ),
    Scraper(
        name="Prometheus 2.42 with native histograms",
        accept=(f"{PROTOBUF},{OM_1};q=0.8,{OM_0};q=0.75,{TEXT_0};q=0.5,*/*;q=0.1",),
        reads=Reads.BOTH,
        gets=OPENMETRICS,
    ),
    prometheus("Prometheus 2.53", OM_1, OM_0, TEXT_0, gets=OPENMETRICS, last=0.2),
    prometheus("Prometheus 2.53, text only", TEXT_0, gets=TEXT, last=0.4),
    prometheus("Prometheus 2.53, text first", TEXT_0, OM_1, OM_0, gets=TEXT, last=0.2),
    prometheus(
        "Prometheus 2.53, protobuf first", PROTOBUF, OM_1, OM_0, TEXT_0, gets=OPENMETRICS, last=0.1
    ),
    prometheus(
        "Prometheus 2.55 with UTF-8 names",
        f"{OM_1}{UTF_8}",
        f"{OM_0}{UTF_8}",
        f"{TEXT_0}{UTF_8}",
        gets=OPENMETRICS,
        last=0.2,
    ),
    prometheus(
        "Prometheus 3.0",
        f"{OM_1}{UTF_8}",
        f"{OM_0}{UTF_8}",
        f"{TEXT_1}{UTF_8}{UTF_8}",
        f"{TEXT_0}{UTF_8}",
        gets=OPENMETRICS,
        last=0.2,
    ),
    prometheus(
        "Prometheus 3.5",
        f"{OM_1}{UTF_8}",
        OM_0,
        f"{TEXT_1}{UTF_8}",
        TEXT_0,
        gets=OPENMETRICS,
        last=0.2,
    ),
    prometheus(
        "Prometheus 3.5 with underscores for what is not ASCII",
        f"{OM_1}{UNDERSCORES}",
        OM_0,
        f"{TEXT_1}{UNDERSCORES}",
        TEXT_0,
        gets=OPENMETRICS,
        last=0.2,
    ),
    prometheus(
        "Prometheus 3.5, protobuf first",
        PROTOBUF,
        f"{OM_1}{UTF_8}",
        OM_0,
        f"{TEXT_1}{UTF_8}",
        TEXT_0,
        gets=OPENMETRICS,
        last=0.1,
    ),
    prometheus("Prometheus 3.5, protobuf only", PROTOBUF, gets=TEXT, last=0.5),
    prometheus(
        "Prometheus 3.5, OpenMetrics 1.0.0 only", f"{OM_1}{UTF_8}", gets=OPENMETRICS, last=0.5
    ),
    prometheus("Prometheus 3.5, OpenMetrics 0.0.1 only", OM_0, gets=FIRST_OPENMETRICS, last=0.5),
    prometheus("Prometheus 3.5, text 1.0.0 only", f"{TEXT_1}{UTF_8}", gets=TEXT, last=0.5),
    prometheus("Prometheus 3.5, text 0.0.4 only", TEXT_0, gets=TEXT, last=0.5),
    prometheus(
        "OpenTelemetry collector, Grafana Alloy",
        OM_1,
        OM_0,
        f"{TEXT_1}{UTF_8}",
        TEXT_0,
        gets=OPENMETRICS,
        last=0.2,
    ),
    Scraper(
        name="Prometheus without compression",
        accept=(f"{OM_1};q=0.5,{OM_0};q=0.4,{TEXT_0};q=0.3,*/*;q=0.2",),
        encoding=("identity",),
        reads=Reads.BOTH,
        gets=OPENMETRICS,
        gzip=False,
    ),
)

AGENTS = (
    Scraper(
        name="Datadog Agent",
        accept=("text/plain",),
        encoding=("gzip, deflate",),
        reads=Reads.BOTH,
    ),
    Scraper(name="Datadog Agent, older checks", accept=(PROTOBUF.replace(";", "; "),)),
    Scraper(
        name="Datadog Agent with use_latest_spec",
        accept=(f"{OM_1},{OM_0}",),
        encoding=("gzip, deflate",),
        reads=Reads.OPENMETRICS,
        gets=OPENMETRICS,
    ),
    Scraper(
        name="Telegraf",
        accept=(f"{PROTOBUF};q=0.7,text/plain;version=0.0.4;q=0.3",),
    ),
    Scraper(
        name="prom2json",
        accept=(f"{PROTOBUF}{UTF_8};q=0.7,{TEXT_1}{UTF_8};q=0.2,{TEXT_0}{UTF_8};q=0.1",),
    ),
    Scraper(
        name="Metricbeat",
        accept=("text/plain;version=0.0.4;q=0.5,*/*;q=0.1",),
    ),
    Scraper(
        name="Metricbeat, module openmetrics",
        accept=("application/openmetrics-text; version=1.0.0; charset=utf-8,text/plain",),
        reads=Reads.BOTH,
        gets=OPENMETRICS,
    ),
    Scraper(
        name="Vector",
        accept=("text/plain",),
        encoding=(),
        gzip=False,
    ),
    Scraper(
        name="Fluent Bit",
        accept=(),
        encoding=(),
        gzip=False,
    ),
    Scraper(
        name="Zabbix",
        accept=("*/*",),
        encoding=("deflate, gzip",),
    ),
    Scraper(
        name="what asks for OpenMetrics alone, without a version",
        accept=("application/openmetrics-text;charset=utf-8",),
        encoding=("gzip, deflate",),
        reads=Reads.OPENMETRICS,
        gets=OPENMETRICS,
    ),
)

PEOPLE_AND_SCRIPTS = (
    Scraper(
        name="curl",
        accept=("*/*",),
        encoding=(),
        gzip=False,
    ),
    Scraper(
        name="curl --compressed",
        accept=("*/*",),
        encoding=("deflate, gzip, br, zstd",),
    ),
    Scraper(
        name="wget",
        accept=("*/*",),
        encoding=("identity",),
        gzip=False,
    ),
    Scraper(
        name="Go",
        accept=(),
    ),
    Scraper(
        name="Java's HttpURLConnection",
        accept=("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2",),
        encoding=(),
        gzip=False,
    ),
    Scraper(
        name="Java's HttpURLConnection since 21",
        accept=("text/html, image/gif, image/jpeg, */*; q=0.2",),
        encoding=(),
        gzip=False,
    ),
    Scraper(
        name="Firefox",
        accept=("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",),
        encoding=("gzip, deflate, br, zstd",),
    ),
    Scraper(
        name="Chrome",
        accept=(
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,"
                "image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"
            ),
        ),
        encoding=("gzip, deflate, br, zstd",),
    ),
    Scraper(
        name="a proxy that puts each alternative on a line of its own",
        accept=(f"{TEXT_0};q=0.5", f"{OM_1}", "*/*;q=0.1"),
        encoding=("identity;q=0.5", "gzip"),
        reads=Reads.BOTH,
        gets=OPENMETRICS,
    ),
    Scraper(
        name="what understands nothing that the exporter has",
        accept=("application/json",),
        encoding=("br",),
        gzip=False,
    ),
)

SCRAPERS = (*PROMETHEUS, *AGENTS, *PEOPLE_AND_SCRIPTS)
