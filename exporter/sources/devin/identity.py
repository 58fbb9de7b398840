"""Whose key it is: `GET /v3/self`, on older deployments `GET /v3/enterprise/self`.

A key for one organization opens that organization's endpoints and nothing of the enterprise.
"""

from dataclasses import replace

from pydantic import TypeAdapter

from exporter.errors import NotFoundError, PermissionMissingError, SwitchedOffError
from exporter.http import Client
from exporter.shapes import ApiModel
from exporter.sources.absence import UnlessAbsent
from exporter.sources.devin.fields import Id
from exporter.tasks import Snapshot, Task
from exporter.texts import Name

TASK = "identity"
ENDPOINT = "/v3/self"
OLDER_ENDPOINT = "/v3/enterprise/self"


class SelfAnswer(ApiModel):
    """The fields read of it; `org_id` is set for a key of one organization."""

    principal_type: str | None = None
    service_user_id: str | None = None
    service_user_name: Name | None = None
    org_id: Id | None = None


SHAPE = TypeAdapter(SelfAnswer)


class Identity:
    """The key as last seen; taken for an enterprise's until the API has told."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.known: SelfAnswer | None = None

    @property
    def org_id(self) -> str | None:
        """The only organization that the key opens; None for an enterprise's key."""
        return self.known.org_id if self.known else None

    def task(self, poll_interval: float) -> Task:
        """The task that every other one waits for."""
        return Task(
            name=TASK,
            source=self._client.source,
            interval=poll_interval,
            metrics=(),
            poll=self.poll,
            snapshot=lambda now, max_age: Snapshot(expires=now + max_age),
        )

    def poll(self) -> None:
        """Ask who we are. Raises `PollError`."""
        try:
            self.known = self._client.get(ENDPOINT, SHAPE)
        except NotFoundError:
            self.known = self._client.get(OLDER_ENDPOINT, SHAPE)

    def enterprise_only(self, task: Task) -> Task:
        """The same task, off for an organization's key."""
        poll = task.poll
        if poll is None:
            return task

        def poll_enterprise() -> None:
            if self.org_id is not None:
                raise SwitchedOffError("the key is an organization's")
            poll()

        return replace(task, poll=poll_enterprise)


def where_there_is_one(task: Task) -> Task:
    """The same task, off where the deployment does not have the endpoint."""
    poll = task.poll
    if poll is None:
        return task
    unless_absent = UnlessAbsent(
        poll,
        absent=(NotFoundError, PermissionMissingError),
        after_success=False,
        because=lambda absent: f"not on this deployment: {absent}",
    )
    return replace(task, poll=unless_absent)
