"""Responses that only a dedicated deployment has: hypervisors and guardrail violations."""

from collections.abc import Mapping, Sequence

from exporter.demo.people import DAY
from exporter.demo.world import World

Record = Mapping[str, object]

SIX_HOURS = 6 * 3_600


def hypervisors(world: World, now: float) -> Sequence[Record]:
    """Four hypervisors, one of them restarting."""
    return [
        {
            "hypervisor_id": f"hypervisor-{number}",
            "status": "restarting" if number == 3 else "available",
            "utilization_percentage": round(
                100 * world.population.chance(70, number, int(now) // 60), 1
            ),
            "cloud_provider_instance_id": None,
            "created_at": None,
            "last_heartbeat": int(now),
        }
        for number in range(4)
    ]


def guardrail_violations(world: World, now: float, after: int, before: int) -> Sequence[Record]:
    """One violation every six hours."""
    first = max(after, world.founded * DAY) // SIX_HOURS + 1
    latest = min(int(now), before) // SIX_HOURS
    return [
        {
            "violation_id": number,
            "guardrail_id": f"guardrail-{number % 2}",
            "guardrail_name": ("No secrets", "No production data")[number % 2],
            "action_taken": "blocked" if world.population.chance(71, number) < 0.7 else "warned",
            "confidence_score": 0.9,
            "created_at": number * SIX_HOURS,
            "event_id": f"event-{number}",
            "org_id": world.organizations[number % len(world.organizations)][0],
            "session_id": None,
            "reasoning": "the reasoning is nobody's business",
            "user_message": "nor is the message",
        }
        for number in range(first, latest + 1)
    ]
