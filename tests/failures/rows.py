"""What can break, and what the exporter then shows: the rows of docs/reference/failures.md."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from enum import StrEnum
from ssl import SSLContext

from exporter.demo.endpoints import GATEWAY, V2, V3
from tests.failures.rig import NOW
from tests.support.faulty_server import (
    ELSEWHERE,
    Behaviour,
    Certificates,
    Exchange,
    Front,
    JsonObject,
    a_gigabyte,
    bomb,
    byte_by_byte,
    changed,
    cut_off,
    endless,
    half,
    half_open,
    repeat,
    reset,
    second_page_fails,
    status,
)
from tests.support.rig import PAYLOADS

CONSUMPTION = "/v3/enterprise/consumption/daily"
USERS = "/v3/enterprise/members/users"
FAST = 10.0
"""How fast time passes where a request is to run out of it."""

RESET = "the response broke off"
"""What follows is the system's word for it, which not every version of Python hands on."""

QUEUE = "/v3/enterprise/queue"
MAIN = {
    V3: (CONSUMPTION, "enterprise_consumption"),
    V2: ("/v2/enterprise/metrics/usage", "devin_v2_usage"),
    GATEWAY: ("/api/v1/obs/dashboard", "aione_dashboard"),
}
"""The main endpoint of each source, and its task."""

Breaks = Callable[[Front, Sequence[str]], None]
"""Has something happen at the server of these sources."""

BAD_KEY = (PAYLOADS / "devin" / "keys" / "variants" / "error_403_bad_key.json").read_bytes()
HTML = b"<html><body>Bad gateway</body></html>"


Victims = tuple[tuple[str, ...], ...]
EACH: Victims = ((V3,), (V2,), (GATEWAY,))
EACH_HOST: Victims = ((V3, V2), (GATEWAY,))
HOST_OF_DEVIN: Victims = ((V3, V2),)
ONLY_V3: Victims = ((V3,),)


class Series(StrEnum):
    """What becomes of the series of the tasks that fail; those of all others stay."""

    AGE = "last good values, until they are too old; then absent"
    NEVER = "absent until the first good answer"
    KEPT = "unchanged"
    ENTITY = "the others' are unchanged; that one's as above"
    ROW = "the others' are unchanged; that one's too, until too old; its count is absent"
    WINDOWS = "of windows that have ended: absent at that second; else last good values, as above"
    ANEW = "absent until polled anew, at once"
    OFF = "as above; the task is off, and tried again in a day"
    NOBODY = "none: the exporter does not start"


class Alert(StrEnum):
    """The alerts that tell of it, where it lasts."""

    FAILING = "DevinTaskFailing"
    REFUSED = "DevinKeyRefused"
    MISSING = "DevinEntitiesMissing"
    ROWS = "DevinUnreadableRows"
    DOWN = "DevinExporterDown"


LASTING = (Alert.FAILING, Alert.MISSING)
REFUSED = (Alert.REFUSED, Alert.FAILING, Alert.MISSING)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One thing that breaks.

    Attributes:
        victims: the sources that it is tried with, one group after the other.
        up: `task_up` of the tasks that it breaks; None where it is not published.
        reason: of `task_failures_total`; None where nothing is counted.
        ready: the status of `/-/ready` meanwhile; None where nobody answers.
        log: what a line of the log holds; empty where there is none.
        alerts: what fires where it lasts.
        lasts: for how many minutes, where it does not last.
    """

    name: str
    victims: Victims
    series: Series = Series.AGE
    up: int | None = 0
    reason: str | None
    ready: int | None = 200
    log: str
    alerts: tuple[Alert, ...] = LASTING
    lasts: int | None = None

    @property
    def slug(self) -> str:
        """The name as an identifier, which is that of its test."""
        return "".join(c if c.isalnum() else "_" for c in self.name.lower())


@dataclass(frozen=True, kw_only=True)
class OneEndpoint(Row):
    """One endpoint misbehaves.

    Attributes:
        victims: the sources at whose main endpoint it is tried.
        elsewhere: another endpoint of v3 and its task, where the main one will not do.
        speed: how fast time passes for timeouts.
    """

    behaviour: Behaviour
    victims: Victims = EACH
    elsewhere: tuple[str, str] | None = None
    speed: float = 1.0

    def where(self, source: str) -> tuple[str, str]:
        """Path and task."""
        return self.elsewhere or MAIN[source]


@dataclass(frozen=True, kw_only=True)
class WholeApi(Row):
    """Nothing of an API, or of the host of two, answers as it should.

    Attributes:
        breaks: has it happen at the server of these sources.
        from_the_start: whether it has never been otherwise.
    """

    breaks: Breaks
    victims: Victims = EACH_HOST
    from_the_start: bool = False


PATHS = {V3: "/v3*", V2: "/v2*", GATEWAY: "/api*"}


def _everywhere(behaviour: Behaviour) -> Breaks:
    return lambda server, sources: server.misbehave(behaviour, *(PATHS[s] for s in sources))


def _showing(certificate: Callable[[Certificates], SSLContext]) -> Breaks:
    return lambda server, _: server.show(certificate(server.certificates))


def _first_day(acus: object) -> Behaviour:
    def change(answer: JsonObject) -> JsonObject:
        days = answer["consumption_by_date"]
        assert isinstance(days, list)
        return {**answer, "consumption_by_date": [{**days[0], "acus": acus}, *days[1:]]}

    return changed(change)


def _numbers() -> Iterator[OneEndpoint]:
    for name, acus in (
        ("a number as a string", "12.5"),
        ("a number that is NaN", float("nan")),
        ("a number that is infinite", float("inf")),
        ("an absurd number", 1e300),
    ):
        yield OneEndpoint(
            name=name,
            behaviour=_first_day(acus),
            reason="shape",
            log=f"{CONSUMPTION}: consumption_by_date.[].acus",
            victims=ONLY_V3,
        )


def _rate_limits() -> Iterator[OneEndpoint]:
    waits: dict[str, dict[str, str]] = {
        "seconds": {"Retry_After": "7"},
        "a date": {"Retry_After": formatdate(NOW + 7, usegmt=True)},
        "nothing": {},
    }
    for what, headers in waits.items():
        yield OneEndpoint(
            name=f"429 with {what} to wait",
            behaviour=status(429, b"", **headers),
            reason="rate_limited",
            log="answered 429",
        )


def _server_errors() -> Iterator[OneEndpoint]:
    for code in (500, 502, 503):
        yield OneEndpoint(
            name=str(code), behaviour=status(code), reason="server_error", log=f"answered {code}"
        )


def _redirects() -> Iterator[OneEndpoint]:
    places: dict[str, Callable[[Exchange], str]] = {
        "in a loop": lambda exchange: exchange.target,
        "to another host": lambda exchange: exchange.neighbour + ELSEWHERE,
        "to http": lambda exchange: exchange.neighbour.replace("https", "http") + ELSEWHERE,
    }
    for where, place in places.items():

        def behave(exchange: Exchange, place: Callable[[Exchange], str] = place) -> None:
            exchange.answer(302, Location=place(exchange))

        yield OneEndpoint(
            name=f"a redirect {where}", behaviour=behave, reason="redirect", log="answered 302"
        )


ONE_ENDPOINT: tuple[OneEndpoint, ...] = (
    OneEndpoint(
        name="403 on one endpoint, then granted",
        behaviour=status(403),
        reason="forbidden",
        log="answered 403",
    ),
    OneEndpoint(
        name="403 with HTML, as firewalls send it",
        behaviour=status(403, HTML, Content_Type="text/html"),
        reason="intercepted",
        log="sent by something between the exporter and the API (text/html)",
    ),
    OneEndpoint(
        name="401 with HTML, as proxies send it",
        behaviour=status(401, HTML, Content_Type="text/html"),
        reason="intercepted",
        log="sent by something between the exporter and the API (text/html)",
    ),
    OneEndpoint(
        name="404 on one endpoint",
        behaviour=status(404),
        reason="not_found",
        log="answered 404",
        victims=((V3,), (GATEWAY,)),
    ),
    OneEndpoint(name="422", behaviour=status(422), reason="bad_request", log="answered 422"),
    *_rate_limits(),
    *_server_errors(),
    OneEndpoint(
        name="504 with HTML",
        behaviour=status(504, HTML, Content_Type="text/html"),
        reason="server_error",
        log="answered 504",
    ),
    OneEndpoint(
        name="200 with HTML",
        behaviour=status(200, HTML, Content_Type="text/html"),
        reason="not_json",
        log="answered with something else than JSON",
    ),
    OneEndpoint(
        name="200 with an empty body",
        behaviour=status(200),
        reason="not_json",
        log="answered with something else than JSON",
    ),
    OneEndpoint(
        name="JSON that is cut off",
        behaviour=half,
        reason="not_json",
        log="answered with something else than JSON",
    ),
    OneEndpoint(
        name="valid JSON of another shape",
        behaviour=status(200, json.dumps({"items": "none"}).encode()),
        reason="shape",
        log="Field required",
        victims=((V3,), (V2,)),
    ),
    *_numbers(),
    OneEndpoint(
        name="a negative count",
        behaviour=changed(lambda answer: {**answer, "queue_size": -1}),
        elsewhere=(QUEUE, "queue"),
        reason="shape",
        log=f"{QUEUE}: ",
        victims=ONLY_V3,
    ),
    OneEndpoint(
        name="a list that never ends",
        behaviour=changed(endless),
        elsewhere=(USERS, "users"),
        reason="paging",
        log=f"{USERS} promises a next page but its cursor repeats",
        victims=ONLY_V3,
    ),
    OneEndpoint(
        name="a page that fails in the middle of a list",
        behaviour=second_page_fails,
        elsewhere=(USERS, "users"),
        reason="server_error",
        log=f"{USERS} answered 500",
        victims=ONLY_V3,
    ),
    OneEndpoint(
        name="a body of 1 GB",
        behaviour=a_gigabyte,
        reason="too_large",
        log="answered with more than 32 MiB",
    ),
    OneEndpoint(
        name="a gzip bomb",
        behaviour=bomb,
        reason="too_large",
        log="answered with more than 32 MiB",
    ),
    OneEndpoint(
        name="a byte a second",
        behaviour=byte_by_byte(1 / FAST),
        reason="timeout",
        log="did not answer in time",
        speed=FAST,
    ),
    OneEndpoint(
        name="a connection that is cut off",
        behaviour=cut_off,
        reason="connection",
        log="the response broke off or is no HTTP",
    ),
    OneEndpoint(
        name="an answer that is no HTTP and repeats the request",
        behaviour=repeat,
        reason="connection",
        log="the response broke off or is no HTTP",
    ),
    OneEndpoint(
        name="a connection that is reset",
        behaviour=reset,
        reason="connection",
        log=RESET,
    ),
    OneEndpoint(
        name="a connection that is half open",
        behaviour=half_open,
        reason="timeout",
        log="did not answer in time",
        speed=FAST,
    ),
    *_redirects(),
)


def _bad_certificates() -> Iterator[WholeApi]:
    shown: dict[str, tuple[Callable[[Certificates], SSLContext], str]] = {
        "has expired": (lambda known: known.expired, "certificate has expired"),
        "is self-signed": (lambda known: known.self_signed, "self-signed certificate"),
        "is of an unknown authority": (
            lambda known: known.of_an_unknown_authority,
            "unable to get local issuer certificate",
        ),
        "is of another name": (lambda known: known.of_another_name, "Hostname mismatch"),
    }
    for what, (certificate, log) in shown.items():
        yield WholeApi(
            name=f"a TLS certificate that {what}",
            breaks=_showing(certificate),
            from_the_start=True,
            series=Series.NEVER,
            reason="connection",
            ready=503,
            log=log,
            alerts=(Alert.FAILING,),
        )


WHOLE_API: tuple[WholeApi, ...] = (
    WholeApi(
        name="401 from the start",
        breaks=_everywhere(status(401)),
        victims=EACH,
        from_the_start=True,
        series=Series.NEVER,
        reason="unauthorized",
        ready=503,
        log="the API refuses the key (401)",
        alerts=(Alert.REFUSED, Alert.FAILING),
    ),
    WholeApi(
        name="401 in the middle: a key that is revoked",
        breaks=_everywhere(status(401)),
        victims=EACH,
        reason="unauthorized",
        ready=503,
        log="the API refuses the key (401)",
        alerts=REFUSED,
    ),
    WholeApi(
        name="403 from the start: a key that is wrong",
        breaks=_everywhere(status(403, BAD_KEY)),
        victims=ONLY_V3,
        from_the_start=True,
        series=Series.NEVER,
        reason="unauthorized",
        ready=503,
        log="the API refuses the key (403)",
        alerts=(Alert.REFUSED, Alert.FAILING),
    ),
    WholeApi(
        name="403 in the middle: a key that is revoked",
        breaks=_everywhere(status(403, BAD_KEY)),
        victims=ONLY_V3,
        reason="unauthorized",
        ready=503,
        log="the API refuses the key (403)",
        alerts=REFUSED,
    ),
    WholeApi(
        name="connections are refused",
        breaks=lambda server, _: server.refuse(),
        reason="connection",
        log="Connection refused",
    ),
    WholeApi(
        name="connections are reset",
        breaks=_everywhere(reset),
        reason="connection",
        log=RESET,
    ),
    WholeApi(
        name="a TLS certificate that expires",
        breaks=_showing(lambda known: known.expired),
        reason="connection",
        log="certificate has expired",
    ),
    *_bad_certificates(),
)

OF_ITS_OWN: tuple[Row, ...] = (
    Row(
        name="DNS that fails",
        victims=HOST_OF_DEVIN,
        series=Series.NEVER,
        reason="connection",
        ready=503,
        log="[Errno -2] Name ",
        alerts=(Alert.FAILING,),
    ),
    Row(
        name="a proxy that is down",
        victims=HOST_OF_DEVIN,
        series=Series.NEVER,
        reason="connection",
        ready=503,
        log="Connection refused",
        alerts=(Alert.FAILING,),
    ),
    Row(
        name="429 for ten minutes",
        victims=ONLY_V3,
        reason="rate_limited",
        log="answered 429",
        alerts=(),
        lasts=10,
    ),
    Row(
        name="the API is down for an hour, then back",
        victims=HOST_OF_DEVIN,
        reason="connection",
        log="Connection refused",
        alerts=(Alert.FAILING,),
        lasts=60,
    ),
    Row(
        name="the API is down across 00:00 UTC",
        victims=HOST_OF_DEVIN,
        series=Series.WINDOWS,
        reason="connection",
        log="Connection refused",
    ),
    Row(
        name="the API is down across 08:00 UTC",
        victims=HOST_OF_DEVIN,
        series=Series.WINDOWS,
        reason="connection",
        log="Connection refused",
    ),
    Row(
        name="the API is down across the end of a cycle",
        victims=HOST_OF_DEVIN,
        series=Series.WINDOWS,
        reason="connection",
        log="Connection refused",
    ),
    Row(
        name="404 of the whole v2 API: it is gone",
        victims=((V2,),),
        series=Series.OFF,
        up=None,
        reason=None,
        log="task is off: ",
        alerts=(),
    ),
    Row(
        name="one user whose endpoint always fails",
        victims=ONLY_V3,
        series=Series.ENTITY,
        reason="server_error",
        log="1 of 5 failed (server_error 1)",
    ),
    Row(
        name="an organization that cannot be read",
        victims=ONLY_V3,
        series=Series.ROW,
        up=1,
        reason=None,
        log="rows that cannot be read are left out: 1",
        alerts=(Alert.ROWS,),
    ),
    Row(
        name="a list of members that is empty for one poll",
        victims=ONLY_V3,
        series=Series.KEPT,
        up=1,
        reason=None,
        log="",
        alerts=(),
    ),
    Row(
        name="a list of cycles that is empty for one poll",
        victims=ONLY_V3,
        series=Series.KEPT,
        up=1,
        reason=None,
        log="",
        alerts=(),
    ),
    Row(
        name="a poll that takes longer than its interval",
        victims=ONLY_V3,
        series=Series.KEPT,
        up=1,
        reason=None,
        log="",
        alerts=(),
    ),
    Row(
        name="the clock of the machine is set forward by an hour",
        victims=((V3, V2, GATEWAY),),
        series=Series.ANEW,
        up=1,
        reason=None,
        log="the clock was set by +3600 s",
        alerts=(),
    ),
    Row(
        name="the clock of the machine is set back by an hour",
        victims=((V3, V2, GATEWAY),),
        series=Series.ANEW,
        up=1,
        reason=None,
        log="the clock was set by -3600 s",
        alerts=(),
    ),
    Row(
        name="the file of a key is rewritten",
        victims=ONLY_V3,
        series=Series.KEPT,
        up=1,
        reason=None,
        log="",
        alerts=(),
    ),
    Row(
        name="the file of a key is emptied",
        victims=ONLY_V3,
        reason="credential",
        log="the key's file is empty",
        alerts=REFUSED,
    ),
    Row(
        name="the file of a key is deleted",
        victims=ONLY_V3,
        reason="credential",
        log="the key's file cannot be read: No such file or directory",
        alerts=REFUSED,
    ),
    Row(
        name="the file of a key is unreadable",
        victims=ONLY_V3,
        reason="credential",
        log="the key's file cannot be read: Permission denied",
        alerts=REFUSED,
    ),
    Row(
        name="connections that stay silent",
        victims=(),
        series=Series.KEPT,
        up=1,
        reason=None,
        log="",
        alerts=(),
    ),
    Row(
        name="responses that nobody reads",
        victims=(),
        series=Series.KEPT,
        up=1,
        reason=None,
        log="",
        alerts=(),
    ),
    Row(
        name="names that break the lines of strict readers",
        victims=(),
        series=Series.KEPT,
        up=1,
        reason=None,
        log="",
        alerts=(),
    ),
    Row(
        name="names longer than a scrape allows",
        victims=(),
        series=Series.KEPT,
        up=1,
        reason=None,
        log="",
        alerts=(),
    ),
    Row(
        name="the file of a key becomes a pipe",
        victims=ONLY_V3,
        reason="credential",
        log="the key's file is a pipe",
        alerts=REFUSED,
    ),
    Row(
        name="standard output and standard error are full",
        victims=(),
        series=Series.KEPT,
        up=1,
        reason=None,
        log="",
        alerts=(),
    ),
    Row(
        name="the authorities that the environment names are missing",
        victims=(),
        series=Series.NOBODY,
        up=None,
        reason=None,
        ready=None,
        log="SSL_CERT_FILE: wants a readable PEM file of certificates",
        alerts=(Alert.DOWN,),
    ),
    Row(
        name="the port is taken",
        victims=(),
        series=Series.NOBODY,
        up=None,
        reason=None,
        ready=None,
        log="Address already in use",
        alerts=(Alert.DOWN,),
    ),
)

ROWS: tuple[Row, ...] = (*WHOLE_API, *ONE_ENDPOINT, *OF_ITS_OWN)
BY_SLUG = {row.slug: row for row in ROWS}
