"""Devin's enterprise API v3: which data sets are read, and the tasks that keep them."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from exporter.config.settings import Settings
from exporter.http import Client
from exporter.sources.connection import Connection, Fields, Report, Source, Surroundings
from exporter.sources.devin import (
    activity,
    categories,
    consumption,
    cycles,
    directory,
    guardrails,
    hypervisors,
    identity,
    limits,
    metering,
    money,
    past,
    pull_requests,
    queue,
    scopes,
    searches,
    session_metrics,
    sessions,
    unattributed,
)
from exporter.sources.devin.basis import NAME, Basis, open_client
from exporter.sources.devin.check import Check
from exporter.sources.devin.settings import DevinSettings
from exporter.sources.devin.window_counts import Question, WindowCounts
from exporter.sources.devin_api import DevinApiSettings
from exporter.tasks import Task


def connect(settings: Settings, surroundings: Surroundings) -> Connection | None:
    """Open the source; None if no key is set."""
    client = open_client(settings, surroundings)
    if client is None:
        return None
    return Connection(NAME, client, tuple(_tasks(client, settings[DevinSettings], surroundings)))


def check(settings: Settings, surroundings: Surroundings) -> Report | None:
    """Ask every endpoint once; None if no key is set."""
    client = open_client(settings, surroundings)
    if client is None:
        return None
    asked = Check(client, settings[DevinSettings], surroundings.timing.clock())
    asked.run()
    client.close()
    return asked.report()


def demo(url: str, key: str) -> Fields:
    """The simulated API in place of the real one."""
    return {
        DevinApiSettings: {"api_url": url, "ca_file": None},
        DevinSettings: {"service_user_token": key, "service_user_token_file": None},
    }


def _tasks(client: Client, settings: DevinSettings, surroundings: Surroundings) -> list[Task]:
    clock = surroundings.timing.clock
    interval = settings.poll_interval
    basis = Basis.of(client, settings, clock)
    who, billing, listed, people = basis.who, basis.billing, basis.listed, basis.people
    policy = basis.policy
    ledgers = consumption.Consumption(
        client, clock, identity=who, windows=billing.windows, people=people, policy=policy
    )

    def counts(questions: Sequence[Question]) -> WindowCounts:
        return WindowCounts(client, clock, billing.windows, questions)

    created = counts(session_metrics.QUESTIONS)
    of_organizations = counts(_OF_ORGANIZATIONS)
    plan = metering.Metering(
        ledgers,
        listed,
        sessions_on_complete_days=partial(
            session_metrics.on_complete_days, created.value, of_organizations.value
        ),
    )
    users_active, organizations_active = activity.Activity(client, clock, people).tasks(interval)
    organizations, users, user_names, service_users = people.tasks(
        interval, ranked_by=scopes.USER_SCOPE.task
    )
    waiting = [
        billing.task(interval),
        replace(
            plan.guard(listed.task(interval), (sessions.RECENT_ACUS,)),
            reads=(directory.USERS_TASK, scopes.USER_SCOPE.task),
        ),
        organizations,
        users,
        user_names,
        who.enterprise_only(service_users),
        *(plan.guard(task, task.metrics) for task in ledgers.tasks(interval)),
        plan.guard(
            unattributed.task(
                client.source, interval, ledgers=ledgers, people=people, windows=billing.windows
            ),
            unattributed.METRICS,
        ),
        plan.task(client.source, interval),
        who.enterprise_only(users_active),
        organizations_active,
        who.enterprise_only(
            plan.guard(
                created.task(session_metrics.TASK, interval, session_metrics.METRICS),
                (session_metrics.AVERAGE_ACUS,),
            )
        ),
        who.enterprise_only(
            counts(pull_requests.QUESTIONS).task("pull_requests", interval, pull_requests.METRICS)
        ),
        who.enterprise_only(
            counts(searches.QUESTIONS).task("searches", interval, searches.METRICS)
        ),
        who.enterprise_only(
            plan.guard(
                counts(categories.QUESTIONS).task("categories", interval, categories.METRICS),
                (categories.ACUS,),
            )
        ),
        of_organizations.task(
            metering.ORGANIZATION_METRICS_TASK,
            interval * activity.ORGANIZATIONS_INTERVALS,
            _OF_ORGANIZATIONS_METRICS,
            listed=lambda: {org_id: {"org_id": org_id} for org_id in people.org_ids()},
            after=(directory.ORGANIZATIONS_TASK,),
        ),
        who.enterprise_only(limits.Limits(client, clock, people, policy).task(interval)),
        who.enterprise_only(queue.Queue(client, clock).task(interval)),
        identity.where_there_is_one(
            who.enterprise_only(hypervisors.Hypervisors(client, clock).task(interval))
        ),
        identity.where_there_is_one(
            who.enterprise_only(
                guardrails.Guardrails(client, clock, billing.windows).task(interval)
            )
        ),
    ]
    return [
        who.task(interval),
        *(replace(task, after=(identity.TASK, *task.after)) for task in waiting),
        money.task(client.source, settings),
    ]


_OF_ORGANIZATIONS = (
    *session_metrics.ORGANIZATION_QUESTIONS,
    *pull_requests.ORGANIZATION_QUESTIONS,
    *searches.ORGANIZATION_QUESTIONS,
)
_OF_ORGANIZATIONS_METRICS = (
    *session_metrics.ORGANIZATION_METRICS,
    *pull_requests.ORGANIZATION_METRICS,
    *searches.ORGANIZATION_METRICS,
)

SOURCE = Source(
    name=NAME,
    sections=(DevinSettings, DevinApiSettings),
    wanted="DEVIN_SERVICE_USER_TOKEN or DEVIN_SERVICE_USER_TOKEN_FILE",
    metrics=(
        *cycles.METRICS,
        *directory.METRICS,
        *scopes.METRICS,
        *unattributed.METRICS,
        *activity.METRICS,
        *session_metrics.METRICS,
        *pull_requests.METRICS,
        *searches.METRICS,
        *categories.METRICS,
        *_OF_ORGANIZATIONS_METRICS,
        *money.METRICS,
        *metering.METRICS,
        *limits.METRICS,
        *sessions.METRICS,
        *queue.METRICS,
        *hypervisors.METRICS,
        *guardrails.METRICS,
    ),
    connect=connect,
    check=check,
    demo=demo,
    demo_defaults={DevinSettings: {"requests_per_second": "200"}},
    past=past.past,
)
