"""Responses that are no data: which error each of them is, and what it says to people."""

from dataclasses import dataclass
from http import HTTPStatus

import httpx
from pydantic import TypeAdapter, ValidationError

from exporter import errors
from exporter.client.endpoint import Endpoint
from exporter.client.rate_limit import retry_after_seconds

_MEDIA_TYPES = frozenset({"text/html", "text/plain", "text/xml", "application/xml"})
"""Those that are named; any other may hold what the server read, and so the key."""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A response, with the body where it is needed."""

    status: int
    media_type: str
    retry_after: str | None
    body: bytes


_OBJECT = TypeAdapter(dict[str, object])


def needs_body(status: int, media_type: str) -> bool:
    """Whether only the body of a response shows what it means."""
    return status == HTTPStatus.OK or (
        status == HTTPStatus.FORBIDDEN and (not media_type or media_type.endswith("json"))
    )


def is_error_of_the_api(body: bytes) -> bool:
    """Whether a body has the shape of the API's errors: RFC 9457, or the older `detail`."""
    try:
        error = _OBJECT.validate_json(body)
    except ValidationError:
        return False
    return isinstance(error.get("detail"), str | list) or {"title", "status"} <= error.keys()


def rejection(
    endpoint: Endpoint[object], response: HttpResponse, *, open_to_every_key: bool, now: float
) -> errors.RejectedError:
    """The error for a response whose status is not 200.

    Args:
        open_to_every_key: whether the endpoint needs no permission, so that 403 is about the key.
        now: Unix seconds, for dates in `Retry-After`.
    """
    status = response.status
    kind = errors.error_for_status(status, media_type=response.media_type)
    message = f"{endpoint.path} answered {status}"
    documented = status == HTTPStatus.FORBIDDEN and is_error_of_the_api(response.body)
    if kind is errors.PermissionMissingError and open_to_every_key:
        kind = errors.KeyRefusedError if documented else errors.InterceptedError
    if kind is errors.InterceptedError:
        message += (
            f"; sent by something between the exporter and the API ({_what(response.media_type)})"
        )
    elif kind is errors.PermissionMissingError and endpoint.permission:
        message += f"; the key needs the permission {endpoint.permission}"
    wait = retry_after_seconds(response.retry_after, now)
    return kind(message, retry_after=wait, documented=documented)


def _what(media_type: str) -> str:
    if media_type in _MEDIA_TYPES:
        return media_type
    return "JSON of another shape" if media_type.endswith("json") else "no JSON"


def connection_error(failure: Exception) -> str:
    """The system's text for a connection error, without the server's bytes: they may hold a key."""
    if isinstance(failure, httpx.ReadError):
        return f"the response broke off: {failure}"
    if isinstance(failure, httpx.NetworkError):
        return str(failure)
    if isinstance(failure, httpx.ProxyError):
        return "the proxy refuses to connect"
    return "the response broke off or is no HTTP"
