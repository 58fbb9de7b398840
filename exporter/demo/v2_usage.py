"""The response of the simulated v2 API, for the same enterprise. Pure."""

from collections.abc import Mapping

from exporter.demo.people import DAY
from exporter.demo.world import World

Record = Mapping[str, object]


def usage(world: World, now: float, after: int | None, before: int | None) -> Record:
    """`/v2/enterprise/metrics/usage`; the running cycle if there are no bounds.

    As with a git server on premises, the states of pull requests are those of the last midnight.
    """
    begun, ends = world.cycles(now)[0]
    start, end = begun if after is None else after, ends if before is None else before
    totals = world.sessions(start, end, now, org=None)
    states = totals.by_pull_request
    midnight = int(now) // DAY * DAY
    synchronised = world.sessions(start, min(end, midnight), now, org=None).by_pull_request
    return {
        "sessions_count": totals.created,
        "searches_count": world.searches(start, end, now, org=None),
        "prs_opened": states.total() - states[None],
        "prs_closed": synchronised["closed"],
        "prs_merged": synchronised["merged"],
    }
