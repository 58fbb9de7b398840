"""Counts that the API makes over exactly the requested window, for one or many entities.

It is not documented whether the bounds of a window are inclusive.
"""

import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, TypeVar

from pydantic import TypeAdapter

from exporter.client.endpoint import Endpoint, Request
from exporter.client.fan_out import Attempts, for_each_entity, run_all
from exporter.client.http import Client
from exporter.client.response import Response, first_expiry
from exporter.errors import EntitiesUnknownError
from exporter.metrics import Metric, Sample
from exporter.scheduling.task import Snapshot, Task
from exporter.sources.devin import keys
from exporter.sources.devin.billing import cycles
from exporter.sources.devin.billing.windows import BillingWindows, Window, billing_month
from exporter.sources.devin.data_set import DataSet

T = TypeVar("T")
Ids = Mapping[str, str]

ENTERPRISE: Ids = {}


def metrics_endpoints(
    name: str, response: TypeAdapter[T], *, feeds: str
) -> tuple[Endpoint[T], Endpoint[T]]:
    """`/v3/enterprise/metrics/{name}` and `/v3/organizations/{org_id}/metrics/{name}`."""
    endpoint = Endpoint(
        path=f"/v3/enterprise/metrics/{name}",
        response=response,
        feeds=feeds,
        permission=keys.VIEW_METRICS,
        keys=keys.ENTERPRISE_ONLY,
        check_params=lambda now: billing_month(now).params,
    )
    path = f"/v3/organizations/{{org_id}}/metrics/{name}"
    return endpoint, replace(endpoint, path=path, keys=keys.ANY)


@dataclass(frozen=True, slots=True)
class WindowQuery:
    """One request per entity: its window, and how its response becomes samples."""

    window: str
    endpoint: Endpoint[object]
    fetch: Callable[[Client, Ids, Window], tuple[Sample, ...]]


def window_query(
    window: str, endpoint: Endpoint[T], samples: Callable[[T, Ids], Iterable[Sample]]
) -> WindowQuery:
    """A query whose response becomes samples with the entity's labels.

    Args:
        window: `today`, `yesterday`, `cycle` or `previous_cycle`.
        endpoint: the parameters of its path are also the labels of an entity.
        samples: makes samples from a response and the entity's labels.
    """

    def fetch(client: Client, ids: Ids, over: Window) -> tuple[Sample, ...]:
        request = Request(endpoint=endpoint, ids=ids, params=over.params)
        return tuple(samples(client.get(request), ids))

    return WindowQuery(window, endpoint, fetch)


@dataclass(frozen=True, slots=True)
class DailyCount(Generic[T]):
    """What a billing day has had, of the enterprise and of each organization.

    Attributes:
        endpoint: the enterprise's.
        org_endpoint: an organization's.
        metric: of the last complete billing day.
        org_metric: the same of an organization.
        count: takes the count from a response.
    """

    endpoint: Endpoint[T]
    org_endpoint: Endpoint[T]
    metric: Metric
    org_metric: Metric
    count: Callable[[T], float]

    def request(self, org_id: str, day: Window) -> Request[T]:
        """The request for one day; `org_id` is empty for the enterprise."""
        endpoint = self.org_endpoint if org_id else self.endpoint
        return Request(endpoint=endpoint, ids=_ids(org_id), params=day.params)

    def sample(self, org_id: str, response: T) -> Sample:
        """The sample of a response."""
        return (self.org_metric if org_id else self.metric)(self.count(response), **_ids(org_id))

    def query(self) -> WindowQuery:
        """Yesterday's count of the enterprise."""
        return window_query("yesterday", self.endpoint, self._samples)

    def org_query(self) -> WindowQuery:
        """Yesterday's count of each organization."""
        return window_query("yesterday", self.org_endpoint, self._samples)

    def _samples(self, response: T, ids: Ids) -> tuple[Sample, ...]:
        return (self.sample(ids.get("org_id", ""), response),)


def _ids(org_id: str) -> Ids:
    return {"org_id": org_id} if org_id else ENTERPRISE


@dataclass(frozen=True, slots=True)
class WindowSamples:
    """The samples of a response, and the window that was requested."""

    window: Window
    samples: tuple[Sample, ...]


class WindowedMetrics:
    """The last response to each of a set of queries, for each entity."""

    def __init__(
        self,
        client: Client,
        clock: Callable[[], float],
        windows: Callable[[float], BillingWindows],
        queries: Sequence[WindowQuery],
    ) -> None:
        self._client = client
        self._clock = clock
        self._windows = windows
        self._queries = queries
        self._responses: dict[str, dict[int, Response[WindowSamples]]] = {}
        self._attempts = Attempts()
        self._lock = threading.Lock()

    def data_set(
        self,
        name: str,
        interval: float,
        metrics: tuple[Metric, ...],
        *,
        list_entities: Callable[[], Mapping[str, Ids]] | None = None,
        after: tuple[str, ...] = (),
    ) -> DataSet:
        """The task that sends the queries for the enterprise, or for each listed entity."""
        each = None if list_entities is None else partial(self._poll_each, list_entities)
        task = Task(
            name=name,
            source=self._client.source,
            interval=interval,
            metrics=metrics,
            poll=each or self._poll_enterprise,
            snapshot=self.snapshot,
            next_window_end=lambda now: self._windows(now).next_window_end,
            depends_on=(cycles.TASK, *after),
        )
        return DataSet(task, tuple(query.endpoint for query in self._queries))

    def _poll_enterprise(self) -> None:
        self._responses.setdefault("", {})
        self._poll("", ENTERPRISE)

    def _poll_each(self, list_entities: Callable[[], Mapping[str, Ids]]) -> None:
        entities = list_entities()
        with self._lock:
            self._responses = {entity: self._responses.get(entity, {}) for entity in entities}
        self._attempts.retain(entities)
        for_each_entity(
            self._attempts.least_recent_first(entities),
            lambda entity: self._poll(entity, entities[entity]),
            threads=self._client.concurrency,
        )

    def _poll(self, entity: str, ids: Ids) -> None:
        windows = self._windows(self._clock()).by_name()
        requests = {
            str(number): partial(self._send, entity, ids, number, windows[query.window])
            for number, query in enumerate(self._queries)
            if query.window in windows
        }
        try:
            if not requests:
                raise EntitiesUnknownError("the running cycle is not known yet")
            run_all(requests)
        finally:
            self._attempts.note(entity, self._clock())

    def _send(self, entity: str, ids: Ids, number: int, window: Window) -> None:
        requested_at = self._clock()
        samples = self._queries[number].fetch(self._client, ids, window)
        with self._lock:
            response = Response(requested_at, WindowSamples(window, samples))
            self._responses[entity][number] = response

    def value(self, metric: Metric, now: float) -> float | None:
        """The sum of a family over all entities, as far as known at `now`; None if none is."""
        taken = self.snapshot(now, math.inf).samples
        values = [sample.value for sample in taken if sample.metric is metric]
        return math.fsum(values) if values else None

    def snapshot(self, now: float, max_age: float) -> Snapshot:
        """The samples of fresh responses whose window is the current one and that cover it."""
        windows = self._windows(now).certain()
        with self._lock:
            known = {entity: dict(self._responses[entity]) for entity in sorted(self._responses)}
        attempted = self._attempts.entities()
        samples: list[Sample] = []
        used: list[float] = []
        missing = 0
        for entity, responses in known.items():
            fresh = {n: each for n, each in responses.items() if each.is_fresh(now, max_age)}
            missing += entity in attempted and (len(fresh) < len(responses) or not fresh)
            used += [each.requested_at for each in fresh.values()]
            for number, each in sorted(fresh.items()):
                window = windows.get(self._queries[number].window)
                if window == each.value.window and window.covers(each.requested_at, now):
                    samples.extend(each.value.samples)
        return Snapshot(
            tuple(samples), expires=first_expiry(used, max_age), expired_entities=missing
        )
