"""`devin-exporter check`: one request per endpoint, and an estimate of the requests per hour."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from exporter.client.endpoint import Endpoint, Request
from exporter.client.http import PAGE_SIZE
from exporter.client.models import Listing, ListPage
from exporter.errors import PollError
from exporter.sources.check_report import Row, report, request_row
from exporter.sources.devin import identity, keys
from exporter.sources.devin.billing import cycles
from exporter.sources.devin.billing.windows import Window, billing_month, covering, seconds
from exporter.sources.devin.consumption.scopes import PARTS_ENDPOINTS, PRODUCTS, DailyResponse
from exporter.sources.devin.consumption.usage import UNKNOWN_PRODUCT
from exporter.sources.devin.data_set import ENTERPRISE_ENDPOINTS, DataSet
from exporter.sources.devin.derived.teams.file import check_teams_file
from exporter.sources.devin.derived.teams.memberships import Membership
from exporter.sources.devin.derived.teams.settings import TeamSettings
from exporter.sources.devin.members import models
from exporter.sources.devin.operations import session_bills, session_items
from exporter.sources.devin.operations.session_items import SessionItem
from exporter.sources.devin.settings import DevinSettings
from exporter.sources.source import CheckReport, OpenSource

T = TypeVar("T")
HOUR = 3_600
NOT_REQUESTED = "not requested: "
KEY_REFUSED = "the API refuses the key: it is wrong, revoked or expired; nothing else was requested"
OPENS_NOTHING = (
    "every endpoint that needs a permission is refused (403): the API accepts the key, but "
    "it holds none of the permissions"
)
UNUSED_TEAMS = (
    "an organization's key does not list all members: no consumption by group or team is published"
)
NO_IDS: Mapping[str, Sequence[str]] = {
    "org_id": (),
    "user_id": (),
    "service_user_id": (),
    "session_id": (),
}


class Check:
    """Requests every endpoint once with the configured key."""

    def __init__(
        self,
        opened: OpenSource,
        *,
        endpoints: Sequence[Endpoint[object]],
        data_sets: Sequence[DataSet],
    ) -> None:
        self._client = opened.client
        self._settings = opened.settings[DevinSettings]
        self._teams_file = opened.settings[TeamSettings].teams_file
        self._endpoints = endpoints
        self._data_sets = data_sets
        self._now = opened.clock()
        self._kind = keys.ENTERPRISE
        self._ids = dict(NO_IDS)
        self._rows: list[Row] = []
        self._notes: list[str] = []
        self._users: Sequence[models.Member] = ()
        self._products = {*PRODUCTS, UNKNOWN_PRODUCT}

    def run(self) -> CheckReport:
        """Send the requests. The report ends with the requests per hour of all data sets."""
        who = self._identity()
        if self._client.key_refused:
            self._notes.append(KEY_REFUSED)
            self._note_teams_file()
            return report(self._rows, self._notes)
        if who is not None and who.org_id is not None:
            self._kind = who.kind
            self._organization_lists(who.org_id)
        else:
            self._enterprise_lists(who)
        older = {identity.OLDER_ENDPOINT, session_bills.OLDER_ENDPOINT}
        known = {row.endpoint for row in self._rows} | older
        for endpoint in self._endpoints:
            if endpoint.is_for(self._kind) and endpoint not in known:
                response = self._get(endpoint)
                if isinstance(response, DailyResponse):
                    self._products.update(*(day.split for day in response.consumption_by_date))
        if any(row.endpoint is session_bills.ENDPOINT and row.absent for row in self._rows):
            self._get(session_bills.OLDER_ENDPOINT)
        if who is not None:
            self._sum_up_refusals()
        self._note_prices()
        self._note_cost(tried=who.tried if who else 0)
        usable = self._note_teams_file()
        found = report(self._rows, self._notes)
        return replace(found, passed=found.passed and usable)

    def _note_teams_file(self) -> bool:
        """Note what the teams file says; returns whether it can be used, if there is one."""
        if self._teams_file is None:
            return True
        members: dict[str, list[models.Member]] = {}
        for user in self._users:
            members.setdefault(user.user_id, []).append(user)
        users = {user_id: Membership.of(rows) for user_id, rows in members.items()}
        notes, usable = check_teams_file(self._teams_file, users, self._ids["service_user_id"])
        self._notes += notes
        if self._kind == keys.ORGANIZATION:
            self._notes.append(UNUSED_TEAMS)
        return usable

    def _note_prices(self) -> None:
        """Name the products with a price that nothing was seen of, as they may be misspelt."""
        prices = self._settings.prices()
        unseen = sorted(prices.by_product.keys() - self._products) if prices else ()
        if unseen:
            seen = ", ".join(sorted(self._products))
            self._notes.append(
                f"DEVIN_ACU_PRICE has prices of products that have no use: {', '.join(unseen)}; "
                f"there are: {seen}"
            )

    def _identity(self) -> identity.KeyOwner | None:
        response = self._get(identity.ENDPOINT)
        if response is None and self._rows[-1].passed:
            response = self._get(identity.OLDER_ENDPOINT)
        if response is None:
            return None
        try:
            who = identity.owner_of(
                response, self._client, enterprise_endpoints=ENTERPRISE_ENDPOINTS, now=self._now
            )
        except PollError as failure:
            result = f"what the key opens could not be found out: {failure}"
            self._rows[-1] = replace(self._rows[-1], result=result, passed=False)
            return None
        whose = "a service user" if who.is_service_user else "not a service user"
        self._notes.append(f"the key is an {who.kind}'s; it belongs to {who.name}, {whose}")
        if not who.is_service_user:
            self._notes.append(who.description)
        return who

    def _sum_up_refusals(self) -> None:
        """Name no permission where the key opens nothing at all that needs one."""
        needing = [row for row in self._rows if row.endpoint.permission]
        forbidden = [row for row in needing if row.forbidden]
        if forbidden and all(
            row.forbidden or row.result.startswith(NOT_REQUESTED) for row in needing
        ):
            self._rows = [
                replace(row, result="answered 403") if row.forbidden else row for row in self._rows
            ]
            self._notes.append(OPENS_NOTHING)

    def _enterprise_lists(self, who: identity.KeyOwner | None) -> None:
        """The lists of an enterprise, which say what the other endpoints can be asked for."""
        self._ids["org_id"] = [item.org_id for item in self._get_list(models.ORGANIZATIONS)]
        users = [*self._get_list(models.USERS), *self._get_list(models.IDP_USERS)]
        self._ids["user_id"] = sorted({user.user_id for user in users})
        self._users = users
        bots = self._get_list(models.SERVICE_USERS)
        self._ids["service_user_id"] = [bot.service_user_id for bot in bots]
        for bot in bots:
            itself = who is not None and bot.service_user_id == who.service_user_id
            if itself and bot.expires_at is not None:
                self._notes.append(f"the key expires at {_utc(seconds(bot.expires_at))} UTC")
        self._recent_sessions(session_items.ENDPOINT)
        found = self._get_list(cycles.ENDPOINT)
        windows = [Window(seconds(item.after), seconds(item.before)) for item in found]
        self._note_cycle(covering(windows, self._now))

    def _organization_lists(self, org_id: str) -> None:
        """The same for an organization's key, whose recent sessions give the ids of users."""
        self._note_cycle(None)
        self._ids["org_id"] = [org_id]
        seen = self._recent_sessions(session_items.ORG_ENDPOINT)
        members = self._get(models.ORG_USERS)
        users = {item.user_id for item in seen if item.user_id}
        bots = {item.service_user_id for item in seen if item.service_user_id}
        if members:
            users = {item.user_id for item in Listing.of(members.items)}
        self._ids["user_id"] = sorted(users)
        self._ids["service_user_id"] = sorted(bots)

    def _recent_sessions(self, endpoint: Endpoint[ListPage[SessionItem]]) -> Listing[SessionItem]:
        """Recent sessions, which also say which bills of sessions the polls would request."""
        page = self._get(endpoint)
        items = Listing.of(page.items if page else ())
        billed = session_bills.requested_by_each_poll(
            items, rows=self._settings.recent_sessions, now=self._now
        )
        # The oldest is the likeliest to have been billed.
        oldest_first = sorted(billed, key=lambda item: item.created_at)
        self._ids["session_id"] = [item.session_id for item in oldest_first]
        return items

    def _get(self, endpoint: Endpoint[T]) -> T | None:
        ids = {
            name: known[:1] for name, known in self._ids.items() if f"{{{name}}}" in endpoint.path
        }
        lacking = [name for name, known in ids.items() if not known]
        if lacking:
            result = f"{NOT_REQUESTED}no {lacking[0]} is known"
            self._rows.append(Row(endpoint, result, passed=True))
            return None
        request = Request(
            endpoint=endpoint,
            ids={name: first for name, (first,) in ids.items()},
            params=endpoint.check_params(self._now),
        )
        return self._note_row(endpoint, lambda: self._client.get(request))

    def _get_list(self, endpoint: Endpoint[ListPage[T]]) -> list[T]:
        request = Request(endpoint=endpoint)
        return self._note_row(endpoint, lambda: self._client.get_list(request)) or []

    def _note_row(self, endpoint: Endpoint[object], request: Callable[[], T]) -> T | None:
        row, response = request_row(endpoint, request)
        unreadable = self._client.unreadable.reasons(endpoint.path)
        if unreadable:
            result = f"rows that cannot be read are left out: {'; '.join(unreadable)}"
            row = replace(row, result=result, passed=False)
        self._rows.append(row)
        return response

    def _note_cycle(self, cycle: Window | None) -> None:
        shown = cycle or billing_month(self._now)
        kind = "billing cycle" if cycle else "calendar month, in place of a cycle,"
        self._notes.append(f"the running {kind} is {_utc(shown.start)} to {_utc(shown.end)} UTC")

    def _note_cost(self, *, tried: int) -> None:
        """Estimate the requests of an hour, with all that is turned on.

        Args:
            tried: requests that it takes to find out what the key opens.
        """
        counts = {name: len(ids) for name, ids in self._ids.items()}
        more_pages = sum(max(0, math.ceil(count / PAGE_SIZE) - 1) for count in counts.values())
        least = most = HOUR * (more_pages + tried) / self._settings.poll_interval
        for each in self._data_sets:
            for endpoint in each.endpoints:
                if endpoint.is_for(self._kind):
                    requests = HOUR * math.prod(
                        n for name, n in counts.items() if f"{{{name}}}" in endpoint.path
                    )
                    slowest = self._settings.sweep_interval if endpoint in PARTS_ENDPOINTS else 0
                    most += requests / each.task.interval
                    least += requests / max(each.task.interval, slowest)
        budget = self._settings.requests_per_second * HOUR
        held = f", held down to {budget:.0f} by the rate limit" if most > budget else ""
        self._notes.append(
            f"the present settings cost about {least:.0f} requests an hour while nobody uses "
            f"anything, and up to {most:.0f} while everybody does{held}, for "
            f"{counts['org_id']} organizations, {counts['user_id']} users and "
            f"{counts['service_user_id']} service users"
        )


def _utc(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M}"
