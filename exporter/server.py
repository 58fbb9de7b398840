"""The HTTP endpoints: metrics, a page for people, and the two health checks."""

import asyncio
import re
import socket
import threading
from collections.abc import Callable, Sequence
from html import escape

import uvicorn
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest
from prometheus_client.exposition import choose_encoder, gzip_accepted
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST as OPENMETRICS
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from exporter.store import Store, TaskState

STOP_SECONDS = 2
BACKLOG = 512
_REFUSED = re.compile(r";\s*q\s*=\s*0(\.0*)?\s*(;|$)")


class ListenError(Exception):
    """An address cannot be listened on."""


class Site:
    """What is served.

    Args:
        registry: the exporter's own counters, rendered at each scrape.
        refresh: makes the page anew; called when it no longer holds.
        refused: the sources whose API last answered that it does not accept the key.
        due_in: seconds until a task's next run; None while none is planned.
        clock: Unix seconds.
    """

    def __init__(
        self,
        *,
        store: Store,
        registry: CollectorRegistry,
        refresh: Callable[[], None],
        refused: Callable[[], Sequence[str]],
        due_in: Callable[[str], float | None],
        clock: Callable[[], float],
        telemetry_path: str,
        version: str,
    ) -> None:
        self._store = store
        self._registry = registry
        self._refresh = refresh
        self._refused = refused
        self._due_in = due_in
        self._clock = clock
        self._telemetry_path = telemetry_path
        self._version = version

    def app(self) -> Starlette:
        """The ASGI application; anything else than its paths is 404, other methods are 405."""
        app = Starlette(
            routes=[
                Route(self._telemetry_path, self._metrics),
                Route("/", self._page),
                Route("/-/healthy", self._healthy),
                Route("/-/ready", self._ready),
            ]
        )
        app.router.redirect_slashes = False
        return app

    async def _metrics(self, request: Request) -> Response:
        if self._clock() >= self._store.page.valid_until:
            await asyncio.to_thread(self._refresh)
        page = self._store.page
        if _wants_openmetrics(_without_refused(request.headers.get("Accept", ""))):
            own, content_type = generate_openmetrics(self._registry), OPENMETRICS
        else:
            own, content_type = generate_latest(self._registry), CONTENT_TYPE_PLAIN_0_0_4
        headers = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
        if gzip_accepted(_without_refused(request.headers.get("Accept-Encoding", ""))):
            return Response(page.gzipped(own), headers={**headers, "Content-Encoding": "gzip"})
        return Response(page.plain(own), headers=headers)

    async def _healthy(self, _: Request) -> Response:
        return PlainTextResponse("healthy\n")

    async def _ready(self, _: Request) -> Response:
        if refused := self._refused():
            why = f"the API refuses the key of: {', '.join(refused)}"
        elif awaited := self._store.awaited():
            why = f"no success yet of: {', '.join(awaited)}"
        else:
            return PlainTextResponse("ready\n")
        return PlainTextResponse(f"not ready: {why}\n", status_code=503)

    async def _page(self, _: Request) -> Response:
        now = self._clock()
        rows = "".join(
            _row(state, now, self._due_in(name)) for name, state in self._store.states().items()
        )
        return HTMLResponse(
            _PAGE.format(
                version=escape(self._version), metrics=escape(self._telemetry_path), rows=rows
            )
        )


def _without_refused(header: str) -> str:
    """A header's alternatives without those that have a quality of 0."""
    return ",".join(part for part in header.split(",") if not _REFUSED.search(part))


def _wants_openmetrics(accept: str) -> bool:
    try:
        _, content_type = choose_encoder(accept)
    except (TypeError, ValueError):  # raised for a version that is no number
        return False
    return content_type.startswith("application/openmetrics-text")


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>devin-exporter</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ border-bottom: 1px solid #ccc; padding: .3rem .6rem; text-align: left }}
td.up {{ color: #00598f }} td.down {{ color: #a33c00; font-weight: bold }}
</style></head><body>
<h1>devin-exporter {version}</h1>
<p><a href="{metrics}">Metrics</a> · <a href="/-/ready">Ready</a> ·
<a href="/-/healthy">Healthy</a></p>
<table><thead><tr><th>Task</th><th>State</th><th>Last success</th><th>Took</th><th>Next</th>
<th>Series</th><th>Missing</th><th>Last error</th></tr></thead><tbody>{rows}</tbody></table>
</body></html>
"""


def _row(state: TaskState, now: float, due_in: float | None) -> str:
    outcome = state.outcome
    word = {None: "waiting", True: "up", False: "down"}[state.up]
    if state.task.poll is None:
        word = "derived"
    elif state.switched_off:
        word = "off"
    age = took = error = ""
    due = "" if due_in is None else f"in {max(0.0, due_in):.0f} s"
    if outcome is not None:
        took = f"{outcome.duration:.1f} s"
        if outcome.last_success is not None:
            age = f"{now - outcome.last_success:.0f} s ago"
        error = str(outcome.error or state.unpublishable or "")
    error = state.switched_off or error
    running = " (running)" if state.running_since is not None else ""
    cells = (age, took, due, str(state.rendered.series), str(state.snapshot.missing), error)
    return (
        f'<tr><td>{escape(state.task.name)}</td><td class="{word}">{word}{running}</td>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        + "</tr>"
    )


def listen(addresses: Sequence[tuple[str, int]]) -> list[socket.socket]:
    """Bind and listen on all addresses; an empty host means every interface, v4 and v6.

    Raises:
        ListenError: naming the address and what the system says.
    """
    sockets: list[socket.socket] = []
    for host, port in addresses:
        try:
            sockets.append(_listener(host, port))
        except OSError as failure:
            for opened in sockets:
                opened.close()
            raise ListenError(f"cannot listen on {host or '*'}:{port}: {why(failure)}") from None
    return sockets


def why(failure: OSError) -> str:
    """What the system says, in a few words."""
    return str(failure.strerror or failure).partition(" (while")[0]


def _listener(host: str, port: int) -> socket.socket:
    everywhere = not host and socket.has_dualstack_ipv6()
    opened = socket.create_server(
        (host, port),
        family=socket.AF_INET6 if everywhere or ":" in host else socket.AF_INET,
        dualstack_ipv6=everywhere,
        backlog=BACKLOG,
    )
    # Accepted connections inherit it; without it a body waits 40 ms for the headers' ACK.
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return opened


class WebServer:
    """Serves an ASGI application on listening sockets from a thread of its own."""

    def __init__(self, app: Starlette, sockets: Sequence[socket.socket]) -> None:
        config = uvicorn.Config(
            app,
            http="h11",
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=STOP_SECONDS,
            workers=1,  # else WEB_CONCURRENCY is read, which may be a word
        )
        self._server = uvicorn.Server(config)
        self._sockets = list(sockets)
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    def _run(self) -> None:
        self._server.run(sockets=self._sockets)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the answers under way, close the sockets, and return within a few seconds."""
        self._server.should_exit = True
        self._thread.join(STOP_SECONDS + 1)
        for opened in self._sockets:
            opened.close()
