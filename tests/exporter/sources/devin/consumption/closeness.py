"""How much of each limit the simulated enterprise has used, as its vendor judges it."""

from collections.abc import Mapping

from exporter.demo.limits import CLOUD_OF_LAST, OF_USERS, cloud, local
from exporter.demo.world import World

Closeness = Mapping[tuple[str, str], float]
"""By id, and what the limit is of: `cloud` or `local` use of an organization, `all` of a user."""


def closeness(world: World, now: float) -> Closeness:
    """Shares of the limits that are used in the running cycle. Limits of 0 are left out."""
    (start, end), *_ = world.cycles(now)
    days = range(world.calendar.number(start), world.calendar.number(end))
    last = len(world.organizations) - 1
    found: dict[tuple[str, str], float] = {}
    for org, (org_id, _) in enumerate(world.organizations):
        use = _summed(world.consumption(days, now, org=org))
        of_cloud, of_local = CLOUD_OF_LAST if org == last else cloud(org), local(org)
        if of_cloud:
            found[org_id, "cloud"] = use["devin"] / of_cloud
        if of_local:
            found[org_id, "local"] = (use["cascade"] + use["terminal"]) / of_local
    for user, limit in zip(world.people, OF_USERS, strict=False):
        use = _summed(world.personal_consumption(user, days, now))
        if limit:
            found[user.id, "all"] = (use["devin"] + use["cascade"] + use["terminal"]) / limit
    return found


def _summed(usage: Mapping[int, Mapping[str, float]]) -> dict[str, float]:
    total = dict.fromkeys(("devin", "cascade", "terminal", "review"), 0.0)
    for use in usage.values():
        for product, acus in use.items():
            total[product] += acus
    return total
