"""Endpoints that a deployment may not have: off, not broken."""

from collections.abc import Callable

from exporter.errors import PollError, SwitchedOffError


class OptionalEndpoint:
    """A poll that switches its task off while the API says that there is nothing to poll.

    Once that has been said, only a good answer turns it on again: an outage says nothing new.

    Args:
        poll: what to do; raises `PollError`.
        absent: the errors that say so.
        because: what to tell people of such an error.
        after_success: whether it is believed even of what was there before.
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
        """Poll. Raises `SwitchedOffError`, or what the poll raises."""
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
