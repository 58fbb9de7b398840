"""Speed, errors and state of the AIone gateway."""

from grafana_foundation_sdk.builders import common, stat
from grafana_foundation_sdk.models import common as options

from grafana.boards.ai_spend.gateway import EMPTY, OF_ITS_RANGE
from grafana.builders.charts import line_panel, state_panel
from grafana.builders.colours import (
    AMBER,
    BAD,
    BLUE,
    GOOD,
    GOOD_FILL,
    NEUTRAL_FILL,
    WARNING,
    WARNING_FILL,
)
from grafana.builders.overrides import (
    BY_THRESHOLD,
    colour,
    dashed,
    fixed,
    thresholds,
)
from grafana.builders.panels import FIGURE_SIZE, LABEL_SIZE, Panel, stat_panel
from grafana.builders.queries import now, over_time
from grafana.expressions import promql as q

USUAL_CAPACITY, USUAL_SERVICE = "sufficient", "normal"


def _shown(metric: str) -> str:
    return f"max({q.latest(metric)})"


QUALITY: tuple[Panel, ...] = (
    line_panel(
        "Gateway: latency",
        f"Mean latency, and that of 99 in 100 requests, as reported at each moment. {OF_ITS_RANGE}",
        "s",
        over_time(_shown("aione_latency_average_seconds"), "Mean"),
        over_time(_shown("aione_latency_p99_seconds"), "99th percentile"),
        axis="latency",
        width=8,
    )
    .override_by_name("Mean", [colour(BLUE)])
    .override_by_name("99th percentile", [colour(AMBER)]),
    line_panel(
        "Gateway: failed requests",
        f"As a share of all, as reported at each moment. {OF_ITS_RANGE}",
        "percentunit",
        over_time(_shown("aione_error_ratio"), "Failed"),
        axis="of all requests",
        width=8,
    ),
    line_panel(
        "Gateway: rate of requests",
        "Requests per minute as a share of the quota (dashed), which may be exceeded.",
        "percentunit",
        over_time(_shown("aione_rpm_usage_ratio"), "Requests per minute"),
        over_time(f"0 * {_shown('aione_rpm_usage_ratio')} + 1", "Quota"),
        axis="of the quota",
        width=8,
    ).override_by_name("Quota", [colour(BAD), dashed()]),
)


def _badge(title: str, metric: str, usual: str, what: str) -> stat.Panel:
    return (
        stat_panel(
            title,
            f"The gateway's judgement of its {what}, in its own word; green is «{usual}».",
            "none",
            now(f"max by (status) ({q.latest(metric)}) == 1", "{{status}}"),
            width=6,
            empty=EMPTY,
        )
        .text_mode(options.BigValueTextMode.NAME)
        .text(common.VizTextDisplayOptions().title_size(LABEL_SIZE).value_size(FIGURE_SIZE))
        .color_mode(options.BigValueColorMode.BACKGROUND_SOLID)
        .color_scheme(fixed(NEUTRAL_FILL))
        .override_by_query("A", [colour(WARNING_FILL)])
        .override_by_name(usual, [colour(GOOD_FILL)])
    )


def _present(metric: str, usual: str) -> str:
    """0 while it is the usual status, 1 for another; absent while it is not the present one."""
    as_usual = q.latest(metric, f'{q.JOB}, status="{usual}"')
    otherwise = q.latest(metric, f'{q.JOB}, status!="{usual}"')
    return f"0 * max by (status) ({as_usual} == 1) or max by (status) ({otherwise} == 1)"


STATUS: tuple[Panel, ...] = (
    _badge("Gateway: capacity", "aione_capacity_status", USUAL_CAPACITY, "capacity"),
    _badge("Gateway: service", "aione_service_status", USUAL_SERVICE, "service"),
    stat_panel(
        "Gateway: budget",
        "Share of the budget that is spent, as the gateway reports it; it does not say of which "
        "period. Above 100 % it is exceeded.",
        "percentunit",
        now(_shown("aione_budget_progress_ratio"), "spent"),
        width=6,
        empty=EMPTY,
    )
    .decimals(1)
    .color_scheme(BY_THRESHOLD)
    .thresholds(thresholds(GOOD, (0.9, WARNING), (1, BAD))),
    stat_panel(
        "Gateway: age of its data",
        "How long ago the gateway says its data was fresh. Where it gives a time without an "
        "offset, hours too much or below 0 mean that AIONE_TIMEZONE is not its zone.",
        "s",
        now(f"time() - {_shown('aione_data_timestamp_seconds')}", "since it was fresh"),
        width=6,
        empty=EMPTY,
    ).decimals(0),
    state_panel(
        "Gateway: capacity and service over time",
        "Which status the gateway reported when, a row for each.",
        over_time(_present("aione_capacity_status", USUAL_CAPACITY), "Capacity: {{status}}"),
        over_time(_present("aione_service_status", USUAL_SERVICE), "Service: {{status}}"),
        states=(("as usual", GOOD_FILL), ("not as usual", WARNING_FILL)),
        height=6,
    ),
)
