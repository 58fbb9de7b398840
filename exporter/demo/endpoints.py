"""The paths of the simulated API, what opens them, and what answers them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from exporter.demo.responses import Responses

V3, V2, GATEWAY = "devin", "devin_v2", "aione"
DEMO_KEYS = {V3: "cog_demo", V2: "apk_user_demo", GATEWAY: "aione_demo"}
"""What opens each API in the demo, by the name of the source that it is for."""
LONGEST_RANGE_DAYS = 3_660


@dataclass(frozen=True, slots=True)
class DemoKey:
    """A key of the simulated API: what it opens.

    Attributes:
        api: the only API that it opens, like `Endpoint.api`.
        permissions: names; None for all of them.
        org_id: set for a key that opens one organization only.
    """

    permissions: frozenset[str] | None = None
    org_id: str | None = None
    api: str = V3


class ProblemError(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, title: str) -> None:
        super().__init__(title)
        self.status = status
        self.title = title


@dataclass(frozen=True, slots=True)
class Ask:
    """A request as far as an endpoint needs it."""

    ids: Mapping[str, str]
    query: Mapping[str, str]
    key: DemoKey

    def whole(self, name: str, *, default: int | None = None) -> int:
        """An integer of the query."""
        text = self.query.get(name)
        if text is None and default is not None:
            return default
        if text is None or not text.lstrip("-").isdecimal():
            raise ProblemError(422, f"{name} must be an integer")
        return int(text)

    def moment(self, *names: str) -> int | None:
        """An RFC 3339 date-time of the query in Unix seconds, under the first name that is set."""
        text = next((self.query[name] for name in names if name in self.query), None)
        if text is None:
            return None
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            at = None
        if at is None or at.tzinfo is None:
            raise ProblemError(422, f"{names[0]} must be a date-time with an offset")
        return int(at.timestamp())


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path of the API; `paged` answers are lists that are cut into pages."""

    path: str
    permission: str | None
    answer: Callable[[Ask], object]
    paged: bool = False
    api: str = V3


def endpoints(answers: Responses) -> tuple[Endpoint, ...]:
    """Every endpoint that the simulation has."""
    daily = "/v3/enterprise/consumption/daily"
    own = "/v3/organizations/{org_id}/consumption/daily"
    metrics = "/v3/enterprise/metrics"
    twins = "/v3/organizations/{org_id}/metrics"
    spend, view, members = "ViewAccountConsumption", "ViewAccountMetrics", "ViewAccountMembership"

    def consumption(ask: Ask) -> object:
        return answers.consumption(
            ask.ids, ask.whole("time_after", default=0), ask.whole("time_before", default=2**40)
        )

    def active(period: str) -> Callable[[Ask], object]:
        return lambda ask: answers.active_users(
            period, ask.whole("time_after"), ask.whole("time_before"), ask.ids.get("org_id")
        )

    def over(answer: Callable[[int, int, str | None], object]) -> Callable[[Ask], object]:
        return lambda ask: answer(
            ask.whole("time_after"), ask.whole("time_before"), ask.ids.get("org_id")
        )

    def session_list(ask: Ask) -> object:
        return answers.sessions(ask.whole("updated_after", default=0), ask.ids.get("org_id"))

    def categories(ask: Ask) -> object:
        return answers.categories(ask.whole("time_after"), ask.whole("time_before"))

    def older_usage(ask: Ask) -> object:
        return answers.older_usage(ask.moment("start_date", "start"), ask.moment("end_date", "end"))

    def gateway_dashboard(ask: Ask) -> object:
        range_days = ask.whole("range_days", default=30)
        if not 1 <= range_days <= LONGEST_RANGE_DAYS:
            raise ProblemError(422, "range_days is out of range")
        return answers.gateway_dashboard(range_days)

    return (
        Endpoint("/v2/enterprise/metrics/usage", "Enterprise Admin", older_usage, api=V2),
        Endpoint("/api/v1/obs/dashboard", None, gateway_dashboard, api=GATEWAY),
        Endpoint("/v3/self", None, lambda ask: answers.self_(ask.key.org_id)),
        Endpoint(
            "/v3/enterprise/consumption/cycles", spend, lambda _: answers.cycles(), paged=True
        ),
        Endpoint(daily, spend, consumption),
        Endpoint(daily + "/organizations/{org_id}", spend, consumption),
        Endpoint(daily + "/users/{user_id}", spend, consumption),
        Endpoint(daily + "/service-users/{service_user_id}", spend, consumption),
        *(
            Endpoint(own + path, "ViewOrgConsumption", consumption)
            for path in ("", "/users/{user_id}", "/service-users/{service_user_id}")
        ),
        Endpoint(
            "/v3beta1/organizations/{org_id}/members/users",
            "ViewOrgMembership",
            lambda ask: answers.members(ask.ids["org_id"]),
            paged=True,
        ),
        Endpoint(
            "/v3/enterprise/hypervisors",
            "ViewEnterpriseInfraDetails",
            lambda _: answers.hypervisors(),
            paged=True,
        ),
        Endpoint(
            "/v3beta1/enterprise/guardrail-violations",
            "unknown",
            lambda ask: answers.guardrail_violations(
                ask.whole("time_after", default=0), ask.whole("time_before", default=2**40)
            ),
            paged=True,
        ),
        *(Endpoint(f"{metrics}/{p}", view, active(p)) for p in ("dau", "wau", "mau")),
        *(Endpoint(f"{twins}/{p}", view, active(p)) for p in ("dau", "wau", "mau")),
        *(
            Endpoint(f"{where}/{what}", view, over(answer))
            for where in (metrics, twins)
            for what, answer in (
                ("sessions", answers.session_metrics),
                ("prs", answers.pull_requests),
                ("searches", answers.searches),
            )
        ),
        Endpoint(f"{metrics}/sessions-by-category", view, categories),
        Endpoint(
            "/v3/enterprise/consumption/acu-limits/devin",
            spend,
            lambda _: answers.limits(),
            paged=True,
        ),
        Endpoint("/v3/enterprise/sessions", "ViewAccountSessions", session_list, paged=True),
        Endpoint(
            "/v3/organizations/{org_id}/sessions", "ViewOrgSessions", session_list, paged=True
        ),
        Endpoint("/v3/enterprise/queue", view, lambda _: answers.queue()),
        Endpoint(
            "/v3/enterprise/organizations",
            "ManageOrganizations",
            lambda _: answers.organizations(),
            paged=True,
        ),
        Endpoint("/v3/enterprise/members/users", members, lambda _: answers.users(), paged=True),
        Endpoint(
            "/v3/enterprise/members/idp-users", members, lambda _: answers.idp_users(), paged=True
        ),
        Endpoint(
            "/v3/enterprise/members/service-users",
            members,
            lambda _: answers.service_users(),
            paged=True,
        ),
    )
