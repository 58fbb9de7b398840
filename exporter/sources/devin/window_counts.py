"""Counts that the API makes over exactly the window asked for, of one or of many entities.

Whether the API counts what was created in the very second of a bound is not documented.
"""

import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from pydantic import TypeAdapter

from exporter.errors import EntitiesUnknownError
from exporter.http import Client
from exporter.metrics import Metric, Sample
from exporter.sources.devin import cycles
from exporter.sources.devin.windows import BillingWindows, Window
from exporter.sweep import ask_each, sweep
from exporter.tasks import Answer, Snapshot, Task

T = TypeVar("T")
Ids = Mapping[str, str]

ENTERPRISE: Ids = {}


@dataclass(frozen=True, slots=True)
class Question:
    """One request per entity: the window it is asked for, and what becomes of its answer."""

    window: str
    endpoint: str
    ask: Callable[[Client, Ids, Window], tuple[Sample, ...]]


def question(
    window: str,
    endpoint: str,
    shape: TypeAdapter[T],
    samples: Callable[[T, Ids], Iterable[Sample]],
) -> Question:
    """A question whose answer of a given shape becomes samples with the entity's labels.

    Args:
        window: `today`, `yesterday` or `cycle`.
        endpoint: path template; its parameters are the entity's labels.
    """

    def ask(client: Client, ids: Ids, asked_for: Window) -> tuple[Sample, ...]:
        params = {"time_after": int(asked_for.start), "time_before": int(asked_for.end)}
        return tuple(samples(client.get(endpoint, shape, ids=ids, params=params), ids))

    return Question(window, endpoint, ask)


@dataclass(frozen=True, slots=True)
class _Told:
    window: Window
    samples: tuple[Sample, ...]


class WindowCounts:
    """What a set of questions was last answered with, for each entity."""

    def __init__(
        self,
        client: Client,
        clock: Callable[[], float],
        windows: Callable[[float], BillingWindows],
        questions: Sequence[Question],
    ) -> None:
        self._client = client
        self._clock = clock
        self._windows = windows
        self._questions = questions
        self._told: dict[str, dict[int, Answer[_Told]]] = {}
        self._attempted: dict[str, float] = {}
        self._lock = threading.Lock()

    def task(
        self,
        name: str,
        interval: float,
        metrics: tuple[Metric, ...],
        *,
        listed: Callable[[], Mapping[str, Ids]] | None = None,
        after: tuple[str, ...] = (),
    ) -> Task:
        """The task that asks them of the enterprise, or of each entity that is listed."""
        return Task(
            name=name,
            source=self._client.source,
            interval=interval,
            metrics=metrics,
            poll=self._poll_enterprise if listed is None else partial(self._poll_each, listed),
            snapshot=self.snapshot,
            next_end=lambda now: self._windows(now).next_end,
            after=(cycles.TASK, *after),
        )

    def _poll_enterprise(self) -> None:
        self._told.setdefault("", {})
        self._ask("", ENTERPRISE)

    def _poll_each(self, listed: Callable[[], Mapping[str, Ids]]) -> None:
        entities = listed()
        with self._lock:
            self._told = {entity: self._told.get(entity, {}) for entity in entities}
            self._attempted = {e: at for e, at in self._attempted.items() if e in entities}
            in_turn = sorted(entities, key=lambda entity: (self._attempted.get(entity, 0), entity))
        sweep(
            in_turn,
            lambda entity: self._ask(entity, entities[entity]),
            threads=self._client.concurrency,
        )

    def _ask(self, entity: str, ids: Ids) -> None:
        windows = self._windows(self._clock()).by_name()
        requests = {
            str(number): partial(self._ask_one, entity, ids, number, windows[each.window])
            for number, each in enumerate(self._questions)
            if each.window in windows
        }
        try:
            if not requests:
                raise EntitiesUnknownError("the running cycle is not known yet")
            ask_each(requests)
        finally:
            with self._lock:
                self._attempted[entity] = self._clock()

    def _ask_one(self, entity: str, ids: Ids, number: int, window: Window) -> None:
        sent = self._clock()
        samples = self._questions[number].ask(self._client, ids, window)
        with self._lock:
            self._told[entity][number] = Answer(sent, _Told(window, samples))

    def value(self, metric: Metric, now: float) -> float | None:
        """The sum over all entities of a family that is known now; None if none of it is."""
        taken = self.snapshot(now, math.inf).samples
        values = [sample.value for sample in taken if sample.metric is metric]
        return math.fsum(values) if values else None

    def snapshot(self, now: float, max_age: float) -> Snapshot:
        """The answers about windows that are still the same, where they tell them."""
        windows = self._windows(now).by_name()
        with self._lock:
            told = {entity: dict(self._told[entity]) for entity in sorted(self._told)}
            attempted = frozenset(self._attempted)
        samples: list[Sample] = []
        expires = math.inf
        missing = 0
        for entity, answers in told.items():
            fresh = {n: answer for n, answer in answers.items() if answer.fresh(now, max_age)}
            missing += entity in attempted and (len(fresh) < len(answers) or not fresh)
            expires = min([expires, *(answer.sent + max_age for answer in fresh.values())])
            for number, answer in sorted(fresh.items()):
                window = windows.get(self._questions[number].window)
                if window == answer.value.window and window.told_by(answer.sent, now):
                    samples.extend(answer.value.samples)
        return Snapshot(tuple(samples), expires=expires, missing=missing)
