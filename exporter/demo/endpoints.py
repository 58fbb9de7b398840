"""The endpoints of the simulated APIs, with their permissions and responses."""

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
    """A key of a simulated API.

    Attributes:
        api: the only API that accepts it, like `Endpoint.api`.
        permissions: names of its permissions; None for all.
        org_id: the organization of the key; None for an enterprise's key.
    """

    permissions: frozenset[str] | None = None
    org_id: str | None = None
    api: str = V3


class ProblemError(Exception):
    """A response other than 200."""

    def __init__(self, status: int, title: str) -> None:
        super().__init__(title)
        self.status = status
        self.title = title


@dataclass(frozen=True, slots=True)
class Call:
    """The parts of a request that an endpoint needs."""

    ids: Mapping[str, str]
    query: Mapping[str, str]
    key: DemoKey

    def whole(self, name: str, *, default: int | None = None) -> int:
        """An integer query parameter."""
        text = self.query.get(name)
        if text is None and default is not None:
            return default
        if text is None or not text.lstrip("-").isdecimal():
            raise ProblemError(422, f"{name} must be an integer")
        return int(text)

    def moment(self, *names: str) -> int | None:
        """An RFC 3339 query parameter in Unix seconds, by the first name that is set."""
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
    """One path of a simulated API; the response of a `paged` one is a list."""

    path: str
    permission: str | None
    respond: Callable[[Call], object]
    paged: bool = False
    api: str = V3


def endpoints(responses: Responses) -> tuple[Endpoint, ...]:
    """All endpoints of the simulation."""
    daily = "/v3/enterprise/consumption/daily"
    own = "/v3/organizations/{org_id}/consumption/daily"
    metrics = "/v3/enterprise/metrics"
    twins = "/v3/organizations/{org_id}/metrics"
    each = ("/users/{user_id}", "/service-users/{service_user_id}", "/sessions/{session_id}")
    spend, view, members = "ViewAccountConsumption", "ViewAccountMetrics", "ViewAccountMembership"

    def consumption(call: Call) -> object:
        return responses.consumption(
            call.ids, call.whole("time_after", default=0), call.whole("time_before", default=2**40)
        )

    def active(period: str) -> Callable[[Call], object]:
        return lambda call: responses.active_users(
            period, call.whole("time_after"), call.whole("time_before"), call.ids.get("org_id")
        )

    def over(respond: Callable[[int, int, str | None], object]) -> Callable[[Call], object]:
        return lambda call: respond(
            call.whole("time_after"), call.whole("time_before"), call.ids.get("org_id")
        )

    def session_list(call: Call) -> object:
        return responses.sessions(
            call.whole("updated_after", default=0),
            call.whole("updated_before", default=2**40),
            call.ids.get("org_id"),
        )

    def categories(call: Call) -> object:
        return responses.categories(call.whole("time_after"), call.whole("time_before"))

    def older_usage(call: Call) -> object:
        return responses.older_usage(
            call.moment("start_date", "start"), call.moment("end_date", "end")
        )

    return (
        Endpoint("/v2/enterprise/metrics/usage", "Enterprise Admin", older_usage, api=V2),
        *_of_gateway(responses),
        Endpoint("/v3/self", None, lambda call: responses.self_(call.key.org_id)),
        Endpoint(
            "/v3/enterprise/consumption/cycles", spend, lambda _: responses.cycles(), paged=True
        ),
        Endpoint(daily, spend, consumption),
        Endpoint(daily + "/organizations/{org_id}", spend, consumption),
        *(Endpoint(daily + path, spend, consumption) for path in each),
        *(Endpoint(own + path, "ViewOrgConsumption", consumption) for path in ("", *each)),
        Endpoint(
            "/v3beta1/organizations/{org_id}/members/users",
            "ViewOrgMembership",
            lambda call: responses.members(call.ids["org_id"]),
            paged=True,
        ),
        Endpoint(
            "/v3/enterprise/hypervisors",
            "ViewEnterpriseInfraDetails",
            lambda _: responses.hypervisors(),
            paged=True,
        ),
        Endpoint(
            "/v3beta1/enterprise/guardrail-violations",
            "unknown",
            lambda call: responses.guardrail_violations(
                call.whole("time_after", default=0), call.whole("time_before", default=2**40)
            ),
            paged=True,
        ),
        *(Endpoint(f"{metrics}/{p}", view, active(p)) for p in ("dau", "wau", "mau")),
        *(Endpoint(f"{twins}/{p}", view, active(p)) for p in ("dau", "wau", "mau")),
        *(
            Endpoint(f"{where}/{what}", view, over(respond))
            for where in (metrics, twins)
            for what, respond in (
                ("sessions", responses.session_metrics),
                ("prs", responses.pull_requests),
                ("searches", responses.searches),
            )
        ),
        Endpoint(f"{metrics}/sessions-by-category", view, categories),
        Endpoint(
            "/v3/enterprise/code-scans/metrics",
            "ViewAccountCodeScans",
            lambda call: responses.code_scans(call.whole("time_after"), call.whole("time_before")),
        ),
        Endpoint(
            "/v3/organizations/{org_id}/automations",
            "ViewOrgAutomations",
            lambda call: responses.automations(call.ids["org_id"]),
            paged=True,
        ),
        Endpoint(
            "/v3/enterprise/consumption/acu-limits/devin",
            spend,
            lambda _: responses.limits(),
            paged=True,
        ),
        Endpoint(
            "/v3beta1/enterprise/organizations/{org_id}/consumption/acu-limits",
            "unknown_limits",
            lambda call: responses.organization_limits(call.ids["org_id"]),
        ),
        Endpoint(
            "/v3beta1/enterprise/usage-policies/tiers",
            "unknown_limits",
            lambda _: responses.tiers(),
            paged=True,
        ),
        Endpoint("/v3/enterprise/sessions", "ViewAccountSessions", session_list, paged=True),
        Endpoint(
            "/v3/organizations/{org_id}/sessions", "ViewOrgSessions", session_list, paged=True
        ),
        Endpoint("/v3/enterprise/queue", view, lambda _: responses.queue()),
        Endpoint(
            "/v3/enterprise/organizations",
            "ManageOrganizations",
            lambda _: responses.organizations(),
            paged=True,
        ),
        Endpoint("/v3/enterprise/members/users", members, lambda _: responses.users(), paged=True),
        Endpoint(
            "/v3/enterprise/members/idp-users", members, lambda _: responses.idp_users(), paged=True
        ),
        Endpoint(
            "/v3/enterprise/members/service-users",
            members,
            lambda _: responses.service_users(),
            paged=True,
        ),
    )


def _of_gateway(responses: Responses) -> tuple[Endpoint, ...]:
    def dashboard(call: Call) -> object:
        range_days = call.whole("range_days", default=30)
        if not 1 <= range_days <= LONGEST_RANGE_DAYS:
            raise ProblemError(422, "range_days is out of range")
        return responses.gateway_dashboard(range_days)

    def invoices(call: Call) -> object:
        page, size = call.whole("page", default=1), call.whole("page_size", default=20)
        if page < 1 or size < 1:
            raise ProblemError(422, "page and page_size start at 1")
        return responses.gateway_invoices(page, size)

    respond_to: dict[str, Callable[[Call], object]] = {
        "/api/v1/obs/dashboard": dashboard,
        "/api/v1/billing/plan": lambda _: responses.gateway_plan(),
        "/api/v1/billing/invoices": invoices,
        "/api/v1/gateway/keys": lambda _: responses.gateway.keys(),
    }
    return tuple(Endpoint(path, None, respond, api=GATEWAY) for path, respond in respond_to.items())
