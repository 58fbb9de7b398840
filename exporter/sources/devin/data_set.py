"""A data set: a task and the endpoints that its polls request."""

from dataclasses import dataclass, replace

from exporter.client.endpoint import Endpoint
from exporter.errors import NotFoundError, PermissionMissingError, SwitchedOffError
from exporter.scheduling.task import Task
from exporter.sources.devin.identity import Identity
from exporter.sources.optional import OptionalEndpoint


@dataclass(frozen=True, slots=True)
class DataSet:
    """A task and the endpoints that one of its polls requests.

    Attributes:
        endpoints: one entry per request, which is sent for every entity in the path. Endpoints
            for another kind of key are not requested.
        needs_none: whether a poll succeeds even if none of them is for the key.
    """

    task: Task
    endpoints: tuple[Endpoint[object], ...] = ()
    needs_none: bool = False

    def for_key(self, identity: Identity) -> Task:
        """The task; it is off if no endpoint is for the key, or if all are optional and absent."""
        poll = self.task.poll
        if poll is None or self.needs_none:
            return self.task
        if all(endpoint.optional for endpoint in self.endpoints):
            why = self.endpoints[0].optional
            poll = OptionalEndpoint(
                poll,
                absent=(NotFoundError, PermissionMissingError),
                after_success=False,
                because=lambda absent: f"{why}: {absent}",
            )

        def poll_with_key() -> None:
            if not any(endpoint.is_for(identity.kind) for endpoint in self.endpoints):
                raise SwitchedOffError(f"the key is an {identity.kind}'s")
            poll()

        return replace(self.task, poll=poll_with_key)
