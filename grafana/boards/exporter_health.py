"""Exporter: whether the figures can be trusted now, and why not."""

from grafana_foundation_sdk.builders import timeseries
from grafana_foundation_sdk.builders.common import TableSortByFieldState
from grafana_foundation_sdk.models import common as options

from grafana.boards.source_comparison import TWO_COUNTS, UNREADABLE
from grafana.builders import promql as q
from grafana.builders.board import CARRIED_ORGANIZATION_VARIABLE, Board
from grafana.builders.colours import BAD, BLUE, GOOD, ORANGE, WARNING
from grafana.builders.overrides import BY_THRESHOLD, colour, named_states, setting, thresholds
from grafana.builders.panels import (
    at_end,
    line_panel,
    over_time,
    rows,
    stat_panel,
    state_panel,
    table_panel,
)


def _by_task(metric: str, worst: str = "max") -> str:
    """Of the worst replica, as each has its own trouble."""
    return f"{worst} by (task) ({metric}{{{q.JOB}}})"


def _rate(metric: str, by: str, matchers: str = q.JOB) -> str:
    return f"sum by ({by}) (rate({metric}{{{matchers}}}[$__rate_interval]))"


def _age(metric: str) -> str:
    return f"time() - {_by_task(metric, 'min')}"


def _by_instance(title: str, about: str, unit: str, metric: str) -> timeseries.Panel:
    query = over_time(f"max by (instance) ({metric}{{{q.JOB}}})", "{{instance}}")
    return line_panel(title, about, unit, query, width=8, many=True)


UP = _by_task("devin_exporter_task_up", "min")
MISSING = _by_task("devin_exporter_task_entities_missing")
_requests = "devin_exporter_api_requests_total"
_unattributed = f"max by (scope) ({q.latest('devin_exporter_unattributed_cycle_acus')})"
_parts = (
    f"max by (scope) ({q.latest('devin_exporter_unattributed_cycle_acus')}) / on () group_left () "
    f"(sum({q.latest('devin_consumption_cycle_acus')}) > 0)"
)

TASKS = (
    table_panel(
        "Tasks",
        "Each task reads one data set. Up: its last attempt succeeded and no entity's data has "
        "expired. Age: since it last succeeded. Newest day: how long ago the newest billing day in "
        "the data began; polled is not new. Missing: entities whose data has expired and whose "
        "series are gone.",
        rows(UP),
        rows(_age("devin_exporter_task_last_success_timestamp_seconds")),
        rows(_by_task("devin_exporter_task_duration_seconds")),
        rows(_by_task("devin_exporter_task_series")),
        rows(MISSING),
        rows(_age("devin_exporter_data_timestamp_seconds")),
        columns={
            "task": "Task",
            "Value #A": "Up",
            "Value #B": "Age",
            "Value #C": "Duration",
            "Value #D": "Series",
            "Value #E": "Missing",
            "Value #F": "Newest day",
        },
        width=14,
    )
    .sort_by([TableSortByFieldState().display_name("Up")])
    .override_by_name(
        "Up",
        [
            setting("mappings", [named_states(("down", BAD), ("up", GOOD))]),
            setting("custom.cellOptions", options.TableColorTextCellOptions()),
        ],
    )
    .override_by_regexp("/Age|Duration|Newest day/", [setting("unit", "s")])
)

BOARD = Board(
    uid="devin-exporter",
    title="Devin / Exporter",
    about="Tasks, ages, errors, requests and budget of the exporter itself.",
    variables=[CARRIED_ORGANIZATION_VARIABLE],
    range="now-24h",
    refresh="1m",
    sections=[
        (
            "",
            [
                stat_panel(
                    "Targets up",
                    "Scrape targets of the job that answer.",
                    "short",
                    at_end('sum(up{job="$job"})', "up"),
                    at_end('count(up{job="$job"})', "of"),
                    empty="no target",
                ),
                stat_panel(
                    "Tasks down",
                    "Tasks whose last attempt failed or that have expired entities.",
                    "short",
                    at_end(f"count({UP} == 0) or on () (0 * count({UP}))"),
                )
                .color_scheme(BY_THRESHOLD)
                .thresholds(thresholds(GOOD, (1, BAD))),
                stat_panel(
                    "Entities missing",
                    "Users, organizations and other entities whose data has expired and whose "
                    "series are gone.",
                    "short",
                    at_end(f"sum({MISSING})"),
                )
                .color_scheme(BY_THRESHOLD)
                .thresholds(thresholds(GOOD, (1, WARNING))),
                stat_panel(
                    "Oldest success",
                    "Age of the task that has not succeeded for longest.",
                    "s",
                    at_end(f"max({_age('devin_exporter_task_last_success_timestamp_seconds')})"),
                ).decimals(0),
                stat_panel(
                    "Metered",
                    "Whether any ACU was ever seen. On plans that are not metered the API says 0 "
                    "ACUs of work that was done, and no consumption is published.",
                    "none",
                    at_end(f"max({q.latest('devin_metered')})"),
                    empty="not known yet",
                ).mappings([named_states(("not metered", WARNING), ("metered", GOOD))]),
                stat_panel(
                    "Version",
                    "Version and revision of what runs.",
                    "none",
                    at_end(
                        f"group by (version, revision) ({q.latest('devin_exporter_build_info')})",
                        "{{version}} {{revision}}",
                    ),
                ).text_mode(options.BigValueTextMode.NAME),
            ],
        ),
        (
            "",
            [
                TASKS,
                line_panel(
                    "Failed attempts by task and reason",
                    "Attempts that failed, per hour.",
                    "short",
                    over_time(
                        "sum by (task, reason) (rate(devin_exporter_task_failures_total"
                        '{job="$job"}[$__rate_interval])) * 3600 > 0',
                        "{{task}}: {{reason}}",
                    ),
                    width=10,
                    many=True,
                    empty="no failure",
                ),
            ],
        ),
        (
            "",
            [
                state_panel(
                    "Tasks over time",
                    "When which task was up.",
                    over_time(UP, "{{task}}"),
                )
                .height(12)
                .mappings([named_states(("down", BAD), ("up", GOOD))]),
            ],
        ),
        (
            "",
            [
                line_panel(
                    "Requests by endpoint",
                    "Requests sent per second, retries included.",
                    "reqps",
                    over_time(_rate(_requests, "endpoint"), "{{endpoint}}"),
                    width=8,
                    many=True,
                ),
                line_panel(
                    "Requests by status",
                    "Answers per second by status, or by the reason why there was none.",
                    "reqps",
                    over_time(_rate(_requests, "source, status"), "{{source}}: {{status}}"),
                    width=8,
                    many=True,
                ),
                line_panel(
                    "Time of an answer",
                    "Of 95 in 100 requests, by endpoint.",
                    "s",
                    over_time(
                        "histogram_quantile(0.95, "
                        + _rate(
                            "devin_exporter_api_request_duration_seconds_bucket", "endpoint, le"
                        )
                        + ")",
                        "{{endpoint}}",
                    ),
                    width=8,
                    many=True,
                ),
            ],
        ),
        (
            "",
            [
                line_panel(
                    "Budget of requests",
                    "Requests per second against DEVIN_REQUESTS_PER_SECOND.",
                    "reqps",
                    over_time(_rate(_requests, "source"), "{{source}}: sent"),
                    over_time(
                        'sum by (source) (devin_exporter_request_budget_per_second{job="$job"})',
                        "{{source}}: budget",
                    ),
                    width=8,
                )
                .override_by_regexp("/sent$/", [colour(BLUE)])
                .override_by_regexp("/budget$/", [colour(ORANGE)]),
                line_panel(
                    "Waiting for the budget",
                    "Seconds per second that requests waited, all together: above 1 there is "
                    "always one that waits.",
                    "none",
                    over_time(
                        _rate("devin_exporter_request_wait_seconds_total", "source"), "{{source}}"
                    ),
                    width=8,
                    many=True,
                ),
                line_panel(
                    "Retries and skipped runs",
                    "Requests sent again, by what the attempt before failed with; and runs that "
                    "were due while the one before was still running. Per hour.",
                    "short",
                    over_time(
                        f"{_rate('devin_exporter_api_retries_total', 'reason')} * 3600",
                        "retry after {{reason}}",
                    ),
                    over_time(
                        f"{_rate('devin_exporter_task_skipped_total', 'task')} * 3600 > 0",
                        "skipped {{task}}",
                    ),
                    width=8,
                    many=True,
                    empty="none",
                ),
            ],
        ),
        (
            "",
            [
                _by_instance(
                    "Scrape time",
                    "How long Prometheus waited for the page.",
                    "s",
                    "scrape_duration_seconds",
                ),
                _by_instance(
                    "Scrape size", "Samples on the page.", "short", "scrape_samples_scraped"
                ),
                _by_instance(
                    "Memory",
                    "Resident memory of the exporter.",
                    "bytes",
                    "process_resident_memory_bytes",
                ),
            ],
        ),
        (
            "",
            [
                line_panel(
                    "Not attributed",
                    "ACUs of the running billing cycle that the enterprise's total holds and the "
                    "sum of the parts does not, as a share of the total: of organizations (use in "
                    "IDE and terminal is tied to users, so it is above zero), and of users with "
                    "service users (above zero after people have left). Absent unless every part "
                    "is known.",
                    "percentunit",
                    over_time(_parts, "{{scope}}"),
                    width=16,
                )
                .override_by_name("organizations", [colour(BLUE)])
                .override_by_name("users", [colour(ORANGE)]),
                stat_panel(
                    "Not attributed in the cycle",
                    "ACUs of the running billing cycle, by the parts that lack them.",
                    "short",
                    at_end(_unattributed, "{{scope}}"),
                    width=8,
                ).decimals(2),
            ],
        ),
        ("", [TWO_COUNTS, UNREADABLE]),
    ],
)
