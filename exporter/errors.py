"""The errors of a poll, as one tree.

PollError                       never raised itself
├── UnavailableError            no response came
│   ├── ConnectionFailedError   DNS, refused, reset, TLS, cut off
│   └── DeadlineError           no complete response in time
├── RejectedError               the server responded, but not with data
│   ├── KeyRefusedError         401; 403 where no permission is needed
│   ├── PermissionMissingError  403
│   ├── InterceptedError        401 or 403 from something between the exporter and the API
│   ├── NotFoundError           404, 410
│   ├── RateLimitedError        429
│   ├── ServerFailedError       5xx, 408
│   ├── RedirectedError         3xx; never followed: the key must not travel
│   └── BadRequestError         422 and every other status
├── BadAnswerError              the response is not what the API documents
│   ├── BodyTooLargeError       larger than any valid response
│   ├── NotJsonError            HTML, empty, cut off
│   ├── ShapeError              JSON of another type, or with impossible values
│   └── PagingError             a list that does not end
├── CredentialError             the key's file is unreadable or empty
├── ConfigurationError          a file that the operator writes cannot be used
├── UnaskableError              an id that a URL path cannot carry
├── EntitiesUnknownError        nothing to request: the entities or the cycle are not known yet
├── SwitchedOffError            not for this key or deployment; no failure, tried again in a day
├── StoppedError                the process is shutting down
└── PartialError                some of a poll's requests failed, each with an error of its own
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar, TypeVar

E = TypeVar("E", bound=Exception)


class PollError(Exception):
    """A poll failed; `reason` is the label value in `devin_exporter_task_failures_total`."""

    reason: ClassVar[str]

    @property
    def reasons(self) -> frozenset[str]:
        """The distinct reasons behind this failure."""
        return frozenset({self.reason})

    @property
    def complete(self) -> bool:
        """Whether the poll sent a request for every entity, whatever the responses were."""
        return False

    @property
    def log_key(self) -> str:
        """A repeated failure is logged again only when this text changes."""
        return str(self)


class UnavailableError(PollError):
    """No response came."""


class ConnectionFailedError(UnavailableError):
    """DNS, connection refused or reset, TLS, or cut off in the middle."""

    reason = "connection"


class DeadlineError(UnavailableError):
    """No complete response in time."""

    reason = "timeout"


class RejectedError(PollError):
    """The server responded, but not with data.

    Args:
        retry_after: seconds that the server asked to wait; None if it did not say.
        documented: whether it is a 403 with a body that only the API itself sends.
    """

    def __init__(
        self, message: str, *, retry_after: float | None = None, documented: bool = False
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.documented = documented


class KeyRefusedError(RejectedError):
    """401, or 403 where no permission is needed: the key is wrong, revoked or expired."""

    reason = "unauthorized"


class PermissionMissingError(RejectedError):
    """403: the key lacks a permission for this endpoint."""

    reason = "forbidden"


class InterceptedError(RejectedError):
    """401 or 403 with a body that the API never sends: from a firewall, a proxy or a portal."""

    reason = "intercepted"


class NotFoundError(RejectedError):
    """404 or 410: no such endpoint or entity on this deployment."""

    reason = "not_found"


class RateLimitedError(RejectedError):
    """429 at every attempt."""

    reason = "rate_limited"


class ServerFailedError(RejectedError):
    """5xx or 408 at every attempt."""

    reason = "server_error"


class RedirectedError(RejectedError):
    """3xx; never followed."""

    reason = "redirect"


class BadRequestError(RejectedError):
    """422, or a status that the API does not document."""

    reason = "bad_request"


class BadAnswerError(PollError):
    """The response is not what the API documents."""


class BodyTooLargeError(BadAnswerError):
    """Larger than any valid response."""

    reason = "too_large"


class NotJsonError(BadAnswerError):
    """HTML, an empty body, JSON that is cut off."""

    reason = "not_json"


class ShapeError(BadAnswerError):
    """JSON of another type than documented, or with impossible values."""

    reason = "shape"


class PagingError(BadAnswerError):
    """A list that does not end."""

    reason = "paging"


class CredentialError(PollError):
    """The key's file is unreadable or empty."""

    reason = "credential"


class ConfigurationError(PollError):
    """A file that the operator writes, such as the teams file, cannot be used."""

    reason = "configuration"


class UnaskableError(PollError):
    """An id that a URL path cannot carry."""

    reason = "unaskable"


class EntitiesUnknownError(PollError):
    """Nothing to request: the list of entities or the billing cycle is not known yet."""

    reason = "entities_unknown"


class SwitchedOffError(PollError):
    """Not for this key or deployment. This is no failure; the task is tried again in a day."""

    reason = "switched_off"


class StoppedError(PollError):
    """The process is shutting down."""

    reason = "stopped"


class PartialError(PollError):
    """Some of a poll's requests failed.

    Args:
        errors: what failed (an entity's id or an endpoint) and why; not empty.
        asked: how many requests were made.
        complete: False if the poll gave up before it had made all of them.
    """

    def __init__(self, errors: Mapping[str, PollError], *, asked: int, complete: bool) -> None:
        self.errors = dict(errors)
        self.asked = asked
        self._complete = complete
        counts: dict[str, int] = {}
        for error in self.errors.values():
            for reason in error.reasons:
                counts[reason] = counts.get(reason, 0) + 1
        why = ", ".join(f"{reason} {count}" for reason, count in sorted(counts.items()))
        first = next(iter(self.errors.values()))
        gave_up = "" if complete else "; gave up on the rest until the next poll"
        super().__init__(f"{len(self.errors)} of {asked} failed ({why}){gave_up}; first: {first}")

    @property
    def reasons(self) -> frozenset[str]:
        """The distinct reasons of the parts."""
        return frozenset(reason for error in self.errors.values() for reason in error.reasons)

    @property
    def complete(self) -> bool:
        """Whether every entity was requested."""
        return self._complete

    @property
    def log_key(self) -> str:
        """The reasons, without their counts, which differ between attempts."""
        return ", ".join(sorted(self.reasons))


def strip_traceback(error: E) -> E:
    """Return the error without traceback and causes, which keep whole responses in memory."""
    error.__traceback__ = error.__cause__ = error.__context__ = None
    return error


def reasons_of(error: Exception | None) -> frozenset[str]:
    """The reasons of a failure: `internal` for the exporter's own faults, empty for no error."""
    if error is None:
        return frozenset()
    return error.reasons if isinstance(error, PollError) else frozenset({"internal"})


def failure_reasons() -> tuple[str, ...]:
    """All reasons that a poll can fail with, and `internal` for the exporter's own faults."""

    def below(parent: type[PollError]) -> Iterator[str]:
        for child in parent.__subclasses__():
            if "reason" in vars(child):
                yield child.reason
            yield from below(child)

    no_failures = {StoppedError.reason, SwitchedOffError.reason}
    return (*sorted(set(below(PollError)) - no_failures), "internal")


_BY_STATUS: Mapping[int, type[RejectedError]] = {
    401: KeyRefusedError,
    403: PermissionMissingError,
    404: NotFoundError,
    408: ServerFailedError,
    410: NotFoundError,
    429: RateLimitedError,
}
_KEY_STATUSES = frozenset({401, 403})
_BY_STATUS_CLASS: Mapping[int, type[RejectedError]] = {3: RedirectedError, 5: ServerFailedError}


def error_for_status(status: int, *, media_type: str = "") -> type[RejectedError]:
    """The error class for an HTTP status other than 200.

    Args:
        media_type: media type of the body; empty if the response names none.
    """
    if status in _KEY_STATUSES and media_type and not media_type.endswith("json"):
        return InterceptedError
    of_class = _BY_STATUS_CLASS.get(status // 100, BadRequestError)
    return _BY_STATUS.get(status, of_class)
