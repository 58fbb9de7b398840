"""Automations of each organization: `GET /v3/organizations/{org_id}/automations`."""

import threading
from collections import Counter
from collections.abc import Callable

from pydantic import TypeAdapter

from exporter.client.endpoint import Endpoint, Request
from exporter.client.fan_out import Attempts, for_each_entity
from exporter.client.http import Client
from exporter.client.models import Id, Listing, ListPage, ResponseModel
from exporter.client.response import Response, first_expiry
from exporter.errors import NotFoundError, PermissionMissingError, strip_traceback
from exporter.metrics import Metric
from exporter.scheduling.task import Snapshot, Task
from exporter.sources.devin import keys
from exporter.sources.devin.members import directory

INTERVALS = 4
"""The interval is this many times longer, as each organization needs a request."""

REFUSED_SECONDS = 86_400.0
"""An organization where the key may not read them is requested again after this."""

AUTOMATIONS = Metric(
    "devin_organization_automations",
    "Automations of an organization, enabled and disabled; absent where the key may not read them.",
    ("org_id", "state"),
)
METRICS = (AUTOMATIONS,)


class Automation(ResponseModel):
    """The fields read of an automation."""

    automation_id: Id
    enabled: bool


ENDPOINT = Endpoint(
    path="/v3/organizations/{org_id}/automations",
    response=TypeAdapter(ListPage[Automation]),
    feeds="automations",
    permission=keys.VIEW_ORG_AUTOMATIONS,
    optional="not for this key",
)


class Automations:
    """The automations of each organization as last reported."""

    def __init__(
        self, client: Client, clock: Callable[[], float], people: directory.Directory
    ) -> None:
        self._client = client
        self._clock = clock
        self._people = people
        self._lists: dict[str, Response[Listing[Automation]]] = {}
        self._refused: dict[str, Response[NotFoundError | PermissionMissingError]] = {}
        self._attempts = Attempts()
        self._lock = threading.Lock()

    def task(self, poll_interval: float) -> Task:
        """The task that polls every organization."""
        return Task(
            name="automations",
            source=self._client.source,
            interval=poll_interval * INTERVALS,
            metrics=METRICS,
            poll=self.poll,
            snapshot=self.snapshot,
            depends_on=(directory.ORGANIZATIONS_TASK,),
        )

    def poll(self) -> None:
        """Request the list of every organization, unless it was refused within a day.

        Raises:
            NotFoundError: if no organization has the endpoint.
            PermissionMissingError: if the key may read no organization's.
            PollError: for any other failure.
        """
        org_ids, now = self._people.org_ids(), self._clock()
        with self._lock:
            self._lists = {
                org_id: each for org_id, each in self._lists.items() if org_id in org_ids
            }
            self._refused = {
                org_id: each
                for org_id, each in self._refused.items()
                if org_id in org_ids and each.is_fresh(now, REFUSED_SECONDS)
            }
        self._attempts.retain(org_ids)
        for_each_entity(
            self._attempts.least_recent_first(org_ids - self._refused.keys()),
            self._request,
            threads=self._client.concurrency,
        )
        refusals = [self._refused.get(org_id) for org_id in sorted(org_ids)]
        first = refusals[0] if refusals else None
        if first is not None and all(refusals):
            self._refused = {}
            raise first.value

    def _request(self, org_id: str) -> None:
        requested_at = self._clock()
        try:
            listed = self._client.get_list(Request(endpoint=ENDPOINT, ids={"org_id": org_id}))
        except (NotFoundError, PermissionMissingError) as refusal:
            if org_id in self._lists:
                raise
            with self._lock:
                self._refused[org_id] = Response(requested_at, strip_traceback(refusal))
        else:
            with self._lock:
                self._lists[org_id] = Response(requested_at, listed)
        finally:
            self._attempts.note(org_id, requested_at)

    def snapshot(self, now: float, max_age: float) -> Snapshot:
        """The fresh lists; an organization with a row that cannot be read has no counts."""
        with self._lock:
            lists = dict(self._lists)
            asked = self._attempts.entities() - self._refused.keys()
        fresh = {org_id: each for org_id, each in lists.items() if each.is_fresh(now, max_age)}
        counts = {
            org_id: Counter(item.enabled for item in each.value)
            for org_id, each in sorted(fresh.items())
            if not each.value.unreadable
        }
        return Snapshot(
            tuple(
                AUTOMATIONS(count[enabled], org_id=org_id, state=state)
                for org_id, count in counts.items()
                for state, enabled in (("enabled", True), ("disabled", False))
            ),
            expires=first_expiry((each.requested_at for each in fresh.values()), max_age),
            expired_entities=len(asked - fresh.keys()),
        )
