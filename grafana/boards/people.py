"""People: one user or service user, and the keys that expire."""

from grafana_foundation_sdk.builders.common import TableSortByFieldState
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as model

from grafana.builders import promql as q
from grafana.builders.board import CARRIED_ORGANIZATION_VARIABLE, Board, query_variable
from grafana.builders.colours import BAD, GOOD, WARNING
from grafana.builders.overrides import BY_THRESHOLD, setting, thresholds
from grafana.builders.panels import (
    at_end,
    bar_panel,
    by_product,
    over_time,
    ranking_panel,
    rows,
    stat_panel,
    table_panel,
)

PEOPLE_SHOWN = 20
THIS_USER = f'{q.JOB}, user_id="$person"'
THIS_SERVICE_USER = f'{q.JOB}, service_user_id="$person"'
BOTH = "Users and service users alike."


def _of_person(window: str, selection: str = "") -> str:
    user = f"devin_user_consumption_{window}_acus{{{THIS_USER}}}{selection}"
    service = f"devin_service_user_consumption_{window}_acus{{{THIS_SERVICE_USER}}}{selection}"
    read = [f"last_over_time({each})" for each in (user, service)] if selection else (user, service)
    return f"{q.ANY_INSTANCE} ({' or '.join(read)})"


def _as_person(acus: str, label: str) -> str:
    return f'label_replace({acus}, "person", "$1", "{label}", "(.*)")'


def _of_users(matchers: str = "") -> str:
    use = q.latest("devin_user_consumption_cycle_acus", f"{q.JOB}{matchers}")
    return f"sum by (user_id) ({use})"


OF_SERVICE_USERS = (
    f"sum by (service_user_id) ({q.latest('devin_service_user_consumption_cycle_acus')})"
)


def _people(users: str) -> str:
    return (
        f"(sum by (person) ({_as_person(users, 'user_id')}) or "
        f"sum by (person) ({_as_person(OF_SERVICE_USERS, 'service_user_id')}))"
    )


_everybody = _people(_of_users())
_each_alone = _people(_of_users(', user_id!="other"'))
_this = f"sum({_of_person('cycle')})"
_each_day = f"sum({_of_person('yesterday', q.OF_DAY_ENDING_AT_EIGHT)})"
_by_day = f"sum by (product) ({_of_person('yesterday', q.OF_DAY_FROM_HERE)})"
_running = (
    f"(sum by (product) ({_of_person('today', q.RUNNING_DAY_FROM_HERE)}) and on () "
    f"(vector(time()) > $__to / 1000 - 86400)) unless on () ({_by_day})"
)
_limit = f"max({q.latest('devin_user_cycle_limit_acus', THIS_USER)})"


def _seen(who: str) -> str:
    windows = ("cycle", "yesterday", "today")
    metrics = "|".join(f"devin_{who}_consumption_{window}_acus" for window in windows)
    return f'last_over_time({{__name__=~"{metrics}", {q.JOB}}}{q.NAMES_WITHIN})'


_user_names = q.user_names(_seen("user"))
_service_names = q.service_user_names(_seen("service_user"))
_service_people = _as_person(_service_names, "service_user_id")
_named_service_people = (
    f'label_replace({_service_people}, "name", "$1 (service user)", "service_user_name", "(.*)")'
)
PERSON_VARIABLE = (
    query_variable(
        "person",
        "Person",
        "A user or a service user.",
        "query_result(group by (name, person) ("
        f'label_replace({_as_person(_user_names, "user_id")}, "name", "$1", "user", "(.*)") or '
        f"{_named_service_people}))",
    )
    .regex('/name="(?<text>.*)",person="(?<value>.*)"}/')
    .sort(model.VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)
)

_expiry = f"max by (service_user_id) ({q.latest('devin_service_user_expiry_timestamp_seconds')})"

BOARD = Board(
    uid="devin-people",
    title="Devin / People",
    about="What one user or service user uses, by day and product, and whose keys expire.",
    variables=[CARRIED_ORGANIZATION_VARIABLE, PERSON_VARIABLE],
    sections=[
        (
            "",
            [
                stat_panel(
                    "ACUs in the range",
                    "Over the whole billing days that ended within the range.",
                    "short",
                    at_end(q.in_range(_each_day)),
                    empty="no use",
                ).decimals(2),
                stat_panel(
                    "Cost in the range",
                    "Over the whole billing days that ended within the range, at the price of now "
                    "(DEVIN_ACU_PRICE).",
                    "short",
                    at_end(q.cost(q.in_range(_each_day)), "{{currency}}"),
                    empty="no use or price",
                ).decimals(2),
                stat_panel(
                    "ACUs of the cycle",
                    "In the running billing cycle.",
                    "short",
                    at_end(_this),
                    empty="no use",
                ).decimals(2),
                stat_panel(
                    "Share of the cycle",
                    f"Of everything that people used in the running billing cycle. {BOTH}",
                    "percentunit",
                    at_end(f"{_this} / sum({_everybody})"),
                    empty="no use",
                ).decimals(2),
                stat_panel(
                    "Rank in the cycle",
                    f"By ACUs of the running billing cycle, and of how many with any. {BOTH}",
                    "short",
                    at_end(
                        f"((count({_each_alone} > scalar({_this})) or vector(0)) + 1) "
                        f"and on () {_this}",
                        "rank",
                    ),
                    at_end(f"count({_each_alone})", "of"),
                    empty="no use",
                ),
                stat_panel(
                    "Limit used",
                    "ACUs of the running billing cycle against the user's own limit. A limit of 0 "
                    "blocks all use and is not shown.",
                    "percentunit",
                    at_end(f"{_this} / ({_limit} > 0)"),
                    empty="no limit or use",
                )
                .color_scheme(BY_THRESHOLD)
                .thresholds(thresholds(GOOD, (0.8, WARNING), (1, BAD))),
            ],
        ),
        (
            "",
            [
                by_product(
                    bar_panel(
                        "ACUs by day and product",
                        "ACUs of each billing day. The running day is shown as far as it has gone.",
                        "short",
                        over_time(_by_day, "{{product}}", step="1d"),
                        over_time(_running, "{{product}}, running day", step="1d"),
                        width=14,
                    )
                ),
                ranking_panel(
                    "Most ACUs of the cycle: users",
                    f"The {PEOPLE_SHOWN} users with most ACUs in the running billing cycle; those "
                    "beyond DEVIN_USER_LIMIT as «other».",
                    "short",
                    at_end(
                        "sort_desc("
                        + q.with_user_name(f"topk({PEOPLE_SHOWN}, {_of_users()})", _of_users())
                        + ")",
                        "{{user}}",
                    ),
                    width=10,
                    empty="no users published",
                ),
            ],
        ),
        (
            "",
            [
                ranking_panel(
                    "ACUs of the cycle: service users",
                    f"The {PEOPLE_SHOWN} service users with most ACUs in the running billing "
                    "cycle.",
                    "short",
                    at_end(
                        "sort_desc("
                        + q.with_service_user_name(
                            f"topk({PEOPLE_SHOWN}, {OF_SERVICE_USERS})", OF_SERVICE_USERS
                        )
                        + ")",
                        "{{service_user_name}}",
                    ),
                    width=12,
                    empty="no use by service users",
                ),
                table_panel(
                    "Keys that expire",
                    "Service users whose key expires or has expired, the earliest first. Keys that "
                    "never expire are not shown.",
                    rows(q.with_service_user_name(f"{_expiry} * 1000", _expiry)),
                    rows(q.with_service_user_name(f"{_expiry} - time()", _expiry)),
                    columns={
                        "service_user_name": "Service user",
                        "service_user_id": "Id",
                        "Value #A": "Expires",
                        "Value #B": "Left",
                    },
                    width=12,
                    empty="no key expires",
                )
                .sort_by([TableSortByFieldState().display_name("Left")])
                .override_by_name("Expires", [setting("unit", "dateTimeAsIso")])
                .override_by_name(
                    "Left",
                    [
                        setting("unit", "s"),
                        setting("custom.cellOptions", options.TableColorTextCellOptions()),
                        setting("color", {"mode": "thresholds"}),
                        setting(
                            "thresholds",
                            thresholds(BAD, (2 * 86_400, WARNING), (14 * 86_400, GOOD)).build(),
                        ),
                    ],
                ),
            ],
        ),
    ],
)
