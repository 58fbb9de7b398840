"""The responses of the simulated API, made from the world, without HTTP."""

from collections.abc import Callable, Mapping, Sequence

from exporter.demo import counts, dedicated_deployment, limits, session_list
from exporter.demo.gateway import Gateway
from exporter.demo.people import DAY, Person, next_day, next_month, next_week
from exporter.demo.world import Use, World

ELEVATED_ABOVE = 10
HIGH_ABOVE = 50
Record = Mapping[str, object]


class NoSuchEntityError(Exception):
    """There is no such organization, user or service user, or no bill of such a session."""


class Responses:
    """One method for each kind of response, as of the current time of the clock."""

    def __init__(self, world: World, clock: Callable[[], float]) -> None:
        self._world = world
        self._clock = clock
        self._orgs = {org_id: index for index, (org_id, _) in enumerate(world.organizations)}
        self._people = {person.id: person for person in world.people}
        self.gateway = Gateway(world.population.chance)

    def self_(self, org_id: str | None) -> Record:
        """`/v3/self`."""
        bot = next(person for person in self._world.people if person.service)
        return {
            "principal_type": "service_user",
            "service_user_id": bot.id,
            "service_user_name": bot.name,
            "org_id": org_id,
        }

    def cycles(self) -> Sequence[Record]:
        """`…/consumption/cycles`."""
        cycles = self._world.cycles(self._clock())
        return [{"after": after, "before": before} for after, before in cycles]

    def consumption(self, ids: Mapping[str, str], after: int, before: int) -> Record:
        """`…/consumption/daily…`; days without use are left out."""
        now = self._clock()
        calendar = self._world.calendar
        days = range(calendar.number(after), calendar.number(min(before, now)) + 1)
        person_id = ids.get("user_id", ids.get("service_user_id"))
        if "session_id" in ids:
            org = self._org(ids["org_id"]) if "org_id" in ids else None
            usage = session_list.bill(self._world, ids["session_id"], now, org=org)
            if not usage:
                raise NoSuchEntityError
        elif person_id is not None:
            usage = self._world.personal_consumption(self._person(person_id), days, now)
        elif "org_id" in ids:
            usage = self._world.consumption(days, now, org=self._org(ids["org_id"]))
        else:
            usage = self._world.consumption(days, now)
        rows = [
            _day(day, calendar.start_of(day), use)
            for day, use in sorted(usage.items())
            if after <= calendar.start_of(day) < before
        ]
        return {
            "total_acus": sum(sum(use.values()) for use in usage.values()),
            "consumption_by_date": rows,
        }

    def active_users(
        self, period: str, after: int, before: int, org_id: str | None
    ) -> Sequence[Record]:
        """`…/metrics/{dau,wau,mau}`: ascending, clipped to the requested window."""
        now = self._clock()
        org = None if org_id is None else self._org(org_id)
        following = {"dau": next_day, "wau": next_week, "mau": next_month}[period]
        rows: list[Record] = []
        start = float(after // DAY * DAY)
        while start < min(before, now):
            end = min(following(start), float(before // DAY * DAY))
            if end <= start:
                break
            users = self._world.active_users(start, end, now, org=org)
            rows.append({"start_time": int(start), "end_time": int(end), "active_users": users})
            start = end
        return rows

    def session_metrics(self, after: int, before: int, org_id: str | None) -> Record:
        """`…/metrics/sessions`."""
        org = None if org_id is None else self._org(org_id)
        totals = self._world.sessions(after, before, self._clock(), org=org)
        sizes = dict.fromkeys(("xs", "s", "m", "l", "xl"), 0)
        return {
            "avg_acus_per_session": totals.acus / totals.created if totals.created else 0.0,
            "sessions_created_count": totals.created,
            "sessions_created_by_origin": dict(totals.by_origin),
            "sessions_created_by_size": {**sizes, **totals.by_size},
            "sessions_created_with_playbook_count": totals.created // 5,
            "sessions_created_with_search_count": totals.created // 7,
            "sessions_with_merged_prs_count": totals.by_pull_request["merged"],
            "sessions_with_merged_prs_by_size": sizes,
        }

    def pull_requests(self, after: int, before: int, org_id: str | None) -> Record:
        """`…/metrics/prs`."""
        org = None if org_id is None else self._org(org_id)
        states = self._world.sessions(after, before, self._clock(), org=org).by_pull_request
        return {
            "prs_created_count": states.total() - states[None],
            "prs_opened_count": states["open"],
            "prs_merged_count": states["merged"],
            "prs_closed_count": states["closed"],
            **counts.taken_over(states.total()),
        }

    def code_scans(self, after: int, before: int) -> Record:
        """`…/code-scans/metrics`."""
        return counts.scans(self._world, after, before, self._clock())

    def automations(self, org_id: str) -> Sequence[Record]:
        """`…/automations`."""
        return counts.automations(self._org(org_id), founded=self._world.founded * DAY)

    def searches(self, after: int, before: int, org_id: str | None) -> Record:
        """`…/metrics/searches`."""
        org = None if org_id is None else self._org(org_id)
        searches = self._world.searches(after, before, self._clock(), org=org)
        return {"searches_created_count": searches}

    def categories(self, after: int, before: int) -> Record:
        """`…/metrics/sessions-by-category`; one subcategory has a name and no id."""
        totals = self._world.sessions(after, before, self._clock(), org=None)
        return counts.categories(totals)

    def queue(self) -> Record:
        """`/v3/enterprise/queue`."""
        waiting = self._world.queue_size(self._clock())
        high = "high" if waiting > HIGH_ABOVE else "elevated"
        return {
            "queue_size": waiting,
            "status": high if waiting > ELEVATED_ABOVE else "normal",
        }

    def organizations(self) -> Sequence[Record]:
        """`/v3/enterprise/organizations`."""
        founded = self._world.founded * DAY
        return [
            {
                "org_id": org_id,
                "name": name,
                "created_at": founded,
                "updated_at": founded,
                "max_cycle_acu_limit": limits.cloud(index),
                "max_session_acu_limit": None if index % 3 else 20,
            }
            for index, (org_id, name) in enumerate(self._world.organizations)
        ]

    def limits(self) -> Sequence[Record]:
        """`…/consumption/acu-limits/devin`."""
        return limits.listed(self._world)

    def organization_limits(self, org_id: str) -> Record:
        """`…/organizations/{org_id}/consumption/acu-limits`."""
        return limits.of_organization(self._world, self._org(org_id))

    def tiers(self) -> Sequence[Record]:
        """`…/usage-policies/tiers`."""
        return limits.tiers()

    def sessions(
        self, updated_after: int, updated_before: int, org_id: str | None
    ) -> Sequence[Record]:
        """`…/sessions`."""
        org = None if org_id is None else self._org(org_id)
        listed = session_list.sessions
        return listed(self._world, updated_after, self._clock(), org=org, before=updated_before)

    def users(self) -> Sequence[Record]:
        """`/v3/enterprise/members/users`: those with a direct role."""
        return [
            {**_identity(user), "role_assignments": self._roles(user)}
            for user in self._users()
            if user.direct
        ]

    def members(self, org_id: str) -> Sequence[Record]:
        """`/v3beta1/organizations/{org_id}/members/users`."""
        org = self._org(org_id)
        return [
            {**_identity(user), "role_assignments": self._roles(user)}
            for user in self._users()
            if user.org == org
        ]

    def idp_users(self) -> Sequence[Record]:
        """`/v3/enterprise/members/idp-users`: those with a role through a group."""
        return [
            {
                **_identity(user),
                "idp_role_assignments": [
                    {"idp_group_name": group, **role}
                    for group in self._world.population.groups_of(user)
                    for role in self._roles(user)
                ],
            }
            for user in self._users()
            if user.by_group
        ]

    def service_users(self) -> Sequence[Record]:
        """`/v3/enterprise/members/service-users`."""
        return [
            {
                "service_user_id": bot.id,
                "name": bot.name,
                "expires_at": None if bot.index % 2 else (self._world.founded + 500) * DAY,
                "role_assignments": self._roles(bot),
            }
            for bot in self._world.people
            if bot.service
        ]

    def hypervisors(self) -> Sequence[Record]:
        """`…/hypervisors`."""
        return dedicated_deployment.hypervisors(self._world, self._clock())

    def guardrail_violations(self, after: int, before: int) -> Sequence[Record]:
        """`…/guardrail-violations`."""
        return dedicated_deployment.guardrail_violations(self._world, self._clock(), after, before)

    def older_usage(self, after: int | None, before: int | None) -> Record:
        """`/v2/enterprise/metrics/usage`; the running cycle if there are no bounds."""
        return counts.v2_usage(self._world, self._clock(), after, before)

    def gateway_dashboard(self, range_days: int) -> Record:
        """`/api/v1/obs/dashboard`."""
        return self.gateway.dashboard(range_days, self._clock())

    def gateway_plan(self) -> Record:
        """`/api/v1/billing/plan`."""
        return self.gateway.plan(self._clock())

    def gateway_invoices(self, page: int, page_size: int) -> list[Record]:
        """`/api/v1/billing/invoices`, one page."""
        return self.gateway.invoices(self._clock())[(page - 1) * page_size : page * page_size]

    def _users(self) -> list[Person]:
        return [person for person in self._world.people if not person.service]

    def _roles(self, person: Person) -> list[Record]:
        role = {"role_id": "role-member", "role_name": "Member", "role_type": "org"}
        org_id, _ = self._world.organizations[person.org]
        return [{"role": role, "org_id": org_id}]

    def _org(self, org_id: str) -> int:
        if org_id not in self._orgs:
            raise NoSuchEntityError
        return self._orgs[org_id]

    def _person(self, person_id: str) -> Person:
        if person_id not in self._people:
            raise NoSuchEntityError
        return self._people[person_id]


def _identity(user: Person) -> Record:
    return {"user_id": user.id, "email": user.email, "name": user.name}


def _day(day: int, start: int, use: Use) -> Record:
    """One row. Without use, `review` is null on even days and left out on odd days."""
    by_product: dict[str, float | None] = dict(use)
    if not by_product.get("review"):
        by_product.pop("review", None)
        if day % 2 == 0:
            by_product["review"] = None
    return {
        "date": start,
        "acus": sum(use.values()),
        "acus_by_product": by_product,
    }
