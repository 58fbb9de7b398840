"""A session as the list of sessions has it: `GET /v3/enterprise/sessions`, and per organization."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import AfterValidator, TypeAdapter

from exporter.client.endpoint import Endpoint
from exporter.client.http import PAGE_SIZE
from exporter.client.models import (
    Acus,
    Array,
    Id,
    Listing,
    ListPage,
    ResponseModel,
    Timestamp,
)
from exporter.exposition.text import Name, Word
from exporter.sources.devin import keys
from exporter.sources.devin.billing.windows import DAY

RUNNING = frozenset({"running", "resuming"})


LONGEST_ADDRESS = 2_000
"""The characters of an address that are read."""

Address = Annotated[str, AfterValidator(lambda text: text[:LONGEST_ADDRESS])]
"""The address of a pull request; it is not published."""


class PullRequest(ResponseModel):
    """A pull request of a session."""

    pr_url: Address
    pr_state: Word | None = None


class SessionItem(ResponseModel):
    """The fields read of a session."""

    session_id: Id
    org_id: str
    url: str
    status: Word
    acus_consumed: Acus
    created_at: Timestamp
    updated_at: Timestamp
    title: Name | None = None
    user_id: str | None = None
    service_user_id: str | None = None
    status_detail: Word | None = None
    origin: Word | None = None
    category: Word | None = None
    playbook_id: Word | None = None
    automation_id: Word | None = None
    tags: Array[Word] | None = None
    pull_requests: Array[PullRequest] | None = None

    @property
    def known_as(self) -> str:
        """The id without its prefix, which the API does not always send."""
        return self.session_id.removeprefix("devin-")

    @property
    def still_runs(self) -> bool:
        """Whether it may consume more ACUs; a finished task keeps the status `running`."""
        return self.status in RUNNING and self.status_detail != "finished"


ENDPOINT = Endpoint(
    path="/v3/enterprise/sessions",
    response=TypeAdapter(ListPage[SessionItem]),
    feeds="sessions",
    permission=keys.VIEW_SESSIONS,
    keys=keys.ENTERPRISE_ONLY,
    check_params=lambda now: {"first": PAGE_SIZE, "updated_after": int(now) - DAY},
)
ORG_ENDPOINT = replace(
    ENDPOINT,
    path="/v3/organizations/{org_id}/sessions",
    permission=keys.VIEW_ORG_SESSIONS,
    keys=keys.ORGANIZATION_ONLY,
)
ENDPOINTS = (ENDPOINT, ORG_ENDPOINT)


@dataclass(frozen=True, slots=True)
class Changes:
    """The sessions that changed from `since` to `requested_at` (Unix seconds), as listed then."""

    since: float
    requested_at: float
    items: Listing[SessionItem]


def newest(items: Iterable[SessionItem], count: int) -> list[SessionItem]:
    """The sessions that were created last."""
    return sorted(items, key=lambda item: (-item.created_at, item.known_as))[:count]
