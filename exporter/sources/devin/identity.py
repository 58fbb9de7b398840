"""The identity of the key: `GET /v3/self`, on older deployments `GET /v3/enterprise/self`.

A key for one organization opens that organization's endpoints and nothing of the enterprise. Of a
service user the response says which of the two it is. Of a personal token it names the person's own
organization, which says nothing of what the token opens: that is tried.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import TypeAdapter

from exporter.client.endpoint import Endpoint, Request
from exporter.client.http import Client
from exporter.client.models import Id, ResponseModel
from exporter.errors import NotFoundError, PermissionMissingError
from exporter.exposition.text import Name
from exporter.scheduling.kept import Entry, Kept
from exporter.scheduling.task import Snapshot, Task
from exporter.sources.devin import keys

logger = logging.getLogger(__name__)

TASK = "identity"
SERVICE_USER = "service_user"
PAT_USER = "pat_user"
ADVICE = "a service user is meant for this"


class SelfResponse(ResponseModel):
    """The fields read of it."""

    principal_type: str | None = None
    service_user_id: str | None = None
    service_user_name: Name | None = None
    user_name: Name | None = None
    org_id: Id | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyOwner:
    """The owner of the key.

    Attributes:
        kind: the kind of the key.
        org_id: the only organization that the key opens; None for an enterprise's key.
        principal_type: as the API names it; None if it does not.
        service_user_id: None for a key of nobody such.
        name: for people.
        tried: requests that it took to find out what the key opens.
    """

    kind: str
    org_id: str | None
    principal_type: str | None
    service_user_id: str | None
    name: str
    tried: int

    @property
    def is_service_user(self) -> bool:
        """Whether it is the kind of key that is meant for this."""
        return self.principal_type == SERVICE_USER

    @property
    def description(self) -> str:
        """What kind of key it is, without any word of the API or any name."""
        if self.is_service_user:
            return f"the key is an {self.kind}'s: a service user's"
        what = "a personal token" if self.principal_type == PAT_USER else "of an unknown type"
        return f"the key is an {self.kind}'s: {what}; {ADVICE}"


ENDPOINT = Endpoint(
    path="/v3/self",
    response=TypeAdapter(SelfResponse),
    feeds="which kind of key this is",
    optional="not on older deployments",
)
OLDER_ENDPOINT = replace(ENDPOINT, path="/v3/enterprise/self", optional="")
ENDPOINTS = (ENDPOINT, OLDER_ENDPOINT)


def request_self(client: Client) -> SelfResponse:
    """Request it from the endpoint that the deployment has. Raises `PollError`."""
    try:
        return client.get(Request(endpoint=ENDPOINT))
    except NotFoundError:
        return client.get(Request(endpoint=OLDER_ENDPOINT))


def owner_of(
    response: SelfResponse,
    client: Client,
    *,
    enterprise_endpoints: Sequence[Endpoint[object]],
    now: float,
) -> KeyOwner:
    """Decide whose key it is, by what it opens where the response leaves that open.

    Args:
        enterprise_endpoints: one for each permission; a key that opens none is an organization's.
        now: Unix seconds.

    Raises:
        PollError: if an endpoint neither lets the key in nor refuses it: that decides nothing.
    """
    tried: list[bool | None] = []
    if response.org_id is not None and response.principal_type != SERVICE_USER:
        for endpoint in enterprise_endpoints:
            tried.append(_opens(client, endpoint, now))
            if tried[-1]:
                break
        opens_enterprise = True in tried or False not in tried
    else:
        opens_enterprise = response.org_id is None
    return KeyOwner(
        kind=keys.ENTERPRISE if opens_enterprise else keys.ORGANIZATION,
        org_id=None if opens_enterprise else response.org_id,
        principal_type=response.principal_type,
        service_user_id=response.service_user_id,
        name=response.service_user_name
        or response.service_user_id
        or response.user_name
        or "unknown",
        tried=len(tried),
    )


def _opens(client: Client, endpoint: Endpoint[object], now: float) -> bool | None:
    """Whether the key opens an endpoint; None if the deployment has no such endpoint."""
    try:
        client.get(Request(endpoint=endpoint, params=endpoint.check_params(now)))
    except NotFoundError:
        return None
    except PermissionMissingError as refusal:
        if not refusal.documented:
            raise
        return False
    return True


_KEY_OWNER = TypeAdapter(KeyOwner)


class Identity:
    """The key as last reported by the API; taken for an enterprise's until the first response.

    Args:
        enterprise_endpoints: what a key is tried at whose type says nothing of what it opens.
    """

    def __init__(
        self,
        client: Client,
        clock: Callable[[], float],
        *,
        enterprise_endpoints: Sequence[Endpoint[object]],
    ) -> None:
        self._client = client
        self._clock = clock
        self._enterprise_endpoints = enterprise_endpoints
        self.known: KeyOwner | None = None

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
            kept=(Kept(name=TASK, entries=self._entries, restore=self._restore),),
        )

    def _entries(self) -> Mapping[str, Entry]:
        owner = self.known
        return {} if owner is None else {TASK: Entry(owner, lambda: _KEY_OWNER.dump_json(owner))}

    def _restore(self, values: Mapping[str, bytes]) -> None:
        for value in values.values():
            self.known = _KEY_OWNER.validate_json(value)

    def poll(self) -> None:
        """Ask who we are. Raises `PollError`."""
        owner = owner_of(
            request_self(self._client),
            self._client,
            enterprise_endpoints=self._enterprise_endpoints,
            now=self._clock(),
        )
        before = self.known.description if self.known else None
        self.known = owner
        if owner.description != before:
            level = logging.INFO if owner.is_service_user else logging.WARNING
            logger.log(level, "%s", owner.description, extra={"task": TASK})
