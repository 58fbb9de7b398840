"""Guardrail violations of the running cycle: `GET /v3beta1/enterprise/guardrail-violations`.

The reasoning and the user's message of a violation are never read.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pydantic import TypeAdapter

from exporter.client.endpoint import Endpoint, Request
from exporter.client.http import Client
from exporter.client.models import ListPage, ResponseModel, Timestamp
from exporter.client.response import Response
from exporter.errors import EntitiesUnknownError
from exporter.exposition.text import Word
from exporter.metrics import Metric, Sample
from exporter.scheduling.task import Task
from exporter.sources.devin import keys
from exporter.sources.devin.billing import cycles
from exporter.sources.devin.billing.windows import DAY, BillingWindows, Window, seconds
from exporter.sources.last_response import LastResponse

VIOLATIONS = Metric(
    "devin_guardrail_violations_cycle",
    "Guardrail violations in the running billing cycle, by guardrail and what was done.",
    ("guardrail_name", "action_taken"),
)
METRICS = (VIOLATIONS,)


class Violation(ResponseModel):
    """The fields read of a violation."""

    violation_id: int
    guardrail_name: Word
    action_taken: Word
    created_at: Timestamp


ENDPOINT = Endpoint(
    path="/v3beta1/enterprise/guardrail-violations",
    response=TypeAdapter(ListPage[Violation]),
    feeds="guardrail violations",
    keys=keys.ENTERPRISE_ONLY,
    optional=keys.NOT_HERE,
)


@dataclass(frozen=True, slots=True)
class CycleViolations:
    """The number of violations in a cycle, by guardrail and action; None if it is not known."""

    cycle: Window
    counts: Counter[tuple[str, str]] | None


def task(
    client: Client,
    clock: Callable[[], float],
    windows: Callable[[float], BillingWindows],
    poll_interval: float,
) -> Task:
    """The task that polls the violations of the running cycle."""

    def fetch() -> CycleViolations:
        cycle = windows(clock()).cycle
        if cycle is None:
            raise EntitiesUnknownError("the running cycle is not known yet")
        # The API's bounds may be inclusive or not: request a day more on each side, and cut here.
        params = Window(cycle.start - DAY, cycle.end + DAY).params
        listed = client.get_list(Request(endpoint=ENDPOINT, params=params))
        within = {
            item.violation_id: (item.guardrail_name, item.action_taken)
            for item in listed
            if seconds(item.created_at) in cycle
        }
        # A row that cannot be read may belong to any of the counts.
        return CycleViolations(cycle, None if listed.unreadable else Counter(within.values()))

    def samples(response: Response[CycleViolations], now: float) -> Iterator[Sample]:
        violations = response.value
        running = windows(now).certain().get("cycle")
        if violations.counts is not None and violations.cycle == running:
            for (name, action), count in sorted(violations.counts.items()):
                yield VIOLATIONS(count, guardrail_name=name, action_taken=action)

    last = LastResponse(clock, fetch=fetch, samples=samples)
    return Task(
        name="guardrails",
        source=client.source,
        interval=poll_interval,
        metrics=METRICS,
        poll=last.poll,
        snapshot=last.snapshot,
        next_window_end=lambda now: windows(now).next_window_end,
        depends_on=(cycles.TASK,),
    )
