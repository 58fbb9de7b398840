"""The simulated APIs over HTTP: documented paths, responses, paging and permissions."""

import base64
import binascii
import json
import socket
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from exporter.demo.endpoints import V3, Call, DemoKey, Endpoint, ProblemError, endpoints
from exporter.demo.responses import NoSuchEntityError, Responses

DEFAULT_PAGE = 100
LARGEST_PAGE = 200
STOP_SECONDS = 5


@dataclass
class Traffic:
    """The number of requests by path template and status."""

    requests: Counter[tuple[str, int]] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, path: str, status: int) -> None:
        """Count one request."""
        with self._lock:
            self.requests[path, status] += 1

    def total(self) -> int:
        """The number of all requests."""
        with self._lock:
            return self.requests.total()


class DemoApi:
    """The simulated APIs on their own socket, from `start` to `stop`.

    Args:
        keys: the accepted keys; any other key gets 401.
    """

    def __init__(
        self,
        responses: Responses,
        keys: Mapping[str, DemoKey],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.traffic = Traffic()
        self._keys = keys
        self._turn = threading.Lock()
        self._socket = socket.create_server((host, port))
        # Accepted connections inherit it; without it a body waits 40 ms for the headers' ACK.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        config = uvicorn.Config(
            Starlette(routes=[self._route(endpoint) for endpoint in endpoints(responses)]),
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True
        )

    @property
    def url(self) -> str:
        """The base URL."""
        host, port = self._socket.getsockname()[:2]
        return f"http://{host}:{port}"

    def start(self) -> None:
        """Start serving."""
        self._thread.start()

    def stop(self) -> None:
        """Close the socket and end the thread."""
        self._server.should_exit = True
        self._thread.join(STOP_SECONDS)
        self._socket.close()

    def _route(self, endpoint: Endpoint) -> Route:
        def handle(request: Request) -> Response:
            status, body = 200, b""
            try:
                key = self._admit(request, endpoint)
                call = Call(request.path_params, request.query_params, key)
                # In turn, so that each uses what the one before has cached.
                with self._turn:
                    content = endpoint.respond(call)
                if endpoint.paged and isinstance(content, Sequence):
                    content = _page(content, call)
                body = json.dumps(content).encode()
            except NoSuchEntityError:
                status, body = 404, _problem(endpoint.api, ProblemError(404, "Not found"))
            except ProblemError as problem:
                status, body = problem.status, _problem(endpoint.api, problem)
            self.traffic.count(endpoint.path, status)
            plain = status == HTTPStatus.OK or _is_fastapis(endpoint.api, status)
            kind = "application/json" if plain else "application/problem+json"
            return Response(body, status_code=status, media_type=kind)

        # Ids may contain a slash, which arrives decoded.
        path = endpoint.path
        if path.endswith("}"):
            path = path[:-1] + ":path}"
        return Route(path, handle)

    def _admit(self, request: Request, endpoint: Endpoint) -> DemoKey:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        key = self._keys.get(token) if scheme == "Bearer" else None
        if key is None or key.api != endpoint.api:
            raise ProblemError(401, "Invalid credential")
        wanted = endpoint.permission
        if wanted is None:
            return key
        outside = key.org_id is not None and request.path_params.get("org_id") != key.org_id
        enterprise = key.org_id is not None and endpoint.path.startswith("/v3/enterprise/")
        lacking = key.permissions is not None and wanted not in key.permissions
        if outside or enterprise or lacking:
            raise ProblemError(403, f"Missing permission {wanted}")
        return key


def _page(items: Sequence[object], call: Call) -> object:
    first = call.whole("first", default=DEFAULT_PAGE)
    if not 1 <= first <= LARGEST_PAGE:
        raise ProblemError(422, f"first must be from 1 to {LARGEST_PAGE}")
    start = _offset(call.query.get("after"))
    end = start + first
    more = end < len(items)
    return {
        "items": items[start:end],
        "end_cursor": base64.urlsafe_b64encode(b"after:%d" % end).decode() if more else None,
        "has_next_page": more,
        "total": len(items),
    }


def _offset(cursor: str | None) -> int:
    if cursor is None:
        return 0
    try:
        word, _, number = base64.urlsafe_b64decode(cursor).decode().partition(":")
        if word == "after":
            return int(number)
    except (binascii.Error, ValueError):
        pass
    raise ProblemError(422, "after is not a cursor")


def _is_fastapis(api: str, status: int) -> bool:
    return api != V3 and status == HTTPStatus.UNPROCESSABLE_ENTITY


def _problem(api: str, problem: ProblemError) -> bytes:
    content: object = {"type": "about:blank", "status": problem.status, "title": problem.title}
    if _is_fastapis(api, problem.status):
        content = {"detail": [{"loc": [], "msg": problem.title, "type": "value_error"}]}
    return json.dumps(content).encode()
