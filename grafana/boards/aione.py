"""The panels of the AIone gateway."""

from grafana_foundation_sdk.builders import barchart, common, stat
from grafana_foundation_sdk.models import common as options

from grafana.builders import promql as q
from grafana.builders.colours import BAD, BLUE, GOOD, ORANGE, SKY, WARNING
from grafana.builders.overrides import BY_THRESHOLD, colour, fixed, named_states, thresholds
from grafana.builders.panels import (
    NO_GATEWAY,
    Panel,
    at_end,
    bar_panel,
    line_panel,
    over_time,
    ranking_panel,
    stat_panel,
    state_panel,
)

SHOWN = 15
RMB = "suffix:RMB"
NOT_SCOPED = "The gateway knows no organizations of Devin's: whatever is chosen, this is all of it."
OF_ITS_RANGE = (
    "Over the AIONE_RANGE_DAYS days that the gateway is asked for, whatever range the dashboard "
    "shows."
)
OTHERS = "all others"
USUAL_CAPACITY, USUAL_SERVICE = "sufficient", "normal"


def _shown(metric: str) -> str:
    return f"max({q.latest(metric)})"


def _first(title: str, *, metric: str, key: str, what: str, unit: str = "short") -> barchart.Panel:
    """A bar for each of the first, and one for all others."""
    each = f"max by ({key}) ({q.latest(metric)})"
    top = f"topk({SHOWN}, {each})"
    named, name = (q.with_team_name(top, each), "team_name") if key == "team_id" else (top, key)
    return ranking_panel(
        title,
        f"The {SHOWN} {what} with most, and all others as one. {OF_ITS_RANGE}",
        unit,
        at_end(f"sort_desc({named})", f"{{{{{name}}}}}"),
        at_end(q.rest(each, key, top), OTHERS),
        empty=NO_GATEWAY,
    )


TEAMS = "teams (by name, or by id where none is told)"

COST_OF_DAYS = stat_panel(
    "AIone: cost of today and yesterday",
    f"Cost of the running day so far, and of the last complete one, in RMB. {NOT_SCOPED}",
    RMB,
    at_end(_shown("aione_today_cost_rmb"), "today so far"),
    at_end(_shown("aione_yesterday_cost_rmb"), "yesterday"),
    width=6,
    empty=NO_GATEWAY,
).decimals(2)
COST_OF_RANGE = stat_panel(
    "AIone: cost of its range",
    f"In RMB. {OF_ITS_RANGE} {NOT_SCOPED}",
    RMB,
    at_end(_shown("aione_cost_rmb")),
    width=6,
    empty=NO_GATEWAY,
).decimals(2)
COST_BY_DAY = bar_panel(
    "AIone: cost by day",
    "Cost of each complete day, in RMB. A day is read from what was scraped between 08:00 and "
    "10:00 UTC of the next one, which is right for zones from UTC-8 to UTC+14; it is missing where "
    "nothing was scraped in those hours. The gateway's past before the exporter first ran cannot "
    f"be had. {NOT_SCOPED}",
    RMB,
    over_time(
        f"max({q.last('aione_yesterday_cost_rmb', q.CALENDAR_DAY_FROM_HERE)})",
        "AIone, RMB",
        step="1d",
    ),
    empty="no day is known yet, or AIone is not set",
).color_scheme(fixed(SKY))
COST_BY_TEAM = _first(
    "AIone: cost by team", metric="aione_team_cost_rmb", key="team_id", what=TEAMS, unit=RMB
).span(12)

USE: tuple[Panel, ...] = (
    stat_panel(
        "AIone: requests",
        "Requests of its range, of the running day so far, and of the last complete one. "
        f"{OF_ITS_RANGE}",
        "short",
        at_end(_shown("aione_requests"), "range"),
        at_end(_shown("aione_today_requests"), "today so far"),
        at_end(_shown("aione_yesterday_requests"), "yesterday"),
        width=7,
        empty=NO_GATEWAY,
    ),
    stat_panel(
        "AIone: tokens by type",
        "Those of prompts, of completions, and what the gateway's total holds beyond them, which "
        f"is below 0 where it holds less. {OF_ITS_RANGE}",
        "short",
        at_end(f"max by (type) ({q.latest('aione_tokens')})", "{{type}}"),
        width=7,
        empty=NO_GATEWAY,
    ),
    stat_panel(
        "AIone: tokens of today and yesterday",
        "Tokens of the running day so far, and of the last complete one.",
        "short",
        at_end(_shown("aione_today_tokens"), "today so far"),
        at_end(_shown("aione_yesterday_tokens"), "yesterday"),
        width=5,
        empty=NO_GATEWAY,
    ),
    stat_panel(
        "AIone: conversations",
        f"Conversations, and the characters in them. {OF_ITS_RANGE}",
        "short",
        at_end(_shown("aione_conversations"), "conversations"),
        at_end(_shown("aione_characters"), "characters"),
        width=5,
        empty=NO_GATEWAY,
    ),
)
RANKINGS: tuple[Panel, ...] = (
    _first("AIone: requests by model", metric="aione_model_requests", key="model", what="models"),
    _first("AIone: tokens by model", metric="aione_model_tokens", key="model", what="models"),
    _first(
        "AIone: conversations by team",
        metric="aione_team_conversations",
        key="team_id",
        what=TEAMS,
    ),
)

QUALITY: tuple[Panel, ...] = (
    line_panel(
        "AIone: latency",
        f"Mean latency, and that of 99 in 100 requests, as told at each moment. {OF_ITS_RANGE}",
        "s",
        over_time(_shown("aione_latency_average_seconds"), "average"),
        over_time(_shown("aione_latency_p99_seconds"), "p99"),
        width=8,
        empty=NO_GATEWAY,
    )
    .override_by_name("average", [colour(BLUE)])
    .override_by_name("p99", [colour(ORANGE)]),
    line_panel(
        "AIone: failed requests",
        f"As a share of all, as told at each moment. {OF_ITS_RANGE}",
        "percentunit",
        over_time(_shown("aione_error_ratio"), "failed"),
        width=8,
        empty=NO_GATEWAY,
    ),
    line_panel(
        "AIone: requests per minute against the quota",
        "As a share of the quota (dashed), which may be exceeded.",
        "percentunit",
        over_time(_shown("aione_rpm_usage_ratio"), "used"),
        width=8,
        empty=NO_GATEWAY,
    )
    .thresholds(thresholds("transparent", (1, BAD)))
    .thresholds_style(
        common.GraphThresholdsStyleConfig().mode(options.GraphThresholdsStyleMode.DASHED)
    ),
)


def _badge(title: str, metric: str, usual: str, what: str) -> stat.Panel:
    return (
        stat_panel(
            title,
            f"The gateway's judgement of its {what}, in its own word; green is «{usual}».",
            "none",
            at_end(f"max by (status) ({q.latest(metric)}) == 1", "{{status}}"),
            width=6,
            empty=NO_GATEWAY,
        )
        .text_mode(options.BigValueTextMode.NAME)
        .color_mode(options.BigValueColorMode.BACKGROUND)
        .color_scheme(fixed(WARNING))
        .override_by_name(usual, [colour(GOOD)])
    )


def _present(metric: str, usual: str) -> str:
    """0 while it is the usual status, 1 for another; absent while it is not the present one."""
    as_usual = q.latest(metric, f'{q.JOB}, status="{usual}"')
    otherwise = q.latest(metric, f'{q.JOB}, status!="{usual}"')
    return f"0 * max by (status) ({as_usual} == 1) or max by (status) ({otherwise} == 1)"


STATUS: tuple[Panel, ...] = (
    _badge("AIone: capacity", "aione_capacity_status", USUAL_CAPACITY, "capacity"),
    _badge("AIone: service", "aione_service_status", USUAL_SERVICE, "service"),
    stat_panel(
        "AIone: budget spent",
        "Share of the budget that is spent, as the gateway tells it; it does not say of which "
        "period. Above 100 % it is exceeded.",
        "percentunit",
        at_end(_shown("aione_budget_progress_ratio")),
        width=6,
        empty=NO_GATEWAY,
    )
    .decimals(1)
    .color_scheme(BY_THRESHOLD)
    .thresholds(thresholds(GOOD, (0.9, WARNING), (1, BAD))),
    stat_panel(
        "AIone: age of its data",
        "How long ago the gateway says its data was fresh. Where it tells a time without an "
        "offset, hours too much or below 0 mean that AIONE_TIMEZONE is not its zone.",
        "s",
        at_end(f"time() - {_shown('aione_data_timestamp_seconds')}"),
        width=6,
        empty=NO_GATEWAY,
    ).decimals(0),
    state_panel(
        "AIone: capacity and service over time",
        "Which status the gateway told when, a row for each.",
        over_time(_present("aione_capacity_status", USUAL_CAPACITY), "capacity: {{status}}"),
        over_time(_present("aione_service_status", USUAL_SERVICE), "service: {{status}}"),
        empty=NO_GATEWAY,
    )
    .height(6)
    .mappings([named_states(("as usual", GOOD), ("not as usual", WARNING))]),
)
