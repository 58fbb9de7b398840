"""How the exporter's tasks fare: the cards and the table of its board."""

from grafana_foundation_sdk.builders.common import TableSortByFieldState

from grafana.builders.colours import BAD, BAD_FILL, GOOD, NONE, TEXT, WARNING
from grafana.builders.overrides import (
    BY_THRESHOLD,
    TASK_NAMES,
    named_states,
    setting,
    thresholds,
    words,
)
from grafana.builders.panels import LOCAL, NOTHING, stat_panel
from grafana.builders.queries import now, rows
from grafana.builders.tables import column, filled, number_column, table_panel, wide_column
from grafana.expressions import days
from grafana.expressions import promql as q


def _by_task(metric: str, worst: str = "max") -> str:
    """Of the worst replica, as each has its own trouble."""
    return f"{worst} by (task) ({metric}{{{q.JOB}}})"


def _age(metric: str) -> str:
    return f"time() - {_by_task(metric, 'min')}"


_metered = q.latest("devin_metered")
_known_revision = (
    f"label_replace(max by (version, revision) ({q.latest('devin_exporter_build_info')}), "
    '"revision", "", "revision", "unknown")'
)
UP = _by_task("devin_exporter_task_up", "min")
MISSING = _by_task("devin_exporter_task_entities_missing")
_newest_day = _age("devin_exporter_data_timestamp_seconds")
TASKS = table_panel(
    "Tasks",
    "Each task reads one data set. Up: its last attempt succeeded and no entity's data has "
    "expired. Age: since it last succeeded. Newest day: how long ago the newest billing day in the "
    "data began; polled is not new. Missing: entities whose data has expired and whose series are "
    "gone.",
    rows(UP),
    rows(_age("devin_exporter_task_last_success_timestamp_seconds")),
    rows(_by_task("devin_exporter_task_duration_seconds")),
    rows(_by_task("devin_exporter_task_series")),
    rows(MISSING),
    rows(_newest_day),
    columns={
        "task": wide_column("Task", 195, setting("mappings", [words(*TASK_NAMES)])),
        "Value #A": column(
            "Up",
            60,
            *filled(setting("mappings", [named_states(("down", BAD_FILL), ("up", NONE))])),
        ),
        "Value #B": number_column("Age", 80, unit="s"),
        "Value #C": number_column("Duration", 90, unit="s", decimals=2),
        "Value #D": number_column("Series", 75),
        "Value #E": number_column("Missing", 85),
        "Value #F": number_column("Newest day", 110, unit="s", decimals=1),
    },
    empty=("task", "no task is known", UP),
    width=14,
    height=12,
).sort_by(
    [TableSortByFieldState().display_name("Up"), TableSortByFieldState().display_name("Task")]
)

CARDS = (
    stat_panel(
        "Targets up",
        "Scrape targets of the job that answer; above, how many there are.",
        LOCAL,
        now(
            days.with_line(
                'sum(up{job="$job"})', days.as_text('count(up{job="$job"})', "of $1"), "of unknown"
            ),
            "{{line}}",
        ),
        empty="no target",
        missing=[NOTHING],
    ),
    stat_panel(
        "Tasks down",
        "Tasks whose last attempt failed or that have expired entities.",
        LOCAL,
        now(
            days.with_line(
                f"count({UP} == 0) or on () (0 * count({UP}))",
                days.as_text(f"count({UP})", "of $1"),
                "of unknown",
            ),
            "{{line}}",
        ),
    )
    .color_scheme(BY_THRESHOLD)
    .thresholds(thresholds(GOOD, (1, BAD))),
    stat_panel(
        "Entities missing",
        "Users, organizations and other entities whose data has expired and whose series are gone.",
        LOCAL,
        now(f"sum({MISSING})", "data expired"),
    )
    .color_scheme(BY_THRESHOLD)
    .thresholds(thresholds(GOOD, (1, WARNING))),
    stat_panel(
        "Oldest success",
        "Age of the task that has not succeeded for longest.",
        "s",
        now(f"max({_age('devin_exporter_task_last_success_timestamp_seconds')})", "ago"),
    ).decimals(0),
    stat_panel(
        "Version, plan",
        "Version and revision of what runs, and whether any ACU was ever seen. On plans that are "
        "not metered the API says 0 ACUs of work that was done, and no consumption is published.",
        "none",
        now(
            f'label_join({_known_revision}, "line", " ", "version", "revision") * on () '
            f"group_left () (max({_metered}) or on () vector(2))",
            "{{line}}",
        ),
        width=4,
    ).mappings([named_states(("not metered", WARNING), ("metered", TEXT), ("unknown", TEXT))]),
)
