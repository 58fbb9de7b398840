"""Devin's enterprise API v3: its data sets, and the tasks that poll them."""

from dataclasses import replace
from functools import partial

from exporter.client.http import Client
from exporter.client.rate_limit import RateLimits
from exporter.config.settings import Settings
from exporter.scheduling.task import Task
from exporter.sources.devin import identity
from exporter.sources.devin.activity import (
    active_users,
    categories,
    pull_requests,
    searches,
    sessions_created,
)
from exporter.sources.devin.activity.windowed import WindowedMetrics
from exporter.sources.devin.backfill import charges, plan
from exporter.sources.devin.billing import cycles, day_start
from exporter.sources.devin.check import Check
from exporter.sources.devin.consumption import collector, limits, organization_limits, scopes
from exporter.sources.devin.data_set import Context, DataSet
from exporter.sources.devin.derived import metering, pricing, unattributed, unreadable
from exporter.sources.devin.derived.teams import file as teams_file
from exporter.sources.devin.derived.teams import metrics as team_metrics
from exporter.sources.devin.derived.teams.settings import TeamSettings
from exporter.sources.devin.derived.teams.shares import TEAM_INPUTS, Shares
from exporter.sources.devin.members import directory, models
from exporter.sources.devin.members import samples as member_samples
from exporter.sources.devin.operations import (
    automations,
    code_scans,
    guardrails,
    hypervisors,
    queue,
    session_bills,
    session_items,
    session_table,
    sessions,
)
from exporter.sources.devin.operations.breakdowns import metrics as breakdown_metrics
from exporter.sources.devin.operations.breakdowns.by_team import TeamSessions
from exporter.sources.devin.settings import DevinSettings
from exporter.sources.devin_api import DevinApiSettings
from exporter.sources.source import CheckReport, Fields, OpenSource, Shared, Source

NAME = "devin"


def open_client(settings: Settings, shared: Shared) -> Client | None:
    """Open a client with the settings' key; None if no key is set."""
    own, api = settings[DevinSettings], settings[DevinApiSettings]
    limits = RateLimits(requests_per_second=own.requests_per_second, concurrency=own.concurrency)
    return shared.client(
        NAME,
        api.api_url,
        own.key(),
        limits=limits,
        ca_file=api.ca_file,
        open_endpoints=identity.ENDPOINTS,
    )


def tasks(opened: OpenSource) -> tuple[Task, ...]:
    """The task of each data set."""
    return tuple(each.task for each in _data_sets(opened))


def check(opened: OpenSource) -> CheckReport:
    """Request every endpoint once."""
    return Check(opened, endpoints=ENDPOINTS, data_sets=_data_sets(opened)).run()


def demo(url: str, key: str) -> Fields:
    """Settings for the simulated API in place of the real one."""
    return {
        DevinApiSettings: {"api_url": url, "ca_file": None},
        DevinSettings: {"service_user_token": key, "service_user_token_file": None},
    }


def owner(opened: OpenSource) -> str:
    """The address and the key. Raises `CredentialError` if the key cannot be read."""
    key = opened.settings[DevinSettings].key()
    return f"{opened.settings[DevinApiSettings].api_url} {key() if key is not None else ''}"


def _data_sets(opened: OpenSource) -> list[DataSet]:
    client, clock, settings = opened.client, opened.clock, opened.settings[DevinSettings]
    interval = settings.poll_interval
    context = Context.of(opened)
    people, windows = context.directory, context.cycles.windows
    ledgers = collector.Consumption(client, clock, context, sweep_interval=settings.sweep_interval)
    shares = Shares(opened, context, ledgers)
    counts = partial(WindowedMetrics, client, clock, windows)
    created, of_organizations = counts(sessions_created.QUERIES), counts(ORG_QUERIES)
    of_agents = organization_limits.OrganizationLimits(client, clock, people)
    active = active_users.Activity(client, clock, people)
    plan = metering.Metering(
        ledgers,
        context.sessions,
        sessions_on_complete_days=partial(
            sessions_created.on_complete_days, created.value, of_organizations.value
        ),
    )
    organizations, users, user_names, service_users = people.tasks(
        interval, ranked_by=scopes.USER_SCOPE.task
    )
    key_kind = DataSet(context.identity.task(interval), (identity.ENDPOINT,), needs_none=True)
    waiting = [
        DataSet(
            context.cycles.task(interval, days_seen_by=SEE_DAYS),
            (cycles.ENDPOINT,),
            needs_none=True,
        ),
        DataSet(context.day_start.task(client.source, interval, learned_from=SEE_DAYS)),
        DataSet(
            context.sessions.task(
                interval, labelled_after=(directory.USERS_TASK, scopes.USER_SCOPE.task)
            ),
            session_items.ENDPOINTS,
        ),
        DataSet(organizations, (models.ORGANIZATIONS,), needs_none=True),
        DataSet(users, models.ALL_USERS),
        DataSet(user_names),
        DataSet(service_users, (models.SERVICE_USERS,)),
        *ledgers.data_sets(interval),
        DataSet(
            context.session_bills.task(
                without_acus=context.sessions.without_acus,
                metered=plan.metered,
                after=(
                    sessions.TASK,
                    scopes.ENTERPRISE_SCOPE.task,
                    scopes.ORGANIZATION_SCOPE.task,
                ),
            ),
            session_bills.CURRENT_ENDPOINTS,
            needs_none=True,
        ),
        DataSet(
            context.breakdowns.task(
                interval,
                total=lambda: ledgers.of_key,
                require_sessions=context.sessions.require_last_poll,
                sessions=sessions.TASK,
                totals=(scopes.ENTERPRISE_SCOPE.task, scopes.ORGANIZATION_SCOPE.task),
            ),
            needs_none=True,
        ),
        DataSet(
            unattributed.task(
                client.source, interval, ledgers=ledgers, people=people, windows=windows
            )
        ),
        *map(DataSet, shares.tasks()),
        DataSet(
            TeamSessions(
                context.breakdowns,
                shares.team_rows,
                windows,
                shows_ids=context.user_policy.shows_ids,
            ).task(client.source, interval, after=(*TEAM_INPUTS, sessions.TASK))
        ),
        DataSet(plan.task(client.source, interval)),
        DataSet(active.enterprise_task(interval), active_users.ENTERPRISE_ENDPOINTS),
        DataSet(active.organizations_task(interval), active_users.ORG_ENDPOINTS),
        created.data_set(sessions_created.TASK, interval, sessions_created.METRICS),
        counts(pull_requests.QUERIES).data_set("pull_requests", interval, pull_requests.METRICS),
        counts(searches.QUERIES).data_set("searches", interval, searches.METRICS),
        counts(categories.QUERIES).data_set("categories", interval, categories.METRICS),
        of_organizations.data_set(
            metering.ORGANIZATION_METRICS_TASK,
            interval * active_users.ORGANIZATIONS_INTERVALS,
            ORG_METRICS,
            list_entities=lambda: {org_id: {"org_id": org_id} for org_id in people.org_ids()},
            after=(directory.ORGANIZATIONS_TASK,),
        ),
        DataSet(
            limits.Limits(client, clock, people, context.user_policy, of_agents).task(interval),
            (limits.ENDPOINT,),
        ),
        DataSet(of_agents.task(interval), (organization_limits.ENDPOINT,)),
        DataSet(
            organization_limits.tiers_task(client, clock, interval),
            (organization_limits.TIERS_ENDPOINT,),
        ),
        DataSet(queue.task(client, clock, interval), (queue.ENDPOINT,)),
        DataSet(hypervisors.task(client, clock, interval), (hypervisors.ENDPOINT,)),
        DataSet(guardrails.task(client, clock, windows, interval), (guardrails.ENDPOINT,)),
        counts(code_scans.QUERIES).data_set("code_scans", interval, code_scans.METRICS),
        DataSet(
            automations.Automations(client, clock, people).task(interval), (automations.ENDPOINT,)
        ),
    ]
    polled = [each.task.name for each in waiting if each.task.poll is not None]
    waiting.append(DataSet(unreadable.task(client, interval, polled=polled)))

    def finished(each: DataSet) -> DataSet:
        task = each.for_key(context.identity)
        return replace(
            each, task=plan.guard(replace(task, depends_on=(identity.TASK, *task.depends_on)))
        )

    reads_file = DataSet(shares.file_task())
    money = pricing.task(
        client.source,
        settings,
        billing=context.cycles,
        day_start=context.day_start,
        products=ledgers.products_seen,
    )
    return [key_kind, reads_file, *map(finished, waiting), DataSet(money)]


SEE_DAYS = (scopes.ENTERPRISE_SCOPE.task, scopes.ORGANIZATION_SCOPE.task)
"""The tasks whose polls show when billing days start."""

ORG_QUERIES = (
    *sessions_created.ORG_QUERIES,
    *pull_requests.ORG_QUERIES,
    *searches.ORG_QUERIES,
)
ORG_METRICS = (
    *sessions_created.ORGANIZATION_METRICS,
    *pull_requests.ORGANIZATION_METRICS,
    *searches.ORGANIZATION_METRICS,
)
ENDPOINTS = (
    *identity.ENDPOINTS,
    *models.ENDPOINTS,
    cycles.ENDPOINT,
    *scopes.ENDPOINTS,
    *active_users.ENDPOINTS,
    *sessions_created.ENDPOINTS,
    *pull_requests.ENDPOINTS,
    *searches.ENDPOINTS,
    categories.ENDPOINT,
    limits.ENDPOINT,
    organization_limits.ENDPOINT,
    organization_limits.TIERS_ENDPOINT,
    *session_items.ENDPOINTS,
    *session_bills.ENDPOINTS,
    queue.ENDPOINT,
    hypervisors.ENDPOINT,
    guardrails.ENDPOINT,
    code_scans.ENDPOINT,
    automations.ENDPOINT,
)

SOURCE = Source(
    name=NAME,
    sections=(DevinSettings, TeamSettings, DevinApiSettings),
    enabled_by="DEVIN_SERVICE_USER_TOKEN or DEVIN_SERVICE_USER_TOKEN_FILE",
    metrics=(
        *cycles.METRICS,
        *day_start.METRICS,
        *member_samples.METRICS,
        *scopes.METRICS,
        *unattributed.METRICS,
        *team_metrics.METRICS,
        *teams_file.METRICS,
        *active_users.METRICS,
        *sessions_created.METRICS,
        *pull_requests.METRICS,
        *searches.METRICS,
        *categories.METRICS,
        *ORG_METRICS,
        *pricing.METRICS,
        *metering.METRICS,
        *limits.METRICS,
        *organization_limits.METRICS,
        *organization_limits.TIER_METRICS,
        *session_table.METRICS,
        *breakdown_metrics.METRICS,
        *breakdown_metrics.TEAM_METRICS,
        *queue.METRICS,
        *hypervisors.METRICS,
        *guardrails.METRICS,
        *code_scans.METRICS,
        *automations.METRICS,
        *unreadable.METRICS,
    ),
    endpoints=ENDPOINTS,
    open_client=open_client,
    tasks=tasks,
    check=check,
    demo=demo,
    demo_defaults={DevinSettings: {"requests_per_second": "200"}},
    backfill=plan.backfill,
    owner=owner,
    charges=charges.charges,
)
