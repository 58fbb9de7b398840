"""The gateway's plan and invoices: `GET /api/v1/billing/plan`, `GET /api/v1/billing/invoices`.

What their fields are called is not published. An amount is read under the names below, and only if
it is certain to be RMB: its name ends in `_rmb`, or the field `currency` says so. A response
without any of them is a failed poll.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from pydantic import AliasChoices, ConfigDict, Field, TypeAdapter

from exporter.client.endpoint import Endpoint, Request
from exporter.client.http import Client
from exporter.client.models import Array, ResponseModel
from exporter.client.response import Response
from exporter.errors import PagingError, ShapeError
from exporter.exposition.text import as_word
from exporter.metrics import Metric, Sample
from exporter.scheduling.task import Task
from exporter.sources.aione.lenient import Lenient, Money, Month, Text, Word, unreadable_fields
from exporter.sources.aione.optional import OPTIONAL, optional_task
from exporter.sources.aione.samples import day_of, next_midnight
from exporter.sources.aione.unreadable import UnreadableValues
from exporter.sources.last_response import LastResponse

PLAN_TASK = "aione_plan"
INVOICES_TASK = "aione_invoices"
PAGE_SIZE = 100
MOST_PAGES = 100
RMB = frozenset({"RMB", "CNY"})
MOST_UNREAD = 10
_IS_AMOUNT = re.compile("balance|budget|credit")

BALANCE = Metric("aione_balance_rmb", "Balance of the gateway's account, in RMB.")
BUDGET = Metric("aione_budget_rmb", "Budget of the gateway's plan, in RMB.")
BUDGET_LEFT = Metric("aione_budget_left_rmb", "What is left of the gateway's budget, in RMB.")
PLAN_METRICS = (BALANCE, BUDGET, BUDGET_LEFT)

MONTH = Metric(
    "aione_month_invoices_rmb",
    "Total of the invoices of the running month in AIONE_TIMEZONE, in RMB, by their status.",
    ("status",),
)
PREVIOUS_MONTH = Metric(
    "aione_previous_month_invoices_rmb",
    "Total of the invoices of the last complete month in AIONE_TIMEZONE, in RMB, by their status.",
    ("status",),
)
INVOICE_METRICS = (MONTH, PREVIOUS_MONTH)


class _Amounts(ResponseModel):
    """Amounts under one of several names; those without a currency in their name need one."""

    currency: Lenient[Text] = None

    def _rmb(self, certain: object, other: object) -> Decimal | None:
        is_rmb = isinstance(self.currency, str) and self.currency.upper() in RMB
        amount = certain if certain is not None else other if is_rmb else None
        return amount if isinstance(amount, Decimal) else None


class Plan(_Amounts):
    """The plan of the account; fields that are not read are kept, so that they can be named."""

    model_config = ConfigDict(extra="allow")

    balance_rmb: Lenient[Money] = None
    balance: Lenient[Money] = None
    budget_rmb: Lenient[Money] = Field(
        default=None, validation_alias=AliasChoices("budget_rmb", "monthly_budget_rmb")
    )
    budget: Lenient[Money] = Field(
        default=None, validation_alias=AliasChoices("budget", "monthly_budget")
    )
    budget_left_rmb: Lenient[Money] = Field(
        default=None, validation_alias=AliasChoices("budget_left_rmb", "budget_remaining_rmb")
    )
    budget_left: Lenient[Money] = Field(
        default=None, validation_alias=AliasChoices("budget_left", "budget_remaining")
    )

    def figures(self) -> Iterator[Sample]:
        """The amounts that are known to be RMB."""
        for metric, amount in (
            (BALANCE, self._rmb(self.balance_rmb, self.balance)),
            (BUDGET, self._rmb(self.budget_rmb, self.budget)),
            (BUDGET_LEFT, self._rmb(self.budget_left_rmb, self.budget_left)),
        ):
            if amount is not None:
                yield metric(float(amount))

    def unreadable(self) -> Iterator[str]:
        """The fields of absent amounts: invalid, not known to be RMB, or of an unknown name."""
        yield from unreadable_fields(self)
        for name, certain, other in (
            ("balance", self.balance_rmb, self.balance),
            ("budget", self.budget_rmb, self.budget),
            ("budget_left", self.budget_left_rmb, self.budget_left),
        ):
            if certain is None and isinstance(other, Decimal) and self._rmb(None, other) is None:
                yield name
        unread = [name for name in self.model_extra or () if _IS_AMOUNT.search(name.lower())]
        yield from (as_word(name) for name in sorted(unread)[:MOST_UNREAD])


class Invoice(_Amounts):
    """One invoice: its month, amount and status."""

    id: Text
    month: Month = Field(
        validation_alias=AliasChoices("month", "billing_month", "billing_period", "period")
    )
    amount_rmb: Lenient[Money] = Field(
        default=None, validation_alias=AliasChoices("amount_rmb", "total_rmb", "total_amount_rmb")
    )
    amount: Lenient[Money] = Field(
        default=None, validation_alias=AliasChoices("amount", "total", "total_amount")
    )
    status: Word

    def rmb(self) -> Decimal | None:
        """Its amount; None if it is not known to be RMB."""
        return self._rmb(self.amount_rmb, self.amount)


PLAN = Endpoint(
    path="/api/v1/billing/plan",
    response=TypeAdapter(Plan),
    feeds="balance and budget",
    optional=OPTIONAL,
)
INVOICES = Endpoint(
    path="/api/v1/billing/invoices",
    response=TypeAdapter(Array[Invoice]),
    feeds="invoices by month",
    optional=OPTIONAL,
    check_params=lambda _: {"page": 1, "page_size": PAGE_SIZE},
)


def fetch_plan(client: Client) -> Plan:
    """Request the plan.

    Raises:
        ShapeError: if the response has none of the known amounts in RMB.
        PollError: for any other failure.
    """
    plan = client.get(Request(endpoint=PLAN))
    if not any(plan.figures()):
        raise ShapeError(f"{PLAN.path}: no balance and no budget that is known to be RMB")
    return plan


def fetch_invoices(client: Client) -> tuple[Invoice, ...]:
    """Request the pages of the invoices until one is empty.

    Pages may be shorter than requested. Some servers repeat the last page in place of an empty one.

    Raises:
        PagingError: if a page repeats an invoice, or the pages do not end.
        ShapeError: if an amount is not known to be RMB.
        PollError: for any other failure.
    """
    invoices: dict[str, Invoice] = {}
    last: tuple[Invoice, ...] = ()
    for number in range(1, MOST_PAGES + 1):
        params = {"page": number, "page_size": PAGE_SIZE}
        page = client.get(Request(endpoint=INVOICES, params=params))
        if not page or (page == last and len(page) < PAGE_SIZE):
            return tuple(invoices.values())
        last, before = page, len(invoices)
        invoices |= {invoice.id: invoice for invoice in page}
        if len(invoices) != before + len(page):
            raise PagingError(f"{INVOICES.path} lists an invoice twice")
        if any(invoice.rmb() is None for invoice in page):
            raise ShapeError(f"{INVOICES.path}: an amount is not known to be RMB")
    raise PagingError(f"{INVOICES.path} did not end after {MOST_PAGES} pages")


def plan_task(
    client: Client, clock: Callable[[], float], interval: float, unreadable: UnreadableValues
) -> Task:
    """The task that publishes balance and budget."""

    def fetch() -> Plan:
        plan = fetch_plan(client)
        unreadable.note(PLAN_TASK, (f"plan.{field}" for field in plan.unreadable()))
        return plan

    last = LastResponse(
        clock,
        fetch=fetch,
        samples=lambda response, now: response.value.figures(),  # noqa: ARG005 - they hold always
    )
    return optional_task(client, PLAN_TASK, last, interval=interval, metrics=PLAN_METRICS)


def invoices_task(
    client: Client, clock: Callable[[], float], zone: ZoneInfo, interval: float
) -> Task:
    """The task that publishes the totals of two months, until the running one ends."""

    def samples(response: Response[tuple[Invoice, ...]], now: float) -> Iterator[Sample]:
        running = first_of_month(day_of(now, zone))
        if first_of_month(day_of(response.requested_at, zone)) == running:
            yield from totals(response.value, running)

    last = LastResponse(clock, fetch=lambda: fetch_invoices(client), samples=samples)
    return optional_task(
        client,
        INVOICES_TASK,
        last,
        interval=interval,
        metrics=INVOICE_METRICS,
        next_window_end=lambda now: next_midnight(now, zone),
    )


def first_of_month(day: date) -> date:
    """The first day of a day's month."""
    return day.replace(day=1)


def totals(invoices: tuple[Invoice, ...], running: date) -> Iterator[Sample]:
    """The totals by status of the running month, by its first day, and of the one before."""
    before = first_of_month(running - timedelta(days=1))
    for metric, month in ((MONTH, running), (PREVIOUS_MONTH, before)):
        sums: defaultdict[str, Decimal] = defaultdict(Decimal)
        for invoice in invoices:
            if invoice.month == month:
                sums[invoice.status] += invoice.rmb() or 0
        for status, total in sorted(sums.items()):
            yield metric(float(total), status=status)
