"""Guardrail violations of the running cycle: `GET /v3beta1/enterprise/guardrail-violations`.

What a violation says of its reasons and of a user's message is never read.
"""

from collections import Counter
from collections.abc import Callable, Iterator

from pydantic import TypeAdapter

from exporter.errors import EntitiesUnknownError
from exporter.http import Client
from exporter.metrics import Metric, Sample
from exporter.shapes import ApiModel, Page
from exporter.sources.devin import cycles
from exporter.sources.devin.fields import Timestamp
from exporter.sources.devin.windows import DAY, BillingWindows, Window, seconds
from exporter.tasks import Answer, Snapshot, Task, while_fresh
from exporter.texts import Word

ENDPOINT = "/v3beta1/enterprise/guardrail-violations"

VIOLATIONS = Metric(
    "devin_guardrail_violations_cycle",
    "Guardrail violations in the running billing cycle, by guardrail and what was done.",
    ("guardrail_name", "action_taken"),
)
METRICS = (VIOLATIONS,)


class Violation(ApiModel):
    """The fields read of a violation."""

    violation_id: int
    guardrail_name: Word
    action_taken: Word
    created_at: Timestamp


SHAPE = TypeAdapter(Page[Violation])
Told = tuple[Window, Counter[tuple[str, str]]]
"""The cycle asked for, and how many violations it has by guardrail and action."""


class Guardrails:
    """The violations as last seen, with the cycle that was asked for."""

    def __init__(
        self,
        client: Client,
        clock: Callable[[], float],
        windows: Callable[[float], BillingWindows],
    ) -> None:
        self._client = client
        self._clock = clock
        self._windows = windows
        self._answer: Answer[Told] | None = None

    def task(self, poll_interval: float) -> Task:
        """The task that keeps them."""
        return Task(
            name="guardrails",
            source=self._client.source,
            interval=poll_interval,
            metrics=METRICS,
            poll=self.poll,
            snapshot=self.snapshot,
            next_end=lambda now: self._windows(now).next_end,
            after=(cycles.TASK,),
        )

    def poll(self) -> None:
        """Ask for the running cycle's. Raises `PollError`."""
        sent = self._clock()
        cycle = self._windows(sent).cycle
        if cycle is None:
            raise EntitiesUnknownError("the running cycle is not known yet")
        # The API's bounds may or may not be inclusive: a day more on each side, cut here.
        params = {"time_after": int(cycle.start - DAY), "time_before": int(cycle.end + DAY)}
        items = self._client.get_list(ENDPOINT, SHAPE, params=params)
        within = {
            item.violation_id: (item.guardrail_name, item.action_taken)
            for item in items
            if seconds(item.created_at) in cycle
        }
        self._answer = Answer(sent, (cycle, Counter(within.values())))

    def snapshot(self, now: float, max_age: float) -> Snapshot:
        """Counts by guardrail and action, for the cycle that was asked for."""

        def samples(told: Answer[Told]) -> Iterator[Sample]:
            cycle, counts = told.value
            for (name, action), count in sorted(counts.items()):
                if cycle == self._windows(now).cycle:
                    yield VIOLATIONS(count, guardrail_name=name, action_taken=action)

        return while_fresh(self._answer, now, max_age, samples)
