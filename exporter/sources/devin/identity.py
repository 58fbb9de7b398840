"""The identity of the key: `GET /v3/self`, on older deployments `GET /v3/enterprise/self`.

A key of one organization has access to that organization's endpoints only.
"""

from dataclasses import replace

from pydantic import TypeAdapter

from exporter.client.endpoint import Endpoint, Request
from exporter.client.http import Client
from exporter.client.models import ResponseModel
from exporter.client.text import Name
from exporter.errors import NotFoundError
from exporter.scheduling.task import Snapshot, Task
from exporter.sources.devin import keys
from exporter.sources.devin.types import Id

TASK = "identity"


class SelfResponse(ResponseModel):
    """The fields read of the response; `org_id` is set for a key of one organization."""

    principal_type: str | None = None
    service_user_id: str | None = None
    service_user_name: Name | None = None
    org_id: Id | None = None

    @property
    def kind(self) -> str:
        """The kind of the key."""
        return keys.ENTERPRISE if self.org_id is None else keys.ORGANIZATION


ENDPOINT = Endpoint(
    path="/v3/self",
    response=TypeAdapter(SelfResponse),
    feeds="which kind of key this is",
    optional="not on older deployments",
)
OLDER_ENDPOINT = replace(ENDPOINT, path="/v3/enterprise/self", optional="")
ENDPOINTS = (ENDPOINT, OLDER_ENDPOINT)


class Identity:
    """The key as last reported by the API; an enterprise's key until the first response."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.known: SelfResponse | None = None

    @property
    def org_id(self) -> str | None:
        """The organization of the key; None for an enterprise's key."""
        return self.known.org_id if self.known else None

    @property
    def kind(self) -> str:
        """The kind of the key."""
        return self.known.kind if self.known else keys.ENTERPRISE

    def task(self, poll_interval: float) -> Task:
        """The task that all others wait for."""
        return Task(
            name=TASK,
            source=self._client.source,
            interval=poll_interval,
            metrics=(),
            poll=self.poll,
            snapshot=lambda now, max_age: Snapshot(expires=now + max_age),
        )

    def poll(self) -> None:
        """Request the identity of the key. Raises `PollError`."""
        try:
            self.known = self._client.get(Request(endpoint=ENDPOINT))
        except NotFoundError:
            self.known = self._client.get(Request(endpoint=OLDER_ENDPOINT))
