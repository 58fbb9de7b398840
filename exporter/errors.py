"""Everything that can go wrong in a poll, as one tree.

PollError                       never raised itself
├── UnavailableError            no answer came
│   ├── ConnectionFailedError   DNS, refused, reset, TLS, cut off
│   └── DeadlineError           no complete answer in time
├── RejectedError               the server answered, but not with data
│   ├── KeyRefusedError         401; 403 where no permission is needed
│   ├── PermissionMissingError  403
│   ├── InterceptedError        401 or 403 of something between the exporter and the API
│   ├── NotFoundError           404, 410
│   ├── RateLimitedError        429
│   ├── ServerFailedError       5xx, 408
│   ├── RedirectedError         3xx; never followed: the key must not travel
│   └── BadRequestError         422 and every other status
├── BadAnswerError              the answer is not what the API documents
│   ├── BodyTooLargeError       larger than any true answer
│   ├── NotJsonError            HTML, empty, cut off
│   ├── ShapeError              JSON of another shape, or with impossible values
│   └── PagingError             a list that does not end
├── CredentialError             the key's file is unreadable or empty
├── UnaskableError              an id that no URL path can carry
├── EntitiesUnknownError        nothing to ask for, as the entities or the cycle are not known yet
├── SwitchedOffError            not for this key or deployment: no failure, tried again in a day
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
        """Whether the poll still asked for every entity it meant to, whatever they answered."""
        return False

    @property
    def log_key(self) -> str:
        """What must change for the failure to be told once more."""
        return str(self)


class UnavailableError(PollError):
    """No answer came."""


class ConnectionFailedError(UnavailableError):
    """DNS, refused, reset, TLS, or cut off in the middle."""

    reason = "connection"


class DeadlineError(UnavailableError):
    """No complete answer in time."""

    reason = "timeout"


class RejectedError(PollError):
    """The server answered, but not with data.

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
    """401 or 403 with a body that the API never sends: of a firewall, a proxy or a portal."""

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
    """The answer is not what the API documents."""


class BodyTooLargeError(BadAnswerError):
    """Larger than any true answer."""

    reason = "too_large"


class NotJsonError(BadAnswerError):
    """HTML, an empty body, JSON that is cut off."""

    reason = "not_json"


class ShapeError(BadAnswerError):
    """JSON of another shape, or with impossible values."""

    reason = "shape"


class PagingError(BadAnswerError):
    """A list that does not end."""

    reason = "paging"


class CredentialError(PollError):
    """The key's file is unreadable or empty."""

    reason = "credential"


class UnaskableError(PollError):
    """An id that no URL path can carry."""

    reason = "unaskable"


class EntitiesUnknownError(PollError):
    """Nothing to ask for, as the list of entities or the billing cycle is not known yet."""

    reason = "entities_unknown"


class SwitchedOffError(PollError):
    """Not for this key or this deployment: no failure, to be tried again in a day."""

    reason = "switched_off"


class StoppedError(PollError):
    """The process is shutting down."""

    reason = "stopped"


class PartialError(PollError):
    """Some of a poll's requests failed.

    Args:
        errors: what failed (an entity's id or an endpoint) and why; not empty.
        asked: of how many that were asked.
        complete: False if the poll gave up before it had asked for all of them.
    """

    def __init__(self, errors: Mapping[str, PollError], *, asked: int, complete: bool) -> None:
        self.errors = dict(errors)
        self._asked_everyone = complete
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
        """Whether every entity was asked for."""
        return self._asked_everyone

    @property
    def log_key(self) -> str:
        """The reasons; how many have failed differs from one attempt to the next."""
        return ", ".join(sorted(self.reasons))


def strip_traceback(error: E) -> E:
    """The same error without the calls that it came through, which keep whole answers in memory."""
    error.__traceback__ = error.__cause__ = error.__context__ = None
    return error


def reasons_of(error: Exception | None) -> frozenset[str]:
    """Why a poll failed; `internal` for our own faults, nothing for none."""
    if error is None:
        return frozenset()
    return error.reasons if isinstance(error, PollError) else frozenset({"internal"})


def failure_reasons() -> tuple[str, ...]:
    """The closed list of reasons that a poll can fail for, and `internal` for our own faults."""

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
_ABOUT_THE_KEY = frozenset({401, 403})
_BY_STATUS_CLASS: Mapping[int, type[RejectedError]] = {3: RedirectedError, 5: ServerFailedError}


def error_for_status(status: int, *, media_type: str = "") -> type[RejectedError]:
    """The error for a response with this HTTP status, which is not 200.

    Args:
        media_type: of its body; empty if it names none.
    """
    if status in _ABOUT_THE_KEY and media_type and not media_type.endswith("json"):
        return InterceptedError
    of_class = _BY_STATUS_CLASS.get(status // 100, BadRequestError)
    return _BY_STATUS.get(status, of_class)
