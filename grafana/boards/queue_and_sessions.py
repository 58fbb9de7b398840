"""Queue and sessions: what waits, what runs, and what is held up."""

from grafana_foundation_sdk.builders import common
from grafana_foundation_sdk.models import common as options

from grafana.builders import promql as q
from grafana.builders.board import OF_ORGANIZATIONS, Board
from grafana.builders.colours import BAD, BLUE, GOOD, ORANGE, STATUSES, UNKNOWN, WARNING
from grafana.builders.overrides import BY_THRESHOLD, colour, named_states, thresholds
from grafana.builders.panels import (
    at_end,
    line_panel,
    over_time,
    ranking_panel,
    rows,
    stat_panel,
    state_panel,
    table_panel,
)

FROM_ELEVATED, FROM_HIGH = 11, 51
WAITING = 'status_detail=~"waiting_for_.+"'
HELD_BY_LIMITS = (
    'status_detail=~"usage_limit_exceeded|org_usage_limit_exceeded|total_session_limit_exceeded|'
    'out_of_credits|out_of_quota|no_quota_allocation|payment_declined"'
)
LAST_DAY = "Sessions of the chosen organizations that changed in the last 24 hours."
ENTERPRISE_QUEUE = (
    "The queue is the whole enterprise's, whatever organization is chosen; an organization's key "
    "does not show it."
)


def _sessions(by: str, matchers: str = "") -> str:
    selected = f"{q.ORGANIZATION}, {matchers}" if matchers else q.ORGANIZATION
    return f"sum by ({by}) ({q.latest('devin_sessions', selected)})"


def _number_of(matchers: str) -> str:
    """Zero where sessions are known and none is like that."""
    return f"{_sessions('', matchers)} or on () (0 * {_sessions('')})"


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


def _named(matchers: str) -> str:
    return q.with_organization_name(
        f"topk(15, {_sessions('org_id', matchers)})", _sessions("org_id", matchers)
    )


_by_state = line_panel(
    "Sessions by status",
    f"{LAST_DAY} A finished task usually stays running, with the detail finished.",
    "short",
    over_time(_sessions("status"), "{{status}}"),
    empty="no sessions",
).stacking(common.StackingConfig().mode(options.StackingMode.NORMAL).group("A"))
for status, shade in STATUSES.items():
    _by_state = _by_state.override_by_name(status, [colour(shade)])

BOARD = Board(
    uid="devin-queue-and-sessions",
    title="Devin / Queue and sessions",
    about="The queue over time, what sessions are doing, and which wait or are held up.",
    variables=OF_ORGANIZATIONS,
    range="now-24h",
    refresh="1m",
    sections=[
        (
            "",
            [
                stat_panel(
                    "Queue (enterprise)",
                    f"Sessions that wait to start. {ENTERPRISE_QUEUE}",
                    "short",
                    at_end(f"max({q.latest('devin_queue_size')})"),
                )
                .color_scheme(BY_THRESHOLD)
                .thresholds(thresholds(GOOD, (FROM_ELEVATED, WARNING), (FROM_HIGH, BAD)))
                .color_mode(options.BigValueColorMode.BACKGROUND),
                stat_panel(
                    "Sessions, last 24 hours", LAST_DAY, "short", at_end(_sessions("")), width=5
                ),
                stat_panel(
                    "Waiting for a person",
                    f"{LAST_DAY} Those that wait for a user's answer or approval.",
                    "short",
                    at_end(_number_of(WAITING)),
                    width=5,
                ),
                stat_panel(
                    "Held up by limits",
                    f"{LAST_DAY} Those suspended by a limit, by quota, credits or payment.",
                    "short",
                    at_end(_number_of(HELD_BY_LIMITS)),
                    width=5,
                )
                .color_scheme(BY_THRESHOLD)
                .thresholds(thresholds(GOOD, (1, WARNING))),
                stat_panel(
                    "In error",
                    f"{LAST_DAY} Those that ended in an error.",
                    "short",
                    at_end(_number_of('status="error"')),
                    width=5,
                )
                .color_scheme(BY_THRESHOLD)
                .thresholds(thresholds(GOOD, (1, BAD))),
            ],
        ),
        (
            "",
            [
                line_panel(
                    "Queue over time (enterprise)",
                    "The most sessions that waited within each step; the vendor calls it normal up "
                    f"to 10, elevated up to 50 (dashed), high above. {ENTERPRISE_QUEUE}",
                    "short",
                    over_time(_queue, "waiting"),
                    width=24,
                )
                .override_by_name("waiting", [colour(BLUE)])
                .thresholds(thresholds("transparent", (FROM_ELEVATED, WARNING), (FROM_HIGH, BAD)))
                .thresholds_style(
                    common.GraphThresholdsStyleConfig().mode(
                        options.GraphThresholdsStyleMode.DASHED
                    )
                ),
                state_panel(
                    "Queue's state (enterprise)",
                    f"The vendor's judgement. {ENTERPRISE_QUEUE}",
                    over_time(_state, "queue"),
                ).mappings(
                    [
                        named_states(
                            ("normal", GOOD),
                            ("elevated", WARNING),
                            ("high", BAD),
                            ("another", UNKNOWN),
                        )
                    ]
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
                    "short",
                    over_time(_number_of(WAITING), "wait for a person"),
                    over_time(_number_of(HELD_BY_LIMITS), "held up by limits"),
                )
                .override_by_name("wait for a person", [colour(BLUE)])
                .override_by_name("held up by limits", [colour(ORANGE)]),
            ],
        ),
        (
            "",
            [
                ranking_panel(
                    "Waiting for a person, by organization",
                    f"{LAST_DAY} Those that wait for a user's answer or approval; the 15 "
                    "organizations with most.",
                    "short",
                    at_end(f"sort_desc({_named(WAITING)})", "{{org_name}}"),
                    empty="nobody is waited for",
                ),
                ranking_panel(
                    "Held up by limits, by organization",
                    f"{LAST_DAY} Those suspended by a limit, by quota, credits or payment; the 15 "
                    "organizations with most.",
                    "short",
                    at_end(f"sort_desc({_named(HELD_BY_LIMITS)})", "{{org_name}}"),
                    empty="none is held up",
                ),
                table_panel(
                    "By status and detail",
                    LAST_DAY,
                    rows(_sessions("status, status_detail")),
                    columns={"status": "Status", "status_detail": "Detail", "Value": "Sessions"},
                    width=8,
                    empty="no sessions",
                ),
            ],
        ),
        (
            "Dedicated deployments",
            [
                line_panel(
                    "Hypervisors (enterprise)",
                    "Hypervisors of a dedicated deployment, by status. Others have none.",
                    "short",
                    over_time(f"max by (status) ({q.latest('devin_hypervisors')})", "{{status}}"),
                    width=8,
                    many=True,
                    empty="no hypervisors",
                ),
                line_panel(
                    "Fullest hypervisors (enterprise)",
                    "How much of a hypervisor is in use, the 10 fullest at each moment.",
                    "percentunit",
                    over_time(
                        "topk(10, max by (hypervisor_id) "
                        f"({q.latest('devin_hypervisor_utilization_ratio')}))",
                        "{{hypervisor_id}}",
                    ),
                    width=8,
                    many=True,
                    empty="no hypervisors",
                ).max(1),
                table_panel(
                    "Guardrail violations of the cycle (enterprise)",
                    "In the running billing cycle, by guardrail and by what was done.",
                    rows(
                        "max by (guardrail_name, action_taken) "
                        f"({q.latest('devin_guardrail_violations_cycle')})"
                    ),
                    columns={
                        "guardrail_name": "Guardrail",
                        "action_taken": "Action",
                        "Value": "Violations",
                    },
                    width=8,
                    empty="none",
                ),
            ],
        ),
    ],
)
