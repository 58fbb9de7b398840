"""The panels of the AIone gateway."""

from grafana_foundation_sdk.builders import stat

from grafana.builders.board import Item, Stack
from grafana.builders.charts import bar_panel
from grafana.builders.colours import (
    SKY,
)
from grafana.builders.overrides import (
    fixed,
)
from grafana.builders.panels import (
    LOCAL,
    NO_GATEWAY,
    Panel,
    as_people_write,
    ranking_panel,
    stat_panel,
)
from grafana.builders.queries import now, over_time, rows
from grafana.builders.tables import Ranked, ranking_table
from grafana.expressions import days, names
from grafana.expressions import promql as q

SHOWN = 15
RMB = "currency:¥"
NOT_SCOPED = "The gateway knows no organizations of Devin's: whatever is chosen, this is all of it."
OF_ITS_RANGE = (
    "Over the AIONE_RANGE_DAYS days that the gateway is asked for, whatever range the dashboard "
    "shows."
)
EMPTY = "unknown"


def _shown(metric: str) -> str:
    return f"max({q.latest(metric)})"


def others(title: str, values: str, *, key: str, top: str, unit: str, width: int) -> stat.Panel:
    """What those have together that are not among the first; its bar would dwarf all others."""
    rest = q.rest(values, key, top)
    number = days.as_text(f"count(({values}) unless on ({key}) {top})", "all $1 others")
    return stat_panel(
        title,
        f"The sum of all that are not among the {SHOWN} above.",
        unit,
        now(days.with_line(rest, number, "all others"), "{{line}}"),
        width=width,
        height=3,
        empty="none known",
    )


def _first(
    title: str,
    *,
    metric: str,
    key: str,
    what: str,
    figures: str,
    unit: str = LOCAL,
    decimals: int = 0,
    width: int = 6,
) -> Stack:
    """A bar for each of the first, and what the others have together."""
    each = f"max by ({key}) ({q.latest(metric)})"
    top = f"topk({SHOWN}, {each})"
    named, name = (names.with_team_name(top, each), "team_name") if key == "team_id" else (top, key)
    ranking = ranking_table(
        title,
        f"The {SHOWN} {what} with most. {OF_ITS_RANGE} {NOT_SCOPED}",
        rows(named),
        ranked=Ranked(label=name, names="Team" if key == "team_id" else "Model", figures=figures),
        empty=(NO_GATEWAY, each),
        unit=unit,
        decimals=decimals,
        width=width,
        height=11,
    )
    rest = others(
        title.partition(" by ")[0].replace(": ", ": other "),
        each,
        key=key,
        top=top,
        unit=unit,
        width=width,
    )
    return Stack([ranking, rest])


def _of_its_range(metric: str) -> str:
    length = days.as_text(f"{_shown('aione_range_seconds')} / 86400", "last $1 days")
    return days.with_line(_shown(metric), length, "its range")


TEAMS = "teams (by name, or by id where none is known)"
COST_CARDS: tuple[Panel, ...] = (
    stat_panel(
        "Gateway: cost today",
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
        "Gateway: cost",
        f"Cost in RMB. {OF_ITS_RANGE} {NOT_SCOPED}",
        RMB,
        now(_of_its_range("aione_cost_rmb"), "{{line}}"),
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
    figures="Cost",
    decimals=2,
    unit=RMB,
    width=12,
)


def _today_and_yesterday(what: str) -> str:
    return days.with_line(
        _shown(f"aione_today_{what}"),
        days.as_text(_shown(f"aione_yesterday_{what}"), "so far; $1 yesterday"),
        "so far",
    )


def _number(title: str, about: str, metric: str, *, unit: str = LOCAL) -> stat.Panel:
    return stat_panel(
        title, f"{about} {OF_ITS_RANGE}", unit, now(_of_its_range(metric), "{{line}}"), empty=EMPTY
    ).decimals(0)


USE: tuple[Panel, ...] = (
    _number("Gateway: requests", "Requests.", "aione_requests").span(4),
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
    _number("Gateway: conversations", "Conversations.", "aione_conversations"),
    _number(
        "Gateway: characters",
        "Characters in conversations.",
        "aione_characters",
        unit="short",
    ).decimals(1),
)
RANKINGS: tuple[Item, ...] = (
    as_people_write(
        ranking_panel(
            "Gateway: tokens by type",
            "Those of prompts, of completions, and what the gateway's total holds beyond them, "
            f"which is below 0 where it holds less. {OF_ITS_RANGE}",
            "short",
            now(f"max by (type) ({q.latest('aione_tokens')})", "{{type}}"),
            width=6,
            height=14,
            empty=NO_GATEWAY,
            names_above=True,
        ),
        ("prompt", "completion", "other"),
    ),
    _first(
        "Gateway: requests by model",
        metric="aione_model_requests",
        key="model",
        what="models",
        figures="Requests",
    ),
    _first(
        "Gateway: tokens by model",
        metric="aione_model_tokens",
        key="model",
        what="models",
        figures="Tokens",
        unit="short",
        decimals=1,
    ),
    _first(
        "Gateway: conversations by team",
        metric="aione_team_conversations",
        key="team_id",
        what=TEAMS,
        figures="Conversations",
    ),
)
