"""Queue and sessions: what waits, what runs, and what is held up."""

from grafana_foundation_sdk.builders import common, timeseries
from grafana_foundation_sdk.builders.common import TableSortByFieldState
from grafana_foundation_sdk.models import common as options

from grafana.boards.queue_and_sessions.dedicated import DEDICATED
from grafana.builders.board import Board
from grafana.builders.charts import line_panel, state_panel
from grafana.builders.colours import (
    AMBER,
    BAD,
    BAD_FILL,
    BLUE,
    DETAILS,
    GOOD,
    GOOD_FILL,
    NEUTRAL_FILL,
    STATUS_FILLS,
    STATUSES,
    UNKNOWN_FILL,
    WARNING,
    WARNING_FILL,
)
from grafana.builders.overrides import (
    BY_THRESHOLD,
    colour,
    coloured_words,
    dashed,
    setting,
    spoken,
    thresholds,
)
from grafana.builders.panels import ENTERPRISE_ONLY, LOCAL, NOTHING, stat_panel
from grafana.builders.queries import now, over_time, rows
from grafana.builders.tables import (
    Ranked,
    column,
    filled,
    number_column,
    ranking_table,
    table_panel,
    wide_column,
)
from grafana.builders.variables import OF_ORGANIZATIONS
from grafana.expressions import names
from grafana.expressions import promql as q

FROM_ELEVATED, FROM_HIGH = 11, 51
WAITING = 'status_detail=~"waiting_for_.+"'
HELD_UP = (
    (
        'status_detail=~".*_limit_exceeded|out_of_.+|no_quota_allocation|payment_declined|'
        'contract_expired"'
    ),
    (
        'status="suspended", '
        'status_detail!~"inactivity|user_request|waiting_for_.+|working|finished|error|"'
    ),
)
"""By limits; and suspended for a reason that is not known yet."""
OF_ORGANIZATION = Ranked(label="org_name", names="Organization", figures="Sessions")
LAST_DAY = "Sessions of the chosen organizations that changed in the last 24 hours."


def _sessions(by: str, *matchers: str) -> str:
    each = [f"devin_sessions{{{q.ORGANIZATION}{f', {m}' if m else ''}}}" for m in matchers or [""]]
    return f"sum by ({by}) ({q.ANY_INSTANCE} ({' or '.join(each)}))"


def _number_of(*matchers: str) -> str:
    """Zero where sessions are known and none is like that."""
    return f"{_sessions('', *matchers)} or on () (0 * {_sessions('')})"


def _queue_is(status: str, number: int) -> str:
    of_status = q.latest("devin_queue_status", f"{q.JOB}, status{status}")
    return f"max({of_status} == 1) * {number}"


_queue = f"max({q.ANY_INSTANCE} (max_over_time(devin_queue_size{{{q.JOB}}}[$__interval])))"
_state = " or on () ".join(
    (
        _queue_is('="normal"', 0),
        _queue_is('="elevated"', 1),
        _queue_is('="high"', 2),
        _queue_is('!~"normal|elevated|high"', 3),
    )
)


def _named(*matchers: str) -> str:
    return names.with_organization_name(
        f"topk(15, {_sessions('org_id', *matchers)})", _sessions("org_id", *matchers)
    )


def _stacked(panel: timeseries.Panel) -> timeseries.Panel:
    return (
        panel.stacking(common.StackingConfig().mode(options.StackingMode.NORMAL).group("A"))
        .fill_opacity(70)
        .line_width(0)
        .show_points(options.VisibilityMode.NEVER)
    )


_by_state = _stacked(
    line_panel(
        "Sessions by status",
        f"{LAST_DAY} Each area is one status, and all together are the sessions. A finished task "
        "usually stays running, with the detail finished.",
        LOCAL,
        over_time(_sessions("status"), "{{status}}"),
        axis="sessions",
    )
).decimals(0)
for _status, _shade in STATUSES.items():
    _by_state = _by_state.override_by_name(
        _status, [colour(_shade), setting("displayName", spoken(_status))]
    )

CARDS = (
    stat_panel(
        "Queue",
        f"Sessions that wait to start. {ENTERPRISE_ONLY}",
        LOCAL,
        now(f"max({q.latest('devin_queue_size')})", "wait to start"),
        width=4,
    )
    .color_mode(options.BigValueColorMode.BACKGROUND_SOLID)
    .color_scheme(BY_THRESHOLD)
    .thresholds(
        thresholds(
            GOOD_FILL, (FROM_ELEVATED, WARNING_FILL), (FROM_HIGH, BAD_FILL), below=NEUTRAL_FILL
        )
    ),
    stat_panel("Sessions", LAST_DAY, LOCAL, now(_sessions(""), "last 24 hours"), missing=[NOTHING]),
    stat_panel(
        "Wait for a person",
        f"{LAST_DAY} Those that wait for a user's answer or approval.",
        LOCAL,
        now(_number_of(WAITING), "answer or approval"),
    ),
    stat_panel(
        "Held up by limits",
        f"{LAST_DAY} Those suspended by a limit, quota, credits, payment or the contract, or for a "
        "reason that is not known yet.",
        LOCAL,
        now(_number_of(*HELD_UP), "suspended"),
    )
    .color_scheme(BY_THRESHOLD)
    .thresholds(thresholds(GOOD, (1, WARNING))),
    stat_panel(
        "In error",
        f"{LAST_DAY} Those that ended in an error.",
        LOCAL,
        now(_number_of('status="error"'), "ended so"),
    )
    .color_scheme(BY_THRESHOLD)
    .thresholds(thresholds(GOOD, (1, BAD))),
)

_queue_over_time = (
    line_panel(
        "Queue over time",
        "The most sessions that waited within each step; the vendor calls it normal up to 10, "
        f"elevated up to 50, high above. {ENTERPRISE_ONLY}",
        LOCAL,
        over_time(_queue, "Waiting"),
        over_time(f"0 * {_queue} + {FROM_ELEVATED}", f"Elevated from {FROM_ELEVATED}"),
        over_time(f"0 * {_queue} + {FROM_HIGH}", f"High from {FROM_HIGH}"),
        axis="sessions",
        width=24,
    )
    .override_by_name("Waiting", [colour(BLUE), setting("custom.fillOpacity", 15)])
    .override_by_name(f"Elevated from {FROM_ELEVATED}", [colour(WARNING), dashed()])
    .override_by_name(f"High from {FROM_HIGH}", [colour(BAD), dashed()])
)

BOARD = Board(
    uid="devin-queue-and-sessions",
    about="The queue over time, what sessions are doing, and which wait or are held up.",
    variables=OF_ORGANIZATIONS,
    range="now-24h",
    refresh="1m",
    sections=[
        ("", CARDS),
        (
            "",
            [
                _queue_over_time,
                state_panel(
                    "Queue's state",
                    f"The vendor's judgement. {ENTERPRISE_ONLY}",
                    over_time(_state, "Queue"),
                    states=(
                        ("normal", GOOD_FILL),
                        ("elevated", WARNING_FILL),
                        ("high", BAD_FILL),
                        ("another", UNKNOWN_FILL),
                    ),
                    height=5,
                ),
            ],
        ),
        (
            "",
            [
                _by_state,
                line_panel(
                    "Waiting and held up",
                    f"{LAST_DAY} Those that wait for a person, and those that limits hold up.",
                    LOCAL,
                    over_time(_number_of(WAITING), "Waiting for a person"),
                    over_time(_number_of(*HELD_UP), "Held up by limits"),
                    axis="sessions",
                )
                .override_by_name("Waiting for a person", [colour(BLUE)])
                .override_by_name("Held up by limits", [colour(AMBER)]),
            ],
        ),
        (
            "",
            [
                ranking_table(
                    "Waiting, by organization",
                    f"{LAST_DAY} Those that wait for a user's answer or approval; the 15 "
                    "organizations with most.",
                    rows(_named(WAITING)),
                    ranked=OF_ORGANIZATION,
                    empty=("no session is known to wait for a person", _named(WAITING)),
                    width=7,
                    height=10,
                ),
                ranking_table(
                    "Held up, by organization",
                    f"{LAST_DAY} Those suspended by a limit, quota, credits, payment or the "
                    "contract, or for a reason that is not known yet; the 15 "
                    "organizations with most.",
                    rows(_named(*HELD_UP)),
                    ranked=OF_ORGANIZATION,
                    empty=("no session is known to be held up", _named(*HELD_UP)),
                    width=7,
                    height=10,
                ),
                table_panel(
                    "By status and detail",
                    LAST_DAY,
                    rows(_sessions("status, status_detail")),
                    columns={
                        "status": column(
                            "Status",
                            105,
                            *filled(setting("mappings", [coloured_words(STATUS_FILLS)])),
                        ),
                        "status_detail": wide_column(
                            "Detail", 145, *filled(setting("mappings", [coloured_words(DETAILS)]))
                        ),
                        "Value #A": number_column("Sessions", 105),
                    },
                    empty=("status_detail", "no session is known", _sessions("")),
                    width=10,
                    height=10,
                ).sort_by([TableSortByFieldState().display_name("Sessions").desc(True)]),  # noqa: FBT003
            ],
        ),
        ("Dedicated deployments", DEDICATED),
    ],
    alerts={
        "DevinQueue.+": ["Queue over time"],
        "DevinSessions.+": ["Waiting and held up"],
    },
)
