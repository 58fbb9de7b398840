"""The panels of the AIone gateway."""

from grafana_foundation_sdk.builders import bargauge, common, stat
from grafana_foundation_sdk.models import common as options

from grafana.builders import days, names
from grafana.builders import promql as q
from grafana.builders.charts import bar_panel, line_panel, state_panel
from grafana.builders.colours import (
    AMBER,
    BAD,
    BLUE,
    GOOD,
    GOOD_FILL,
    NEUTRAL_FILL,
    SKY,
    WARNING,
    WARNING_FILL,
)
from grafana.builders.overrides import (
    BY_THRESHOLD,
    colour,
    dashed,
    fixed,
    named_states,
    thresholds,
)
from grafana.builders.panels import LOCAL, NO_GATEWAY, Panel, ranking_panel, stat_panel
from grafana.builders.queries import now, over_time

SHOWN = 15
RMB = "currency:¥"
NOT_SCOPED = "The gateway knows no organizations of Devin's: whatever is chosen, this is all of it."
OF_ITS_RANGE = (
    "Over the AIONE_RANGE_DAYS days that the gateway is asked for, whatever range the dashboard "
    "shows."
)
USUAL_CAPACITY, USUAL_SERVICE = "sufficient", "normal"
EMPTY = "unknown"


def _shown(metric: str) -> str:
    return f"max({q.latest(metric)})"


def _first(
    title: str, *, metric: str, key: str, what: str, unit: str = LOCAL, width: int = 8
) -> bargauge.Panel:
    """A bar for each of the first."""
    each = f"max by ({key}) ({q.latest(metric)})"
    top = f"topk({SHOWN}, {each})"
    named, name = (names.with_team_name(top, each), "team_name") if key == "team_id" else (top, key)
    return ranking_panel(
        title,
        f"The {SHOWN} {what} with most. {OF_ITS_RANGE} {NOT_SCOPED}",
        unit,
        now(named, f"{{{{{name}}}}}"),
        width=width,
        empty=NO_GATEWAY,
    )


TEAMS = "teams (by name, or by id where none is known)"
COST_CARDS: tuple[Panel, ...] = (
    stat_panel(
        "Gateway today",
        f"Cost of the running day so far, in RMB; above, of the last complete one. {NOT_SCOPED}",
        RMB,
        now(
            days.with_line(
                _shown("aione_today_cost_rmb"),
                days.as_text(_shown("aione_yesterday_cost_rmb"), "so far; ¥$1 yesterday"),
                "so far",
            ),
            "{{line}}",
        ),
        width=6,
        empty=EMPTY,
    ).decimals(2),
    stat_panel(
        "Gateway's range",
        f"Cost in RMB. {OF_ITS_RANGE} {NOT_SCOPED}",
        RMB,
        now(
            days.with_line(
                _shown("aione_cost_rmb"),
                days.as_text(f"{_shown('aione_range_seconds')} / 86400", "last $1 days"),
                "its range",
            ),
            "{{line}}",
        ),
        width=6,
        empty=EMPTY,
    ).decimals(2),
)
COST_BY_DAY = bar_panel(
    "Gateway: cost by day",
    "Cost of each complete day, in RMB. A day is read from what was scraped between 08:00 and "
    "10:00 UTC of the next one, which is right for zones from UTC-8 to UTC+14; it is missing where "
    "nothing was scraped in those hours. The gateway's past before the exporter first ran cannot "
    f"be had. {NOT_SCOPED}",
    RMB,
    over_time(
        f"max({q.last('aione_yesterday_cost_rmb', days.CALENDAR_DAY_FROM_HERE)})",
        "AIone gateway",
        step="1d",
    ),
    axis="cost",
    empty="no day of the gateway is known in this range",
).color_scheme(fixed(SKY))
COST_BY_TEAM = _first(
    "Gateway: cost by team",
    metric="aione_team_cost_rmb",
    key="team_id",
    what=TEAMS,
    unit=RMB,
    width=12,
)


def _today_and_yesterday(what: str) -> str:
    return days.with_line(
        _shown(f"aione_today_{what}"),
        days.as_text(_shown(f"aione_yesterday_{what}"), "so far; $1 yesterday"),
        "so far",
    )


def _number(title: str, about: str, metric: str, line: str, *, unit: str = LOCAL) -> stat.Panel:
    return stat_panel(
        title, f"{about} {OF_ITS_RANGE}", unit, now(_shown(metric), line), empty=EMPTY
    ).decimals(0)


USE: tuple[Panel, ...] = (
    _number("Gateway: requests", "Requests.", "aione_requests", "its range"),
    stat_panel(
        "Gateway: requests today",
        "Requests of the running day so far; above, of the last complete one.",
        LOCAL,
        now(_today_and_yesterday("requests"), "{{line}}"),
        empty=EMPTY,
    ).decimals(0),
    stat_panel(
        "Gateway: tokens today",
        "Tokens of the running day so far; above, of the last complete one.",
        "short",
        now(_today_and_yesterday("tokens"), "{{line}}"),
        empty=EMPTY,
    ),
    _number("Gateway: conversations", "Conversations.", "aione_conversations", "its range"),
    _number(
        "Gateway: letters",
        "Characters in conversations.",
        "aione_characters",
        "its range",
        unit="short",
    )
    .decimals(1)
    .span(4),
)
RANKINGS: tuple[Panel, ...] = (
    ranking_panel(
        "Gateway: tokens by type",
        "Those of prompts, of completions, and what the gateway's total holds beyond them, which "
        f"is below 0 where it holds less. {OF_ITS_RANGE}",
        "short",
        now(f"max by (type) ({q.latest('aione_tokens')})", "{{type}}"),
        width=6,
        empty=NO_GATEWAY,
        names_above=True,
    ),
    _first(
        "Gateway: requests by model",
        metric="aione_model_requests",
        key="model",
        what="models",
        width=6,
    ),
    _first(
        "Gateway: tokens by model",
        metric="aione_model_tokens",
        key="model",
        what="models",
        unit="short",
        width=6,
    ),
    _first(
        "Gateway: talks by team",
        metric="aione_team_conversations",
        key="team_id",
        what=TEAMS,
        width=6,
    ),
)

QUALITY: tuple[Panel, ...] = (
    line_panel(
        "Gateway: latency",
        f"Mean latency, and that of 99 in 100 requests, as reported at each moment. {OF_ITS_RANGE}",
        "s",
        over_time(_shown("aione_latency_average_seconds"), "mean"),
        over_time(_shown("aione_latency_p99_seconds"), "99th percentile"),
        axis="latency",
        width=8,
    )
    .override_by_name("mean", [colour(BLUE)])
    .override_by_name("99th percentile", [colour(AMBER)]),
    line_panel(
        "Gateway: failed requests",
        f"As a share of all, as reported at each moment. {OF_ITS_RANGE}",
        "percentunit",
        over_time(_shown("aione_error_ratio"), "failed"),
        axis="of all requests",
        width=8,
    ),
    line_panel(
        "Gateway: rate of requests",
        "Requests per minute as a share of the quota (dashed), which may be exceeded.",
        "percentunit",
        over_time(_shown("aione_rpm_usage_ratio"), "requests per minute"),
        over_time(f"0 * {_shown('aione_rpm_usage_ratio')} + 1", "quota"),
        axis="of the quota",
        width=8,
    ).override_by_name("quota", [colour(BAD), dashed()]),
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
        .text(common.VizTextDisplayOptions().title_size(28))
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
        over_time(_present("aione_capacity_status", USUAL_CAPACITY), "capacity: {{status}}"),
        over_time(_present("aione_service_status", USUAL_SERVICE), "service: {{status}}"),
        height=6,
    ).mappings([named_states(("as usual", GOOD_FILL), ("not as usual", WARNING_FILL))]),
)
