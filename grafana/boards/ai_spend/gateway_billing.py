"""Balance, budget, invoices and keys of the AIone gateway."""

from grafana_foundation_sdk.builders.common import TableSortByFieldState

from grafana.boards.ai_spend.gateway import RMB
from grafana.builders.board import Item, Stack
from grafana.builders.overrides import setting, words
from grafana.builders.panels import stat_panel
from grafana.builders.queries import now, rows
from grafana.builders.tables import number_column, table_panel, wide_column
from grafana.expressions import days, names
from grafana.expressions import promql as q

STATUSES = ("open", "paid", "draft", "pending", "overdue", "void")
_IF_ALLOWED = "Absent where the gateway has no such endpoint, or the token may not read it."


def _shown(metric: str) -> str:
    return f"max({q.latest(metric)})"


def _by_status(metric: str) -> str:
    return f"max by (status) ({q.latest(metric)})"


def _by_team(metric: str) -> str:
    return f"max by (team_id) ({q.latest(metric)})"


def _named(values: str) -> str:
    """Values by team with its name; those of keys of no team, too."""
    named = names.with_team_name(values, _KEYS)
    return f'label_replace({named}, "team_name", "(no team)", "team_id", "")'


_THIS_MONTH = _by_status("aione_month_invoices_rmb")
_LAST_MONTH = _by_status("aione_previous_month_invoices_rmb")
_STATUSES = f"{_THIS_MONTH} or on (status) {_LAST_MONTH}"
_KNOWN_STATUSES = f"group by (status) ({_STATUSES})"
_KEYS = _by_team("aione_team_keys")

_BALANCE = stat_panel(
    "Gateway: balance",
    f"Balance of the gateway's account, in RMB. {_IF_ALLOWED}",
    RMB,
    now(_shown("aione_balance_rmb"), "of the account"),
    width=6,
    empty="not known",
).decimals(2)
_BUDGET_LEFT = stat_panel(
    "Gateway: budget left",
    "What is left of the budget of the gateway's plan, in RMB; above, the budget. The gateway does "
    f"not say of which period. {_IF_ALLOWED}",
    RMB,
    now(
        days.with_line(
            _shown("aione_budget_left_rmb"),
            days.as_text(_shown("aione_budget_rmb"), "of ¥$1"),
            "of the plan",
        ),
        "{{line}}",
    ),
    width=6,
    empty="not known",
).decimals(2)
_INVOICES = table_panel(
    "Gateway: invoices",
    "Totals of the invoices of the running and the last complete calendar month in "
    f"AIONE_TIMEZONE, in RMB, by their status. {_IF_ALLOWED}",
    rows(_KNOWN_STATUSES),
    rows(_THIS_MONTH),
    rows(_LAST_MONTH),
    columns={
        "status": wide_column("Status", 90, setting("mappings", [words(*STATUSES)])),
        "Value #B": number_column("This month", 110, unit=RMB, decimals=2),
        "Value #C": number_column("Last month", 110, unit=RMB, decimals=2),
    },
    empty=("status", "no invoice of these months is known", _STATUSES),
    width=8,
    height=8,
).sort_by([TableSortByFieldState().display_name("Status")])
_LIMITS = table_panel(
    "Gateway: limits of keys by team",
    "How many keys a team has, and what they may send together in a minute; a limit is absent "
    "unless every key of the team has one. Of a key, nothing but its team and limits is read. "
    f"{_IF_ALLOWED}",
    rows(_named(f"group by (team_id) ({_KEYS})")),
    rows(_KEYS),
    rows(_by_team("aione_team_requests_per_minute_limit")),
    rows(_by_team("aione_team_tokens_per_minute_limit")),
    columns={
        "team_name": wide_column("Team", 110),
        "Value #B": number_column("Keys", 60),
        "Value #C": number_column("Requests/min", 132),
        "Value #D": number_column("Tokens/min", 110),
    },
    hidden=("team_id",),
    empty=("team_name", "no key is known", _KEYS),
    width=10,
    height=8,
).sort_by([TableSortByFieldState().display_name("Requests/min").desc(True)])  # noqa: FBT003

BILLING: tuple[Item, ...] = (Stack([_BALANCE, _BUDGET_LEFT]), _INVOICES, _LIMITS)
