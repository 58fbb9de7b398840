"""The HTTP client for JSON APIs: key, rate limit, retries, paging, size and time limits.

Its errors are those of `errors.py`. They name the endpoint by its path template, so that no id and
no part of a key reaches a log.
"""

import random
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar
from urllib.parse import urlsplit

import httpcore
import httpx

from exporter import errors
from exporter.client import body
from exporter.client.deadline import Deadline, LimitedBackend
from exporter.client.endpoint import Endpoint, Request
from exporter.client.key_status import KeyStatus
from exporter.client.models import Listing, ListPage, RowReport, Unreadable, parse_response
from exporter.client.rate_limit import RateLimiter, RateLimits, Turns
from exporter.client.rejection import HttpResponse, connection_error, needs_body, rejection
from exporter.client.request_metrics import RequestMetrics
from exporter.client.response import UnreadableRows
from exporter.config.proxies import proxy_for
from exporter.config.settings import is_loopback
from exporter.config.tls import public_authorities
from exporter.process import Timing

T = TypeVar("T")

ATTEMPTS = 4
BACKOFF_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 60.0
TOTAL_SECONDS = 120.0
CONNECT_SECONDS = 10.0
PAGE_SIZE = 200
MOST_PAGES = 10_000
RETRIED = (errors.UnavailableError, errors.RateLimitedError, errors.ServerFailedError)


class Client:
    """Sends requests to one API. Nothing but this class retries.

    Args:
        source: label value of the request metrics.
        base_url: `https://…`; plain `http` only for loopback, which needs no proxy.
        key: returns the bearer key, at each attempt; raises `CredentialError`.
        verify: TLS context; None for the public authorities.
        stopping: once set, waiting requests end in `StoppedError` and no new one starts.
        timing: its clock is for dates in `Retry-After`, all else is for limits.
        open_endpoints: need no permission: a 403 there means that the key is refused.

    Raises:
        SettingsError: if the environment names a proxy or authorities that cannot be used.
    """

    def __init__(
        self,
        *,
        source: str,
        base_url: str,
        key: Callable[[], str],
        limits: RateLimits,
        metrics: RequestMetrics,
        stopping: threading.Event,
        verify: ssl.SSLContext | None = None,
        timing: Timing,
        open_endpoints: Sequence[Endpoint[object]] = (),
    ) -> None:
        self.source = source
        self.stopping = stopping
        self.concurrency = limits.concurrency
        self.unreadable = UnreadableRows(source, timing.clock)
        self._key_status = KeyStatus(
            source, open_endpoints=open_endpoints, monotonic=timing.monotonic
        )
        self._key = key
        self._metrics = metrics
        self._timing = timing
        self._rate_limiter = RateLimiter(limits.requests_per_second, timing.monotonic)
        self._turns = Turns(limits.concurrency)
        self._attempt_seconds = limits.attempt_seconds
        self._deadline = Deadline(timing)
        self._http = _open(
            base_url,
            concurrency=limits.concurrency,
            connect_seconds=timing.timer(CONNECT_SECONDS),
            verify=verify,
            backend=LimitedBackend(self._deadline),
        )
        metrics.watch(source, per_second=self._rate_limiter.per_second, turns=self._turns)

    @property
    def key_refused(self) -> bool:
        """Whether the API has refused the key and not accepted it since."""
        return self._key_status.refused

    @property
    def requests_per_second(self) -> float:
        """The present rate limit, which is lower than the setting for a while after a 429."""
        return self._rate_limiter.per_second()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, request: Request[T]) -> T:
        """Send a request and check the type of its response.

        Raises:
            PollError: any leaf of the tree but `PagingError` and `PartialError`.
        """
        report = RowReport()
        response = self._get(request, report)
        self.unreadable.note(request, report)
        return response

    def _get(self, request: Request[T], report: RowReport) -> T:
        try:
            content = self._send_with_retries(request)
        except errors.PermissionMissingError:
            if self._key_status.confirm_refused(self._get_once):
                raise errors.KeyRefusedError(
                    f"{request.endpoint.path} answered 403, as the API refuses the key"
                ) from None
            raise
        return self._parse(request, content, report)

    def _get_once(self, endpoint: Endpoint[object]) -> object:
        request = Request(endpoint=endpoint)
        return self._parse(request, self._send_in_turn(request, request.path), RowReport())

    def _parse(self, request: Request[T], content: bytes, report: RowReport) -> T:
        endpoint = request.endpoint
        response = parse_response(endpoint.path, endpoint.response, content, rows=report)
        # Anything else may come from a gateway that has not looked at the key.
        self._key_status.note(endpoint.path, status=httpx.codes.OK)
        return response

    def get_json(self, request: Request[object]) -> bytes:
        """Send a request as `get` does; the model that it returns, as JSON."""
        return request.endpoint.response.dump_json(self.get(request))

    def get_list(self, request: Request[ListPage[T]]) -> Listing[T]:
        """Request all pages of a list. All of them come, or none; unreadable rows are left out.

        Raises:
            PagingError: if a cursor repeats or is missing, if the pages do not end, or if a page
                does not say whether it is the last one.
            PollError: as `get`.
        """
        endpoint = request.endpoint.path
        rows: list[T | Unreadable] = []
        report = RowReport()
        cursors: set[str] = set()
        params = {**request.params, "first": PAGE_SIZE}
        for _ in range(MOST_PAGES):
            page = self._get(replace(request, params=params), report)
            rows.extend(page.items)
            if page.has_next_page is None and page.end_cursor:
                raise errors.PagingError(f"{endpoint} does not say whether there is a next page")
            if not page.has_next_page:
                self.unreadable.note(request, report)
                return Listing.of(rows)
            if not page.end_cursor or page.end_cursor in cursors:
                raise errors.PagingError(f"{endpoint} promises a next page but its cursor repeats")
            cursors.add(page.end_cursor)
            params["after"] = page.end_cursor
        raise errors.PagingError(f"{endpoint} did not end after {MOST_PAGES} pages")

    def _send_with_retries(self, request: Request[object]) -> bytes:
        path = request.path
        give_up = self._timing.monotonic() + TOTAL_SECONDS
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._send_in_turn(request, path)
            except RETRIED as failure:
                wait = self._wait_before_retry(failure, attempt)
                too_long = wait > LONGEST_WAIT_SECONDS or self._timing.monotonic() + wait > give_up
                if attempt == ATTEMPTS or too_long:
                    raise
                self._pause(wait)
                self._metrics.retries.labels(self.source, failure.reason).inc()
        raise AssertionError("the last attempt returns or raises")  # pragma: no cover

    def _wait_before_retry(self, failure: errors.PollError, attempt: int) -> float:
        backoff = random.uniform(0, BACKOFF_SECONDS * 2**attempt)  # noqa: S311 - only jitter
        requested = failure.retry_after if isinstance(failure, errors.RejectedError) else None
        if requested is None:
            return backoff
        if isinstance(failure, errors.RateLimitedError):
            self._rate_limiter.pause_for(min(requested, LONGEST_WAIT_SECONDS))
        return max(requested, backoff)

    def _pause(self, seconds: float) -> None:
        if self.stopping.wait(self._timing.timer(seconds)):
            raise errors.StoppedError("the exporter is shutting down")

    def _send_in_turn(self, request: Request[object], path: str) -> bytes:
        endpoint = request.endpoint.path
        self._metrics.queued.labels(self.source, request.priority.label).inc()
        with self._turns.turn(request.priority, self._wait_for_slot):
            key = self._key()
            began = self._timing.monotonic()
            status = "internal"
            try:
                response = self._send(request, path, key)
                status = str(response.status)
            except errors.PollError as failure:
                (status,) = failure.reasons
                raise
            finally:
                self._metrics.requests.labels(self.source, endpoint, status).inc()
                took = self._timing.monotonic() - began
                self._metrics.durations.labels(self.source, endpoint).observe(took)
            if response.status == httpx.codes.TOO_MANY_REQUESTS:
                self._rate_limiter.reduce(sent=began)
        return self._accept(request.endpoint, response)

    def _wait_for_slot(self) -> None:
        waited = self._rate_limiter.acquire(self._pause)
        self._metrics.waited.labels(self.source).inc(waited)
        self._pause(0)

    def _send(self, request: Request[object], path: str, key: str) -> HttpResponse:
        endpoint = request.endpoint.path
        if self._http.is_closed:
            raise errors.StoppedError("the exporter is shutting down")
        try:
            with (
                self._deadline.within(self._attempt_seconds),
                self._http.stream(
                    "GET",
                    path,
                    params=request.params,
                    headers={"Authorization": f"Bearer {key}"},
                ) as response,
            ):
                status, headers = response.status_code, response.headers
                media_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
                wanted = needs_body(status, media_type)
                content = body.read(endpoint, response) if wanted else b""
                return HttpResponse(status, media_type, headers.get("Retry-After"), content)
        except httpx.TimeoutException:
            raise errors.DeadlineError(f"{endpoint} did not answer in time") from None
        except httpx.InvalidURL:
            raise errors.UnaskableError(f"{endpoint}: an id is too long for a URL") from None
        except (httpx.TransportError, UnicodeError) as failure:
            raise errors.ConnectionFailedError(f"{endpoint}: {connection_error(failure)}") from None

    def _accept(self, endpoint: Endpoint[object], response: HttpResponse) -> bytes:
        if response.status == httpx.codes.OK:
            return response.body
        failure = rejection(
            endpoint,
            response,
            open_to_every_key=self._key_status.is_open(endpoint.path),
            now=self._timing.clock(),
        )
        if isinstance(failure, errors.KeyRefusedError):
            self._key_status.note(endpoint.path, status=response.status)
        raise failure


def _forget_location(response: httpx.Response) -> None:
    """Redirects are never followed, and httpx refuses a response if this is no URL."""
    response.headers.pop("Location", None)


def _open(
    base_url: str,
    *,
    concurrency: int,
    connect_seconds: float,
    verify: ssl.SSLContext | None,
    backend: httpcore.NetworkBackend,
) -> httpx.Client:
    elsewhere = not is_loopback(urlsplit(base_url).hostname or "")
    client = httpx.Client(
        base_url=base_url,
        headers={"Accept": "application/json", "Accept-Encoding": "gzip"},
        timeout=httpx.Timeout(None, connect=connect_seconds),
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=concurrency),
        verify=verify or public_authorities(read_environment=elsewhere),
        # httpx would raise a traceback for one invalid word in the environment.
        trust_env=False,
        proxy=proxy_for(base_url) if elsewhere else None,
        follow_redirects=False,
        event_hooks={"response": [_forget_location]},
    )
    # httpx has no public way to set the network backend of its pools; each proxy has its own pool.
    for transport in (client._transport, *client._mounts.values()):  # noqa: SLF001
        if isinstance(transport, httpx.HTTPTransport):
            transport._pool._network_backend = backend  # noqa: SLF001
    return client
