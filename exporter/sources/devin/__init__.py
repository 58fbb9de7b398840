"""Devin's enterprise API v3: which data sets are read, and the tasks that keep them."""

from exporter.accounting import Limits
from exporter.http import Client
from exporter.sources.connection import Connection, Source, Surroundings
from exporter.sources.devin import (
    activity,
    categories,
    consumption,
    cycles,
    directory,
    limits,
    money,
    pull_requests,
    queue,
    scopes,
    searches,
    session_metrics,
    sessions,
    unattributed,
)
from exporter.sources.devin.permissions import permission_of
from exporter.sources.devin.settings import DevinSettings
from exporter.sources.devin.user_policy import UserPolicy
from exporter.sources.devin.window_counts import Question, WindowCounts
from exporter.tasks import Task

NAME = "devin"


def connect(settings: DevinSettings, surroundings: Surroundings) -> Connection | None:
    """Open the source; None if no key is set."""
    key = settings.key()
    if key is None:
        return None
    client = Client(
        source=NAME,
        base_url=settings.api_url,
        key=key,
        limits=Limits(
            requests_per_second=settings.requests_per_second, concurrency=settings.concurrency
        ),
        metrics=surroundings.request_metrics,
        stopping=surroundings.stopping,
        verify=settings.trust(),
        permission_of=permission_of,
        clock=surroundings.clock,
    )
    return Connection(NAME, client, tuple(_tasks(client, settings, surroundings)))


def _tasks(client: Client, settings: DevinSettings, surroundings: Surroundings) -> list[Task]:
    clock = surroundings.clock
    interval = settings.poll_interval
    billing = cycles.Cycles(client, clock)
    policy = UserPolicy(settings.user_metrics, key=settings.hash_key(), limit=settings.user_limit)
    people = directory.Directory(client, clock, policy)
    ledgers = consumption.Consumption(
        client, clock, windows=billing.windows, people=people, policy=policy
    )
    table = sessions.Table(rows=settings.recent_sessions, titles=settings.session_titles)

    def counts(*questions: Question) -> WindowCounts:
        return WindowCounts(client, clock, billing.windows, questions)

    return [
        billing.task(interval),
        *people.tasks(interval, ranked_by=scopes.USER_SCOPE.task),
        *ledgers.tasks(interval),
        unattributed.task(
            client.source, interval, ledgers=ledgers, people=people, windows=billing.windows
        ),
        *activity.Activity(client, clock, people).tasks(interval),
        counts(*session_metrics.QUESTIONS).task(
            "session_metrics", interval, session_metrics.METRICS
        ),
        counts(*pull_requests.QUESTIONS).task("pull_requests", interval, pull_requests.METRICS),
        counts(*searches.QUESTIONS).task("searches", interval, searches.METRICS),
        counts(*categories.QUESTIONS).task("categories", interval, categories.METRICS),
        counts(*_OF_ORGANIZATIONS).task(
            "organization_metrics",
            interval * activity.ORGANIZATIONS_INTERVALS,
            _OF_ORGANIZATIONS_METRICS,
            listed=lambda: {org_id: {"org_id": org_id} for org_id in people.org_ids()},
            after=(directory.ORGANIZATIONS_TASK,),
        ),
        limits.Limits(client, clock, people, policy).task(interval),
        sessions.Sessions(client, clock, policy, table).task(interval),
        queue.Queue(client, clock).task(interval),
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
    settings=DevinSettings,
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
        *limits.METRICS,
        *sessions.METRICS,
        *queue.METRICS,
    ),
    connect=connect,
)
