"""Charges of finished billing days, which add up to the ledger by product and day.

The API has the use of a day by organization, and by user, but not by both. A cut by one of the two
and a remainder of nobody make the whole: of the enterprise, or of an organization's key's own
organization.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from urllib.parse import urlsplit

from exporter.client.checkpoint import Checkpoint
from exporter.config.settings import Settings
from exporter.errors import EntitiesUnknownError, PollError
from exporter.exposition.focus import Charge
from exporter.exposition.openmetrics import BackfillRange
from exporter.sources.devin.activity import sessions_created
from exporter.sources.devin.backfill.cut import (
    Amount,
    Cut,
    Entity,
    Payer,
    date_of,
    number_of,
    unpriced,
)
from exporter.sources.devin.backfill.owners import Owners
from exporter.sources.devin.backfill.plan import REFUSALS, observe_days, polled
from exporter.sources.devin.billing.windows import (
    TWO_CYCLES_DAYS,
    billing_day,
    covering,
    day_number,
)
from exporter.sources.devin.consumption.collector import Consumption
from exporter.sources.devin.consumption.scopes import (
    ENTERPRISE,
    ENTERPRISE_SCOPE,
    ORGANIZATION_SCOPE,
    SERVICE_USER_SCOPE,
    USER_SCOPE,
    Scope,
)
from exporter.sources.devin.data_set import Context
from exporter.sources.devin.derived.teams.shares import Shares
from exporter.sources.devin.members import samples as member_samples
from exporter.sources.devin.settings import DevinSettings
from exporter.sources.devin_api import DevinApiSettings
from exporter.sources.source import ChargePlan, ChargeQuery, ExportError, OpenSource

EVERYBODY = 10**9
NAMES = (
    member_samples.ORGANIZATION_INFO,
    member_samples.USER_INFO,
    member_samples.SERVICE_USER_INFO,
)


def charges(opened: OpenSource, query: ChargeQuery) -> ChargePlan:
    """List the entities, and plan the requests for their use.

    Raises:
        ExportError: if a day has not ended, there is no price, the key lacks a list, or the plan
            is not metered.
        PollError: if a list cannot be read for another reason.
    """
    opened = _without_limit(opened)
    settings, api = opened.settings[DevinSettings], opened.settings[DevinApiSettings]
    prices = settings.prices()
    if prices is None:
        raise ExportError("there is no price; set DEVIN_ACU_PRICE")
    context, now = Context.of(opened), opened.clock()
    names = _listed(context, settings, by=query.by, now=now)
    owners = _owners(opened, context) if query.by == "user" else Owners()
    days = range(number_of(query.first), number_of(query.end))
    running = day_number(billing_day(now).start)
    seen = BackfillRange(max(TWO_CYCLES_DAYS, running - days.start), now)
    is_metered = observe_days(opened, context, seen)
    _check_ended(days, min(each.number(now) for each in context.day_start.calendars()))
    if not is_metered:
        _check_sessions(opened, context, range(running - seen.days, running))
    org_id = context.identity.org_id
    cut = Cut(
        days=days,
        now=now,
        whole=(ENTERPRISE_SCOPE, ENTERPRISE) if org_id is None else (ORGANIZATION_SCOPE, org_id),
        parts=tuple(_parts(context, query.by)),
        payer=_payers(context, names, owners),
        org_id=org_id,
    )
    account = query.account or org_id or urlsplit(api.api_url).hostname or ""
    charge = _charges_of(context, settings, days, now=now, account=account)

    def written(checkpoint: Checkpoint) -> Iterator[Charge]:
        cut.check_prices(checkpoint, prices)
        return (charge(payer, amount) for payer, amount in cut.amounts(checkpoint))

    who = context.identity.known
    principal = (who.org_id or who.service_user_id or "") if who else ""
    return ChargePlan(
        client=opened.client,
        owner=f"{api.api_url} {principal} charges",
        day=str(date_of(running)),
        requests=tuple(cut.requests()),
        charges=written,
    )


def _charges_of(
    context: Context, settings: DevinSettings, days: range, *, now: float, account: str
) -> Callable[[Payer, Amount], Charge]:
    """From an amount to its charge, with the bounds of its day and of its billing cycle."""
    calendar, *_ = context.day_start.calendars()
    cycles = [cycle for _, cycle, _ in context.cycles.over(calendar.start_of(days.start), now)]
    prices = settings.prices()

    def charge(payer: Payer, amount: Amount) -> Charge:
        product, day, quantity = amount
        span = calendar.span(range(day, day + 1))
        cycle = covering(cycles, span.start) or calendar.month(span.start)
        price = prices.of(product, day) if prices else None
        if price is None:
            raise ExportError(unpriced([(product, day)]))
        return Charge(
            day=(span.start, span.end),
            billing_period=(cycle.start, cycle.end),
            account=account,
            product=product,
            quantity=quantity,
            price=price,
            currency=settings.acu_currency,
            organization=payer.organization,
            tags=payer.tags,
        )

    return charge


def _without_limit(opened: OpenSource) -> OpenSource:
    """The same source, with every user under their own label."""
    own = opened.settings[DevinSettings].model_copy(update={"user_limit": EVERYBODY})
    sections = MappingProxyType({**opened.settings.sections, DevinSettings: own})
    return replace(opened, settings=Settings(sections))


def _listed(
    context: Context, settings: DevinSettings, *, by: str, now: float
) -> Mapping[tuple[str, str], Mapping[str, str]]:
    """Poll the lists of a cut, and return what is published of each entity, by label and id."""
    interval, identity = settings.poll_interval, context.identity
    lacking = list(polled((identity.task(interval),)))
    # Without access to cycles the calendar's months stand in, as everywhere.
    _ = list(polled((context.cycles.task(interval),)))
    organizations, *people = context.directory.tasks(interval, ranked_by="")
    tasks = [organizations]
    if by == "user" and identity.org_id is not None:
        users, user_names, _ = people
        tasks += [context.sessions.task(interval), users, user_names]
    elif by == "user":
        tasks += people
    lacking += polled(tasks)
    if lacking:
        raise ExportError(f"the key lacks what an export needs: {'; '.join(lacking)}")
    named: dict[tuple[str, str], Mapping[str, str]] = {}
    for task in tasks:
        for sample in task.snapshot(now, math.inf).samples:
            if sample.metric in NAMES:
                labels = dict(zip(sample.metric.labels, sample.labels, strict=True))
                named[sample.metric.labels[0], sample.labels[0]] = labels
    return named


def _owners(opened: OpenSource, context: Context) -> Owners:
    """Read the teams file. Raises `PollError` if it is broken."""
    interval = opened.settings[DevinSettings].sweep_interval
    consumption = Consumption(opened.client, opened.clock, context, sweep_interval=interval)
    shares = Shares(opened, context, consumption)
    _ = list(polled((shares.file_task(),)))
    return Owners.of(shares, opened.clock())


def _check_ended(days: range, running: int) -> None:
    if days.stop > running:
        raise ExportError(
            f"--to: the billing day of {date_of(days.stop - 1)} has not ended; "
            f"{date_of(running)} is the latest that can be given"
        )


def _check_sessions(opened: OpenSource, context: Context, days: range) -> None:
    """Raise `ExportError` if work was done on days without any ACU: 0 is no bill then."""
    org_id = context.identity.org_id
    calendar, *_ = context.day_start.calendars()
    request = sessions_created.DAILY.request(org_id or "", calendar.span(days))
    since = f"there is no ACU since {date_of(days.start)}"
    try:
        created = opened.client.get(request).sessions_created_count
    except PollError as failure:
        if not failure.reasons <= REFUSALS:
            raise
        raise ExportError(f"{since}, and the key may not see if that is true: {failure}") from None
    if created:
        raise ExportError(
            f"{since}, but sessions were created: {created}. The plan is not metered, so the API "
            "has nothing that could be exported"
        )


def _parts(context: Context, by: str) -> Iterator[Entity]:
    """The entities of a cut.

    Raises:
        ExportError: if some of them may be unknown.
    """
    people, own = context.directory, context.identity.org_id
    try:
        if by == "organization":
            if own is None:
                yield from ((ORGANIZATION_SCOPE, each) for each in sorted(people.all_org_ids()))
            return
        yield from ((USER_SCOPE, each) for each in sorted(people.all_user_ids()))
        service = people.all_service_user_ids() if own is None else people.service_user_ids()
        yield from ((SERVICE_USER_SCOPE, each) for each in sorted(service))
    except EntitiesUnknownError as unknown:
        raise ExportError(f"a list cannot be read whole: {unknown}") from None


def _payers(
    context: Context, names: Mapping[tuple[str, str], Mapping[str, str]], owners: Owners
) -> Callable[[Scope, str], Payer]:
    """From an entity to who it is in the rows; users of mode `off` are their team alone."""
    policy, own = context.user_policy, context.identity.org_id

    def organization(org_id: str) -> tuple[str, str]:
        name = names.get(("org_id", org_id), {}).get("org_name")
        # FOCUS wants a name wherever there is an id.
        return org_id, name or org_id

    home = organization(own) if own is not None else None

    def payer(scope: Scope, entity: str) -> Payer:
        if scope is ORGANIZATION_SCOPE:
            return Payer(organization(entity))
        if scope is ENTERPRISE_SCOPE:
            return Payer(home)
        owner = owners.owner_of(scope, entity)
        tags = {"team": owner.team, "cost_center": owner.cost_center}
        if scope is SERVICE_USER_SCOPE:
            labels = names.get(("service_user_id", entity), {})
            tags |= {
                "service_user": entity,
                "service_user_name": labels.get("service_user_name", ""),
            }
        elif policy.mode != "off":
            labels = names.get(("user_id", entity), {})
            tags |= {
                "user": policy.label(entity),
                "user_email": labels.get("user_email", ""),
                "user_name": labels.get("user_name", ""),
            }
        return Payer(home, {name: value for name, value in tags.items() if value})

    return payer
