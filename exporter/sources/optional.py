"""Optional endpoints: where a deployment lacks one, its task is off and has not failed."""

from collections.abc import Callable

from exporter.errors import PollError, SwitchedOffError


class OptionalEndpoint:
    """A poll that switches its task off while the API reports that the endpoint is absent.

    Only a success turns the task on again. Other errors, as in an outage, leave it off.

    Args:
        poll: the poll to wrap; raises `PollError`.
        absent: the errors that mean that the endpoint is absent.
        because: the text that people see for such an error.
        after_success: whether such an error also counts after a success.
    """

    def __init__(
        self,
        poll: Callable[[], None],
        *,
        absent: tuple[type[PollError], ...],
        because: Callable[[PollError], str] = str,
        after_success: bool,
    ) -> None:
        self._poll = poll
        self._absent = absent
        self._because = because
        self._after_success = after_success
        self._seen = False
        self._off: str | None = None

    def __call__(self) -> None:
        """Poll. Raises `SwitchedOffError`, or an error of the poll."""
        try:
            self._poll()
        except self._absent as gone:
            if self._seen and not self._after_success:
                raise
            self._off = self._because(gone)
            raise SwitchedOffError(self._off) from None
        except PollError:
            if self._off is None:
                raise
            raise SwitchedOffError(self._off) from None
        self._off, self._seen = None, True
