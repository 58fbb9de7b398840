"""Whether the API accepts the key."""

import logging
import math
import threading
from collections.abc import Callable, Sequence

from exporter.client.endpoint import Endpoint
from exporter.errors import NotFoundError, PollError, StoppedError

logger = logging.getLogger(__name__)

CONFIRMED_SECONDS = 10.0


class KeyStatus:
    """Accepted or refused, as last seen; every change is logged once.

    Args:
        source: the source whose key it is.
        open_endpoints: need no permission, so that a refusal there is one of the key; the first
            that the deployment has is asked. Empty for an API that has none.
        monotonic: seconds.
    """

    def __init__(
        self,
        source: str,
        *,
        open_endpoints: Sequence[Endpoint[object]],
        monotonic: Callable[[], float],
    ) -> None:
        self.refused = False
        self._source = source
        self._open = {endpoint.path: endpoint for endpoint in open_endpoints}
        self._monotonic = monotonic
        self._noting = threading.Lock()
        self._confirming = threading.Lock()
        self._confirmed_at = -math.inf

    def is_open(self, path: str) -> bool:
        """Whether an endpoint needs no permission."""
        return path in self._open

    def note(self, endpoint: str, *, status: int) -> None:
        """Note that the API refuses the key with this status, or accepts it with 200."""
        refused = status != 200  # noqa: PLR2004
        with self._noting:
            changed = refused != self.refused
            self.refused = refused
        where = {"source": self._source, "endpoint": endpoint}
        if changed and refused:
            logger.error("the API refuses the key (%d)", status, extra=where)
        elif changed:
            logger.info("the API accepts the key again", extra=where)

    def confirm_refused(self, request: Callable[[Endpoint[object]], object]) -> bool:
        """Whether a 403 elsewhere means that the key is refused. An outage changes nothing.

        Args:
            request: requests an open endpoint once and notes what that says of the key; raises
                `PollError`.

        Raises:
            StoppedError: if the exporter is shutting down.
        """
        if not self._open:
            return False
        with self._confirming:
            # A sweep over many entities must not request it once for each of them.
            if self._monotonic() - self._confirmed_at > CONFIRMED_SECONDS:
                self._request_one(request)
                self._confirmed_at = self._monotonic()
            return self.refused

    def _request_one(self, request: Callable[[Endpoint[object]], object]) -> None:
        for endpoint in self._open.values():
            try:
                request(endpoint)
            except NotFoundError:
                continue
            except StoppedError:
                raise
            except PollError:
                return
            return
