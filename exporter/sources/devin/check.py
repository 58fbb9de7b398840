"""`devin-exporter check`: one request per endpoint, and what each feeds."""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TypeVar

from pydantic import TypeAdapter

from exporter.http import PAGE_SIZE, Client, Params
from exporter.shapes import Page
from exporter.sources.connection import Report
from exporter.sources.devin import (
    activity,
    categories,
    cycles,
    directory,
    entities,
    guardrails,
    hypervisors,
    identity,
    limits,
    pull_requests,
    queue,
    scopes,
    searches,
    session_metrics,
    sessions,
)
from exporter.sources.devin.daily import SHAPE as DAILY_SHAPE
from exporter.sources.devin.settings import DevinSettings
from exporter.sources.devin.windows import Window, billing_month, covering, seconds
from exporter.sources.report import Row, ask_for_row, report

T = TypeVar("T")
HOUR = 3_600
NOT_HERE = "not on this deployment"
ENTERPRISE_REQUESTS = 19
"""Of each poll, besides one for every organization, user and service user."""
OWN_REQUESTS = 2
"""The same for an organization's key."""
Ids = Mapping[str, str]


class Check:
    """Asks every endpoint once with the key at hand."""

    def __init__(self, client: Client, settings: DevinSettings, now: float) -> None:
        self._client = client
        self._settings = settings
        self._now = now
        self._counts = {"org_id": 0, "user_id": 0, "service_user_id": 0}
        self._ids: dict[str, str] = {}
        self.rows: list[Row] = []
        self.notes: list[str] = []

    def run(self) -> None:
        """Fill `rows` and `notes`."""
        who = self._identity()
        month = billing_month(self._now)
        over: Params = {"time_after": int(month.start), "time_before": int(month.end)}
        if who is not None and who.org_id is not None:
            self._ids["org_id"], self._counts["org_id"] = who.org_id, 1
            self._own(over)
            self._cost(own=True)
        else:
            self._lists()
            self._enterprise(over)
            self._cost(own=False)

    def _identity(self) -> identity.SelfAnswer | None:
        who = self._ask(identity.ENDPOINT, "which kind of key this is", identity.SHAPE)
        if who is None and not self.rows[-1].fine and "404" in self.rows[-1].says:
            self.rows.pop()
            who = self._ask(identity.OLDER_ENDPOINT, "which kind of key this is", identity.SHAPE)
        if who is not None:
            kind = "an organization's" if who.org_id else "an enterprise's"
            name = who.service_user_name or who.service_user_id or who.principal_type or "unknown"
            self.notes.append(f"the key is {kind}; it belongs to {name}")
            self._ids["self"] = who.service_user_id or ""
        return who

    def _lists(self) -> None:
        items = self._list(
            directory.ORGANIZATIONS_ENDPOINT, "organizations", entities.ORGANIZATION_SHAPE
        )
        self._know("org_id", [item.org_id for item in items])
        users = {
            item.user_id
            for endpoint in (directory.USERS_ENDPOINT, directory.IDP_USERS_ENDPOINT)
            for item in self._list(endpoint, "users", entities.MEMBER_SHAPE)
        }
        self._know("user_id", sorted(users))
        bots = self._list(
            directory.SERVICE_USERS_ENDPOINT, "service users", entities.SERVICE_USER_SHAPE
        )
        self._know("service_user_id", [bot.service_user_id for bot in bots])
        for bot in bots:
            if bot.service_user_id == self._ids.get("self") and bot.expires_at is not None:
                self.notes.append(f"the key expires at {_when(seconds(bot.expires_at))}")

    def _enterprise(self, over: Params) -> None:
        found = self._list(cycles.ENDPOINT, "billing cycles", cycles.SHAPE)
        windows = [Window(seconds(item.after), seconds(item.before)) for item in found]
        self._tell_cycle(covering(windows, self._now))
        for scope in scopes.SCOPES:
            self._ask(scope.endpoint, f"ACUs ({scope.task})", DAILY_SHAPE, params=over)
        for period in activity.PERIODS:
            for template in (activity.ENDPOINT, activity.OWN_ENDPOINT):
                endpoint = template.replace("{period}", period.endpoint)
                self._ask(endpoint, "active users", activity.SHAPE, params=over)
        for endpoint in (session_metrics.ENDPOINT, session_metrics.ORGANIZATION_ENDPOINT):
            self._ask(endpoint, "sessions created", session_metrics.SHAPE, params=over)
        for endpoint in (pull_requests.ENDPOINT, pull_requests.ORGANIZATION_ENDPOINT):
            self._ask(endpoint, "pull requests", pull_requests.SHAPE, params=over)
        for endpoint in (searches.ENDPOINT, searches.ORGANIZATION_ENDPOINT):
            self._ask(endpoint, "searches", searches.SHAPE, params=over)
        self._ask(categories.ENDPOINT, "categories", categories.SHAPE, params=over)
        self._ask(limits.ENDPOINT, "limits", limits.SHAPE)
        recent: Params = {"first": 1, "updated_after": int(self._now) - HOUR}
        self._ask(sessions.ENDPOINT, "sessions", sessions.SHAPE, params=recent)
        self._ask(queue.ENDPOINT, "queue", queue.SHAPE)
        self._ask(hypervisors.ENDPOINT, "hypervisors", hypervisors.SHAPE, otherwise=NOT_HERE)
        self._ask(guardrails.ENDPOINT, "guardrail violations", guardrails.SHAPE, otherwise=NOT_HERE)

    def _own(self, over: Params) -> None:
        self._tell_cycle(None)
        recent: Params = {"first": 200, "updated_after": int(self._now) - 24 * HOUR}
        page = self._ask(sessions.OWN_ENDPOINT, "sessions", sessions.SHAPE, params=recent)
        seen = page.items if page else ()
        members = self._ask(
            directory.MEMBERS_ENDPOINT,
            "users, else those of sessions",
            entities.MEMBER_SHAPE,
            otherwise="users of recent sessions stand in",
        )
        users = {item.user_id for item in seen if item.user_id}
        self._know("user_id", [m.user_id for m in members.items] if members else sorted(users))
        self._know(
            "service_user_id", sorted({i.service_user_id for i in seen if i.service_user_id})
        )
        for scope in scopes.SCOPES:
            if scope.own_endpoint is not None:
                self._ask(scope.own_endpoint, f"ACUs ({scope.task})", DAILY_SHAPE, params=over)
        for period in activity.PERIODS:
            endpoint = activity.OWN_ENDPOINT.replace("{period}", period.endpoint)
            self._ask(endpoint, "active users", activity.SHAPE, params=over)
        own = ((session_metrics.ORGANIZATION_ENDPOINT, "sessions created", session_metrics.SHAPE),)
        for endpoint, feeds, shape in own:
            self._ask(endpoint, feeds, shape, params=over)
        endpoint = pull_requests.ORGANIZATION_ENDPOINT
        self._ask(endpoint, "pull requests", pull_requests.SHAPE, params=over)
        self._ask(searches.ORGANIZATION_ENDPOINT, "searches", searches.SHAPE, params=over)

    def _know(self, label: str, ids: list[str]) -> None:
        self._counts[label] = len(ids)
        if ids:
            self._ids[label] = ids[0]

    def _tell_cycle(self, cycle: Window | None) -> None:
        shown = cycle or billing_month(self._now)
        start, end = (datetime.fromtimestamp(at, UTC) for at in (shown.start, shown.end))
        kind = "billing cycle" if cycle else "calendar month, in place of a cycle,"
        self.notes.append(
            f"the running {kind} is {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC"
        )

    def _list(self, endpoint: str, feeds: str, shape: TypeAdapter[Page[T]]) -> list[T]:
        return self._row(endpoint, feeds, lambda: self._client.get_list(endpoint, shape)) or []

    def _ask(
        self,
        endpoint: str,
        feeds: str,
        shape: TypeAdapter[T],
        *,
        params: Params | None = None,
        otherwise: str = "",
    ) -> T | None:
        wanted = [
            name for name in ("org_id", "user_id", "service_user_id") if f"{{{name}}}" in endpoint
        ]
        lacking = [name for name in wanted if name not in self._ids]
        if lacking:
            self.rows.append(
                Row(endpoint, feeds, f"not asked: no {lacking[0]} is known", fine=True)
            )
            return None
        ids = {name: self._ids[name] for name in wanted}
        return self._row(
            endpoint,
            feeds,
            lambda: self._client.get(endpoint, shape, ids=ids, params=params),
            otherwise=otherwise,
        )

    def _row(
        self, endpoint: str, feeds: str, ask: Callable[[], T], *, otherwise: str = ""
    ) -> T | None:
        row, answer = ask_for_row(endpoint, feeds, ask, otherwise=otherwise)
        self.rows.append(row)
        return answer

    def _cost(self, *, own: bool) -> None:
        """Estimate the requests of an hour, with all that is turned on."""
        interval = self._settings.poll_interval
        counts = tuple(self._counts.values())
        once = OWN_REQUESTS if own else ENTERPRISE_REQUESTS
        more_pages = sum(max(0, math.ceil(count / PAGE_SIZE) - 1) for count in counts)
        of_organizations = len(activity.PERIODS) + len(session_metrics.ORGANIZATION_QUESTIONS) + 2
        often = min(interval, queue.LONGEST_INTERVAL)
        per_hour = HOUR * (
            (once + more_pages + sum(counts)) / interval
            + counts[0] * of_organizations / (interval * activity.ORGANIZATIONS_INTERVALS)
            + (1 if own else 2) / often
        )
        most = self._settings.requests_per_second * HOUR
        held = f", held down to {most:.0f} by the budget" if per_hour > most else ""
        self.notes.append(
            f"the present settings cost about {per_hour:.0f} requests an hour for {counts[0]} "
            f"organizations, {counts[1]} users and {counts[2]} service users{held}"
        )

    def report(self) -> Report:
        """What was found."""
        return report(self.rows, self.notes)


def _when(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M} UTC"
