"""The HTTP endpoints: metrics, landing page, status as JSON, and the two health checks."""

from collections.abc import Callable, Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from exporter.exposition.instruments import OwnRegistry
from exporter.scheduling.store import Store
from exporter.web.metrics_page import MetricsPage
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
        self._metrics = MetricsPage(store=store, registry=registry, refresh=refresh, clock=clock)
        self._sources = sources
        self._due_in = due_in
        self._clock = clock
        self._telemetry_path = telemetry_path
        self._version = version

    def app(self) -> ASGIApp:
        """The application. Other paths are 404, other methods 405."""
        routed = Starlette(
            routes=[
                Route(self._telemetry_path, self._metrics, methods=["GET"]),
                Route("/", self._landing_page),
                Route("/api/v1/status", self._status),
                Route("/-/healthy", self._healthy),
                Route("/-/ready", self._ready),
            ],
        )
        routed.router.redirect_slashes = False

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            # Routing takes longer than a scrape.
            is_scrape = scope["path"] == self._telemetry_path and scope["method"] == "GET"
            await (self._metrics if is_scrape else routed)(scope, receive, send)

        return app

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
