"""The HTTP endpoints: metrics, landing page, status as JSON, and the two health checks."""

import asyncio
from collections.abc import Callable, Sequence

from prometheus_client import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from exporter.exposition.instruments import OwnRegistry
from exporter.scheduling.store import Store
from exporter.web.negotiation import accepts_gzip, form_for
from exporter.web.parts import Parts
from exporter.web.request_target import OriginForm
from exporter.web.status.page import CONTENT_SECURITY_POLICY, landing_page
from exporter.web.status.report import SourceState, StatusReport, status_report


class Endpoints:
    """The ASGI application of the exporter.

    Args:
        registry: the exporter's own metrics.
        refresh: rebuilds the page; called when the page has expired.
        sources: returns the state of each source.
        due_in: seconds until a task's next run; None while none is planned.
        clock: Unix seconds.
    """

    def __init__(
        self,
        *,
        store: Store,
        registry: OwnRegistry,
        refresh: Callable[[], None],
        sources: Callable[[], Sequence[SourceState]],
        due_in: Callable[[str], float | None],
        clock: Callable[[], float],
        telemetry_path: str,
        version: str,
    ) -> None:
        self._store = store
        self._registry = registry
        self._refresh = refresh
        self._sources = sources
        self._due_in = due_in
        self._clock = clock
        self._telemetry_path = telemetry_path
        self._version = version

    def app(self) -> Starlette:
        """The application. Other paths are 404, other methods 405."""
        app = Starlette(
            routes=[
                Route(self._telemetry_path, self._metrics),
                Route("/", self._landing_page),
                Route("/api/v1/status", self._status),
                Route("/-/healthy", self._healthy),
                Route("/-/ready", self._ready),
            ],
            middleware=[Middleware(OriginForm)],
        )
        app.router.redirect_slashes = False
        return app

    async def _metrics(self, request: Request) -> Response:
        if self._clock() >= self._store.page.valid_until:
            await asyncio.to_thread(self._refresh)
        page = self._store.page
        form = form_for(request.headers.getlist("Accept"))
        own = self._registry.parts(openmetrics=form.openmetrics)
        # Those of the process, which change all the time.
        generate = generate_openmetrics if form.openmetrics else generate_latest
        last = generate(self._registry.others)
        headers = {"Content-Type": form.content_type, "Vary": "Accept, Accept-Encoding"}
        if accepts_gzip(request.headers.getlist("Accept-Encoding")):
            return Parts(page.gzipped(own, last), headers={**headers, "Content-Encoding": "gzip"})
        return Parts(page.plain(own, last), headers=headers)

    async def _healthy(self, _: Request) -> Response:
        return PlainTextResponse("healthy\n")

    async def _ready(self, _: Request) -> Response:
        if refused := [source.name for source in self._sources() if source.key_refused]:
            why = f"the API refuses the key of: {', '.join(refused)}"
        elif not_ready := self._store.not_ready():
            why = f"no success yet of: {', '.join(not_ready)}"
        else:
            return PlainTextResponse("ready\n")
        return PlainTextResponse(f"not ready: {why}\n", status_code=503)

    async def _landing_page(self, _: Request) -> Response:
        page = landing_page(self._report(), telemetry_path=self._telemetry_path)
        return HTMLResponse(page, headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY})

    async def _status(self, _: Request) -> Response:
        return Response(
            self._report().model_dump_json(),
            media_type="application/json",
            headers={"Cache-Control": "no-store"},
        )

    def _report(self) -> StatusReport:
        return status_report(
            self._store.states(),
            self._sources(),
            not_ready=self._store.not_ready(),
            due_in=self._due_in,
            now=self._clock(),
            version=self._version,
        )
