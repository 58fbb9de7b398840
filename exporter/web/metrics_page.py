"""The metrics page as an ASGI application, which sends bytes that it has sent before."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from prometheus_client import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from starlette.types import Receive, Scope, Send

from exporter.exposition.instruments import OwnRegistry
from exporter.exposition.page import SMALL_BYTES, Page, Part
from exporter.scheduling.store import Store
from exporter.web.negotiation import Form, accepts_gzip, form_for

SENT_AT_ONCE_BYTES = 2**19
"""A slow reader holds so much in memory; smaller pieces take more system calls."""
PROCESS_SECONDS = 1.0
"""How long the lines of the process itself, which change all the time, are sent again."""
REMEMBERED = 64
NOTHING = memoryview(b"")


@dataclass(frozen=True, slots=True)
class _Variant:
    """A form and an encoding of the page."""

    form: Form
    gzip: bool


@dataclass(frozen=True, slots=True)
class _Content:
    """What a response is made of."""

    page: Page
    own: tuple[Part, ...]
    process: bytes

    def is_of(self, other: "_Content") -> bool:
        """Whether nothing has been replaced."""
        return (
            self.page is other.page
            and self.process is other.process
            and len(self.own) == len(other.own)
            and all(mine is theirs for mine, theirs in zip(self.own, other.own, strict=True))
        )


@dataclass(frozen=True, slots=True)
class _Response:
    """A response that is ready to be sent."""

    content: _Content
    headers: tuple[tuple[bytes, bytes], ...]
    pieces: tuple[memoryview, ...]


@dataclass(frozen=True, slots=True)
class _Lines:
    """The lines of the process, and when they were rendered."""

    text: bytes
    at: float


class MetricsPage:
    """Sends the page in the form that a client prefers.

    Args:
        registry: the exporter's own metrics.
        refresh: rebuilds the page; called when the page has expired.
        clock: Unix seconds.
    """

    def __init__(
        self,
        *,
        store: Store,
        registry: OwnRegistry,
        refresh: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._registry = registry
        self._refresh = refresh
        self._clock = clock
        self._variant = lru_cache(REMEMBERED)(_preferred)
        self._responses: dict[_Variant, _Response] = {}
        self._process: dict[bool, _Lines] = {}

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        """Send the headers and the body.

        A piece is sent once the one before was read, so a slow reader holds at most one piece in
        memory, not a copy of a large body.
        """
        if self._clock() >= self._store.page.valid_until:
            await asyncio.to_thread(self._refresh)
        accept = tuple(value for name, value in scope["headers"] if name == b"accept")
        encoding = tuple(value for name, value in scope["headers"] if name == b"accept-encoding")
        response = self._response(self._variant(accept, encoding))
        headers = list(response.headers)
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        last = len(response.pieces) - 1
        for number, piece in enumerate(response.pieces):
            more = number < last
            await send({"type": "http.response.body", "body": piece, "more_body": more})

    def _response(self, variant: _Variant) -> _Response:
        """The response that was sent before, while nothing of it has changed."""
        openmetrics = variant.form.openmetrics
        # The page is taken first: what it shows as done has been counted before.
        page = self._store.page
        own = tuple(self._registry.parts(openmetrics=openmetrics))
        content = _Content(page, own, self._process_lines(openmetrics=openmetrics))
        before = self._responses.get(variant)
        if before is not None and before.content.is_of(content):
            return before
        # Those of an older page would keep it in memory.
        self._responses = {
            other: response
            for other, response in self._responses.items()
            if response.content.page is content.page
        }
        response = self._responses[variant] = _response(content, variant)
        return response

    def _process_lines(self, *, openmetrics: bool) -> bytes:
        lines = self._process.get(openmetrics)
        now = self._clock()
        if lines is None or not 0 <= now - lines.at < PROCESS_SECONDS:
            generate = generate_openmetrics if openmetrics else generate_latest
            lines = self._process[openmetrics] = _Lines(generate(self._registry.others), now)
        return lines.text


def _preferred(accept: tuple[bytes, ...], accept_encoding: tuple[bytes, ...]) -> _Variant:
    return _Variant(form_for(_texts(accept)), accepts_gzip(_texts(accept_encoding)))


def _texts(values: tuple[bytes, ...]) -> list[str]:
    return [value.decode("latin-1") for value in values]


def _response(content: _Content, variant: _Variant) -> _Response:
    page = content.page
    make = page.gzipped if variant.gzip else page.plain
    parts = make(content.own, content.process)
    headers = {
        "content-type": variant.form.content_type,
        "vary": "Accept, Accept-Encoding",
        "content-length": str(sum(map(len, parts))),
    }
    if variant.gzip:
        headers["content-encoding"] = "gzip"
    raw = tuple((name.encode(), value.encode()) for name, value in headers.items())
    return _Response(content, raw, tuple(_pieces(parts)) or (NOTHING,))


def _pieces(parts: Iterable[bytes]) -> Sequence[memoryview]:
    """The parts in pieces; a small one joins the one before, as each takes a system call."""
    pieces: list[memoryview] = []
    for part in parts:
        whole = memoryview(part)
        for start in range(0, len(part), SENT_AT_ONCE_BYTES):
            piece = whole[start : start + SENT_AT_ONCE_BYTES]
            if pieces and min(len(pieces[-1]), len(piece)) < SMALL_BYTES:
                pieces[-1] = memoryview(b"".join((pieces[-1], piece)))
            else:
                pieces.append(piece)
    return pieces
