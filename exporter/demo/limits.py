"""The limits of the simulated enterprise, its organizations and its users. Pure."""

from collections.abc import Mapping, Sequence

from exporter.demo.world import World

Record = Mapping[str, object]

CLOUD_OF_LAST = 4_000
"""ACUs that the last organization may use in cloud sessions, by the list of limits."""

OF_USERS = (300, 0)
"""ACUs of the users with a permanent override; the second of them may use nothing."""


def cloud(org: int) -> int | None:
    """ACUs that an organization may use in cloud sessions, by its own entry."""
    return None if org % 2 else 1_000 * (org + 1)


def local(org: int) -> int | None:
    """ACUs that an organization may use in desktop, IDE and CLI."""
    return None if org % 3 == 1 else 60 * (org + 1)


def listed(world: World) -> Sequence[Record]:
    """The list of limits."""
    org_id, _ = world.organizations[-1]
    return [
        {"scope": "enterprise", "cycle_acu_limit": 50_000, "org_id": None, "user_id": None},
        {"scope": "org", "cycle_acu_limit": CLOUD_OF_LAST, "org_id": org_id, "user_id": None},
        *(
            {"scope": "user", "cycle_acu_limit": acus, "org_id": None, "user_id": user.id}
            for user, acus in zip(world.people, OF_USERS, strict=False)
        ),
    ]


def of_organization(world: World, org: int) -> Record:
    """Both limits of an organization; one that it lacks is left out."""
    last = org == len(world.organizations) - 1
    limits = {"cloud_agent": CLOUD_OF_LAST if last else cloud(org), "local_agent": local(org)}
    return {agent: {"cycle_acu_limit": acus} for agent, acus in limits.items() if acus is not None}


def tiers() -> Sequence[Record]:
    """The tiers of users' limits; the last one has no limit."""
    limits = {"Default": 200, "Power users": 1_000, "Unlimited": None}
    return [
        {"id": f"tier-{number}", "name": name, "cycle_acu_limit": acus}
        for number, (name, acus) in enumerate(limits.items())
    ]
