"""People: one user or service user, and the keys that expire."""

from grafana_foundation_sdk.builders.common import TableSortByFieldState
from grafana_foundation_sdk.models import dashboard as model

from grafana.builders.board import Board
from grafana.builders.charts import RUNNING, bar_panel, by_product, running_day_apart
from grafana.builders.colours import BAD, BAD_FILL, GOOD, NONE, WARNING, WARNING_FILL
from grafana.builders.overrides import BY_THRESHOLD, setting, thresholds
from grafana.builders.panels import LOCAL, NO_PRICE_IN_RANGE, NOTHING, in_currency, stat_panel
from grafana.builders.queries import now, of_range, over_time, rows
from grafana.builders.tables import Ranked, column, filled, ranking_table, table_panel, wide_column
from grafana.builders.variables import CARRIED_ORGANIZATION_VARIABLE, query_variable
from grafana.expressions import days, money, names
from grafana.expressions import promql as q

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
_each_day = f"sum({_of_person('yesterday', days.OF_DAY_ENDING_AT_EIGHT)})"
_products_of_day = f"sum by (product) ({_of_person('yesterday', days.OF_DAY_ENDING_AT_EIGHT)})"
_cost = money.of_products_in_range(_products_of_day)
_by_day = f"sum by (product) ({_of_person('yesterday', days.OF_DAY_FROM_HERE)})"
_running = days.running(
    f"sum by (product) ({_of_person('today', days.RUNNING_DAY_FROM_HERE)})", _by_day
)
_limit = f"max({q.latest('devin_user_cycle_limit_acus', THIS_USER)})"
_limited = q.latest("devin_user_consumption_cycle_acus", f"{THIS_USER}, {q.UNDER_USER_LIMIT}")
_used_of_limit = f"(sum({_limited}) or on () (0 * {_this})) / ({_limit} > 0)"


def _seen(who: str) -> str:
    windows = ("cycle", "yesterday", "today")
    metrics = "|".join(f"devin_{who}_consumption_{window}_acus" for window in windows)
    return f'last_over_time({{__name__=~"{metrics}", {q.JOB}}}{q.NAMES_WITHIN}{q.AT_NOW})'


_user_names = names.user_names(_seen("user"), at=q.AT_NOW)
_service_names = names.service_user_names(_seen("service_user"), at=q.AT_NOW)
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
_rank = f"((count({_each_alone} > scalar({_this})) or vector(0)) + 1) and on () {_this}"

CARDS = (
    in_currency(
        stat_panel(
            "Cost in the range",
            "Over the whole billing days that ended within the range, each at the price of that "
            "day where it is known, else at the price as last known. Absent where a product "
            "that was used has no price.",
            LOCAL,
            of_range(_cost, "whole days"),
            empty="no use",
            missing=[NO_PRICE_IN_RANGE, NOTHING],
        ),
        over_range=True,
    ),
    stat_panel(
        "ACUs in the range",
        "Over the whole billing days that ended within the range.",
        LOCAL,
        of_range(days.in_range(_each_day), "whole days"),
        empty="no use",
    ).decimals(2),
    stat_panel(
        "ACUs of the cycle",
        "In the running billing cycle; above, as a share of everything that people used in it. "
        f"{BOTH}",
        LOCAL,
        now(
            days.with_line(
                _this,
                days.as_text(f"round(100 * {_this} / sum({_everybody}), 0.01)", "$1 % of all"),
                "share unknown",
            ),
            "{{line}}",
        ),
        empty="no use",
    ).decimals(2),
    stat_panel(
        "Rank in the cycle",
        f"By ACUs of the running billing cycle, and of how many with any. {BOTH}",
        LOCAL,
        now(
            days.with_line(_rank, days.as_text(f"count({_each_alone})", "of $1"), "of unknown"),
            "{{line}}",
        ),
        empty="no use",
    ),
    stat_panel(
        "Limit used",
        "ACUs of the running billing cycle, reviews left out, against the user's own limit (a "
        "permanent override). A limit of 0 blocks all use and is not shown.",
        "percentunit",
        now(_used_of_limit, "of one's own"),
        width=4,
        empty="no use",
        missing=[("none known", "limit of one's own", f"({q.none_of(_limit)}) and on () {_this}")],
    )
    .decimals(1)
    .color_scheme(BY_THRESHOLD)
    .thresholds(thresholds(GOOD, (0.8, WARNING), (1, BAD))),
)

BOARD = Board(
    uid="devin-people",
    about="What one user or service user uses, by day and product, and whose keys expire.",
    variables=[CARRIED_ORGANIZATION_VARIABLE, PERSON_VARIABLE],
    sections=[
        ("", CARDS),
        (
            "",
            [
                running_day_apart(
                    by_product(
                        bar_panel(
                            "ACUs by day and product",
                            "ACUs of each billing day. The running day is lighter, and shown as "
                            "far as it has gone; totals hold complete days.",
                            LOCAL,
                            over_time(_by_day, "{{product}}", step="1d"),
                            over_time(_running, f"{{{{product}}}}{RUNNING}", step="1d"),
                            axis="ACUs",
                            width=14,
                            height=14,
                            empty="no use of this person is known in this range",
                        )
                    )
                ).decimals(2),
                ranking_table(
                    "Users with most ACUs",
                    f"The {PEOPLE_SHOWN} users with most ACUs in the running billing cycle; those "
                    "beyond DEVIN_USER_LIMIT as «other».",
                    rows(names.with_user_name(f"topk({PEOPLE_SHOWN}, {_of_users()})", _of_users())),
                    ranked=Ranked(label="user", names="User", figures="ACUs"),
                    empty=("no use of a user is known", _of_users()),
                    width=10,
                    height=14,
                ),
            ],
        ),
        (
            "",
            [
                ranking_table(
                    "Service users with most ACUs",
                    f"The {PEOPLE_SHOWN} service users with most ACUs in the running billing "
                    "cycle.",
                    rows(
                        names.with_service_user_name(
                            f"topk({PEOPLE_SHOWN}, {OF_SERVICE_USERS})", OF_SERVICE_USERS
                        )
                    ),
                    ranked=Ranked(label="service_user_name", names="Service user", figures="ACUs"),
                    empty=("no use of a service user is known", OF_SERVICE_USERS),
                    width=10,
                ),
                table_panel(
                    "Keys that expire",
                    "Service users whose key expires or has expired, the earliest first. Keys that "
                    "never expire are not shown.",
                    rows(names.with_service_user_name(f"{_expiry} * 1000", _expiry)),
                    rows(names.with_service_user_name(f"({_expiry} - time()) / 86400", _expiry)),
                    columns={
                        "service_user_name": wide_column("Service user", 130),
                        "Value #A": column(
                            "Expires", 150, setting("unit", "time:YYYY-MM-DD HH:mm")
                        ),
                        "Value #B": column(
                            "Left",
                            110,
                            *filled(
                                setting("unit", "suffix: days"),
                                setting("decimals", 1),
                                setting("color", {"mode": "thresholds"}),
                                setting(
                                    "thresholds",
                                    thresholds(
                                        BAD_FILL, (2, WARNING_FILL), (14, NONE), below=BAD_FILL
                                    ).build(),
                                ),
                            ),
                        ),
                        "service_user_id": column("Id", 250),
                    },
                    empty=("service_user_name", "no key is known to expire", _expiry),
                    width=14,
                    height=9,
                ).sort_by([TableSortByFieldState().display_name("Left")]),
            ],
        ),
    ],
    alerts={"DevinAcuSpike": ["ACUs by day and product"]},
)
