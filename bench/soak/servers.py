"""The simulated APIs of the soak, behind servers that misbehave as planned, and their one time."""

import gzip
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from functools import cache
from pathlib import Path

import httpx

from bench.soak.faults import AIONE, DEVIN, NOBODY_ONCE, REFUSED, SIZE, Fault, Life
from exporter.demo import DEMO_KEYS
from exporter.demo.api import DemoApi
from exporter.demo.endpoints import DemoKey
from exporter.demo.responses import Responses
from exporter.demo.world import World
from exporter.process import TERMINATION, hold_termination, wait_for_termination
from tests.support.faulty_server import (
    CHUNK,
    Behaviour,
    Certificates,
    Exchange,
    Front,
    JsonObject,
    a_gigabyte,
    byte_by_byte,
    changed,
    cut_off,
    endless,
    forward,
    forwarding,
    half,
    reset,
    second_page_fails,
    status,
)

HTML = b"<!doctype html><html><body><h1>It is not you, it is us</h1></body></html>"
BOMB_BYTES = 1 << 28
RETRY_AFTER_SECONDS = 20
SILENT_FOR = 2.0
"""Seconds of the machine's: longer than any request waits, but connections must not pile up."""


@dataclass(frozen=True)
class FastTime:
    """One time for all processes: `start` (Unix seconds) at `began` on the machine's monotonic."""

    start: float
    began: float
    speed: float

    def now(self) -> float:
        """Unix seconds."""
        return self.start + (time.monotonic() - self.began) * self.speed

    def until(self, moment: float) -> float:
        """The machine's seconds until a moment; 0 if it has passed."""
        return max(0.0, (moment - self.now()) / self.speed)


def serve(clock: FastTime, life: Life, folder: Path) -> None:
    """Print the addresses, and serve and misbehave until a signal comes."""
    hold_termination()
    certificates = Certificates(folder)
    world = World(SIZE, start=clock.start)
    keys = {key: DemoKey(api=api) for api, key in DEMO_KEYS.items()}
    api = DemoApi(Responses(world, clock.now), keys)
    api.start()
    with httpx.Client(base_url=api.url) as client:
        healthy = forwarding(client)
        devin, aione = Front(healthy, certificates), Front(healthy, certificates)
        sys.stdout.write(f"{devin.url} {aione.url} {certificates.authority}\n")
        sys.stdout.flush()
        _misbehave(clock, life, {DEVIN: devin, AIONE: aione})
        devin.stop()
        aione.stop()
    api.stop()


def _misbehave(clock: FastTime, life: Life, fronts: Mapping[str, Front]) -> None:
    begins = [(fault.begins, True, fault) for fault in life.faults]
    ends = [(fault.ends, False, fault) for fault in life.faults]
    for moment, beginning, fault in sorted(begins + ends, key=lambda change: change[0]):
        if signal.sigtimedwait(TERMINATION, clock.until(moment)) is not None:
            return
        if beginning:
            _begin(fault, fronts[fault.host], clock)
        else:
            fronts[fault.host].heal()
    wait_for_termination()


def _begin(fault: Fault, server: Front, clock: FastTime) -> None:
    shown = {
        "expired certificate": server.certificates.expired,
        "self-signed certificate": server.certificates.self_signed,
        "another's certificate": server.certificates.of_another_name,
    }
    if fault.kind == REFUSED:
        server.refuse()
    elif fault.kind in shown:
        server.show(shown[fault.kind])
    else:
        server.misbehave(_behaviour(fault.kind, clock), *fault.where)


def _behaviour(kind: str, clock: FastTime) -> Behaviour:
    match kind:
        case "429 until a date":
            return _until_a_date(clock)
        case "a byte a second":
            return byte_by_byte(1 / clock.speed)
        case "a gzip bomb":
            return status(200, _bomb(), Content_Encoding="gzip")
        case str() if kind == NOBODY_ONCE:
            return _nobody_once()
    return _ALWAYS[kind]


def _until_a_date(clock: FastTime) -> Behaviour:
    def behave(exchange: Exchange) -> None:
        at = formatdate(clock.now() + RETRY_AFTER_SECONDS, usegmt=True)
        exchange.answer(429, Retry_After=at)

    return behave


def _nobody_once() -> Behaviour:
    """A list without anybody, at the first request of each path."""
    expected: set[str] = set()

    def nobody(page: JsonObject) -> JsonObject:
        return {**page, "items": [], "end_cursor": None, "has_next_page": False}

    def behave(exchange: Exchange) -> None:
        path = exchange.target.partition("?")[0]
        first = path not in expected
        expected.add(path)
        (changed(nobody) if first else forward)(exchange)

    return behave


def _silent(exchange: Exchange) -> None:
    """Say nothing for longer than anybody waits."""
    exchange.over = True
    exchange.server_ends.wait(SILENT_FOR)


@cache
def _bomb() -> bytes:
    """A quarter of a gigabyte, packed."""
    return gzip.compress(CHUNK * (BOMB_BYTES // len(CHUNK)), compresslevel=1)


def _every_number(change: Callable[[float], object]) -> Behaviour:
    def walk(expected: object) -> object:
        match expected:
            case bool():
                return expected
            case int() | float():
                return change(expected)
            case list():
                return [walk(item) for item in expected]
            case dict():
                return {name: walk(value) for name, value in expected.items()}
        return expected

    return changed(walk)


_ALWAYS: Mapping[str, Behaviour] = {
    **{str(code): status(code) for code in (401, 403, 404, 422, 429, 500, 502, 503)},
    "429 for seconds": status(429, Retry_After=str(RETRY_AFTER_SECONDS)),
    "504 with HTML": status(504, HTML, Content_Type="text/html"),
    "200 with HTML": status(200, HTML, Content_Type="text/html"),
    "200 with nothing": status(200),
    "half of the JSON": half,
    "cut off": cut_off,
    "another shape": status(200, b'{"data": [1, 2, 3]}'),
    "numbers as text": _every_number(str),
    "NaN": _every_number(lambda _: float("nan")),
    "Infinity": _every_number(lambda _: float("inf")),
    "negative numbers": _every_number(lambda number: -number),
    "a cursor that repeats": changed(endless),
    "a page that fails": second_page_fails,
    "a huge body": a_gigabyte,
    "reset": reset,
    "half-open": _silent,
    "redirect": status(302, Location="https://elsewhere.test/"),
}
