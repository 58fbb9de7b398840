"""Exporter: whether the figures can be trusted now, and why not."""

from grafana_foundation_sdk.builders import timeseries

from grafana.boards.exporter.api_data import DAY_START, UNREADABLE
from grafana.boards.exporter.source_comparison import INVALID, TWO_COUNTS
from grafana.boards.exporter.tasks import CARDS, TASKS
from grafana.boards.exporter.web_configuration import WEB_CONFIGURATION
from grafana.boards.firing_alerts import firing_panel
from grafana.builders.board import Board, Stack
from grafana.builders.charts import (
    by_source,
    line_panel,
    state_panel,
    with_legend_table,
    with_spaces,
    with_spelt_sources,
)
from grafana.builders.colours import (
    AMBER,
    BAD_FILL,
    BLUE,
    GOOD_FILL,
)
from grafana.builders.overrides import (
    TASK_NAMES,
    colour,
)
from grafana.builders.panels import LOCAL, as_people_write
from grafana.builders.queries import over_time
from grafana.builders.variables import CARRIED_ORGANIZATION_VARIABLE
from grafana.expressions import promql as q


def _rate(metric: str, by: str, matchers: str = q.JOB) -> str:
    return f"sum by ({by}) (rate({metric}{{{matchers}}}[$__rate_interval]))"


def _by_instance(title: str, about: str, unit: str, metric: str, axis: str) -> timeseries.Panel:
    query = over_time(f"max by (instance) ({metric}{{{q.JOB}}})", "{{instance}}")
    return line_panel(title, about, unit, query, axis=axis, width=6, many=True)


_requests = "devin_exporter_api_requests_total"
"""The label that holds the template of a request's path."""
_budget = 'sum by (source) (devin_exporter_request_budget_per_second{job="$job"})'
_failures = (
    'sum by (task, reason) (rate(devin_exporter_task_failures_total{job="$job"}'
    "[$__rate_interval])) * 3600 > 0"
)
_up_all_along = 'min by (task) (min_over_time(devin_exporter_task_up{job="$job"}[$__interval]))'
_slow = _rate("devin_exporter_api_request_duration_seconds_bucket", "path, le")
_parts = (
    f"max by (scope) ({q.latest('devin_exporter_unattributed_cycle_acus')}) / on () group_left () "
    f"(sum({q.latest('devin_consumption_cycle_acus')}) > 0)"
)

REQUESTS = (
    with_spelt_sources(
        line_panel(
            "Requests by status",
            "Responses per second by status, or by the reason why there was none.",
            LOCAL,
            over_time(_rate(_requests, "source, status"), "{{source}}: {{status}}"),
            axis="requests per second",
            width=8,
            many=True,
        ).axis_soft_max(0.1)
    ),
    by_source(
        line_panel(
            "Rate limit in use",
            "Requests sent, as a share of those that the source may get in a second "
            "(DEVIN_REQUESTS_PER_SECOND).",
            "percentunit",
            over_time(f"{_rate(_requests, 'source')} / on (source) {_budget}", "{{source}}"),
            axis="of the rate limit",
            width=8,
        ).axis_soft_max(0.1)
    ),
    by_source(
        line_panel(
            "Waiting for the rate limit",
            "Seconds per second that requests waited, all together: above 1 there is always one "
            "that waits.",
            "none",
            over_time(_rate("devin_exporter_request_wait_seconds_total", "source"), "{{source}}"),
            axis="requests that wait",
            width=8,
        ).axis_soft_max(1)
    ),
    with_legend_table(
        line_panel(
            "Requests by endpoint",
            "Requests sent per second, retries included.",
            LOCAL,
            over_time(_rate(_requests, "path"), "{{path}}"),
            axis="requests per second",
            width=12,
            height=13,
            many=True,
        ).axis_soft_max(0.1)
    ),
    with_legend_table(
        line_panel(
            "Time of a response",
            "Of 95 in 100 requests, by endpoint.",
            "s",
            over_time(f"histogram_quantile(0.95, {_slow})", "{{path}}"),
            axis="time",
            width=12,
            height=13,
            many=True,
        )
    ),
)

PROCESS = (
    _by_instance(
        "Scrape time",
        "How long Prometheus waited for the page.",
        "s",
        "scrape_duration_seconds",
        "time",
    ),
    _by_instance("Scrape size", "Samples on the page.", LOCAL, "scrape_samples_scraped", "samples"),
    _by_instance(
        "Memory",
        "Resident memory of the exporter.",
        "bytes",
        "process_resident_memory_bytes",
        "memory",
    ),
    WEB_CONFIGURATION,
)

RETRIES = with_spaces(
    line_panel(
        "Retries and skipped runs",
        "Requests sent again, by what the attempt before failed with; and runs that were due while "
        "the one before was still running. Per hour.",
        LOCAL,
        over_time(
            f"{_rate('devin_exporter_api_retries_total', 'reason')} * 3600 > 0",
            "retry after {{reason}}",
        ),
        over_time(
            f"{_rate('devin_exporter_task_skipped_total', 'task')} * 3600 > 0",
            "skipped {{task}}",
        ),
        axis="per hour",
        width=8,
        many=True,
        empty="no retry and no skipped run is on record in this range",
    )
)

UNATTRIBUTED = as_people_write(
    line_panel(
        "Not attributed",
        "ACUs of the running billing cycle that the enterprise's total holds and the sum of the "
        "parts does not, as a share of the total: of organizations (use in IDE and terminal is "
        "tied to users, so it is above zero), and of users with service users (above zero after "
        "people have left). Absent unless every part is known.",
        "percentunit",
        over_time(_parts, "{{scope}}"),
        axis="of the total",
        width=8,
    )
    .override_by_name("organizations", [colour(BLUE)])
    .override_by_name("users", [colour(AMBER)]),
    ("organizations", "users"),
)

BOARD = Board(
    uid="devin-exporter",
    about="Tasks, ages, errors, requests and rate limit of the exporter itself.",
    variables=[CARRIED_ORGANIZATION_VARIABLE],
    range="now-24h",
    refresh="1m",
    sections=[
        ("", CARDS),
        (
            "",
            [
                TASKS,
                Stack(
                    [
                        firing_panel(width=10, height=6),
                        with_spaces(
                            line_panel(
                                "Failed attempts",
                                "Attempts that failed, per hour, by task and reason.",
                                LOCAL,
                                over_time(_failures, "{{task}}: {{reason}}"),
                                axis="per hour",
                                width=10,
                                height=6,
                                many=True,
                                empty="no failed attempt is on record in this range",
                            )
                        ),
                    ]
                ),
            ],
        ),
        (
            "",
            [
                as_people_write(
                    state_panel(
                        "Tasks over time",
                        "When which task was up; down also where it was so for a part of a step.",
                        over_time(_up_all_along, "{{task}}"),
                        states=(("down", BAD_FILL), ("up", GOOD_FILL)),
                        height=17,
                    ),
                    TASK_NAMES,
                ),
            ],
        ),
        ("Requests", REQUESTS),
        ("Process", PROCESS),
        (
            "Data",
            [RETRIES, UNATTRIBUTED, Stack([DAY_START, UNREADABLE])],
        ),
        ("", [TWO_COUNTS, INVALID]),
    ],
    alerts={
        "DevinTaskFailing|DevinKeyRefused|DevinEntitiesMissing|DevinDataStale": [
            "Tasks over time",
            "Failed attempts",
        ],
        "DevinRequestBudgetExhausted": ["Waiting for the rate limit"],
        "DevinUnattributedHigh": ["Not attributed"],
    },
)
