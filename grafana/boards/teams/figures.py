"""The PromQL of teams, groups, repositories and tags."""

from grafana.builders.panels import Missing
from grafana.expressions import days, money
from grafana.expressions import promql as q

SHOWN = 10
NOBODYS, SMALL = "(in no team)", "(other teams)"
NO_TEAM = f'{q.JOB}, team=""'
ANY_TEAM = f'{q.JOB}, team!=""'


def of_teams(window: str, matchers: str = q.JOB) -> str:
    """ACUs by team; those of nobody's without the label."""
    return f"sum by (team) ({q.latest(f'devin_team_consumption_{window}_acus', matchers)})"


def named(values: str) -> str:
    """The rows that are no team's name as people say it."""
    nobodys = f'label_replace({values}, "team", "{NOBODYS}", "team", "")'
    return f'label_replace({nobodys}, "team", "{SMALL}", "team", "other")'


CYCLE, PREVIOUS = of_teams("cycle"), of_teams("previous_cycle")
COST = money.rows_so_far("team", "team", CYCLE)
COST_BEFORE = money.rows_of_previous("team", "team", PREVIOUS)
BUDGET = f"max by (team) ({q.latest('devin_team_budget_acus')})"
USED = f"{CYCLE} / on (team) ({BUDGET} > 0)"
COST_CENTERS = f"group by (team, cost_center) ({q.latest('devin_team_info')})"
_YESTERDAY = "devin_team_consumption_yesterday_acus"
_each_day = f"sum by (team) ({q.last(_YESTERDAY, days.OF_DAY_ENDING_AT_EIGHT)})"
_mean = (
    f"(avg_over_time(({_each_day}){days.LAST_SEVEN_DAYS}) and "
    f"(count_over_time(({_each_day}){days.LAST_SEVEN_DAYS}) == {days.DAYS_OF_FORECAST}))"
)
FORECAST = f"({CYCLE} + {_mean} * on () group_left () {q.CYCLE_DAYS_LEFT})"
CHANGE = money.change_per_day((COST, COST_BEFORE), (CYCLE, PREVIOUS), by="team")

BY_DAY = f"sum by (team) ({q.last(_YESTERDAY, days.OF_DAY_FROM_HERE)})"
_cost_of_day = (
    f"sum by (team, currency) ({q.last('team:devin_cost_yesterday:sum', days.OF_DAY_FROM_HERE)})"
)
_cost_of_each_day = (
    "sum by (team, currency) "
    f"({q.last('team:devin_cost_yesterday:sum', days.OF_DAY_ENDING_AT_EIGHT)})"
)
_first = f"topk({SHOWN}, sum by (team) ({days.in_range(_cost_of_each_day)}))"
COST_BY_DAY = f"({_cost_of_day}) and on (team) {_first}"
COST_OF_OTHERS_BY_DAY = f"sum by (currency) (({_cost_of_day}) unless on (team) {_first})"
_cost_today = (
    f"sum by (currency) ({q.last('team:devin_cost_today:sum', days.RUNNING_DAY_FROM_HERE)})"
)
COST_OF_RUNNING_DAY = days.running(_cost_today, _cost_of_day)
EACH_DAYS_COST = _cost_of_each_day

_file = f"max({q.latest('devin_exporter_teams_file_last_reload_successful')})"
NO_TEAMS = f"vector(1) unless on () ({CYCLE}) unless on () ({q.NOTHING_OF_OURS})"
NO_FILE: Missing = ("no teams", "DEVIN_TEAMS_FILE", f"({NO_TEAMS}) unless on () ({_file})")
NOT_KNOWN: Missing = (
    "not known",
    "though there is a teams file",
    f"({NO_TEAMS}) and on () ({_file})",
)

GROUPS = {
    window: f"sum by (group) ({q.latest(f'devin_group_consumption_{window}_acus')})"
    for window in ("cycle", "previous_cycle")
}


def spent_on(what: str) -> str:
    """ACUs of the running cycle by repository or tag, all rows."""
    return f"max by ({what}) ({q.latest(f'devin_session_{what}_cycle_acus')})"


def spelt_out(values: str, what: str, none: str) -> str:
    """The rows that are no repository and no tag as people say it."""
    for raw, said in (
        ("", none),
        ("other", "(all others)"),
        ("unexplained", "(not explained by sessions)"),
    ):
        values = f'label_replace({values}, "{what}", "{said}", "{what}", "{raw}")'
    return values


def only_named(values: str, what: str) -> str:
    """Without the rows that are no repository and no tag."""
    matcher = f'{q.JOB}, {what}!~"|other|unexplained"'
    return values.replace("{" + q.JOB + "}", "{" + matcher + "}")


def share_of_named(values: str, what: str) -> str:
    """Of all that was used; of repositories or tags alone."""
    return f"{only_named(values, what)} / on () group_left () (sum({values}) > 0)"


REPOSITORIES, TAGS = spent_on("repository"), spent_on("tag")
PULL_REQUESTS = f"sum by (repository) ({q.latest('devin_repository_prs_cycle')})"
_merged = q.latest("devin_repository_prs_cycle", q.JOB + ', state="merged"')
MERGED = f"sum by (repository) ({_merged})"
PER_MERGED = f"{only_named(REPOSITORIES, 'repository')} / on (repository) ({MERGED} > 0)"

SESSIONS_OF_TEAMS = f"max by (team) ({q.latest('devin_team_sessions_cycle')})"
_of_states = "sum by (team) (max by (team, state) ({}))".format
PULL_REQUESTS_OF_TEAMS = _of_states(q.latest("devin_team_prs_cycle"))
MERGED_OF_TEAMS = _of_states(q.latest("devin_team_prs_cycle", q.JOB + ', state="merged"'))
MERGE_RATE_OF_TEAMS = f"{MERGED_OF_TEAMS} / on (team) ({PULL_REQUESTS_OF_TEAMS} > 0)"
ACUS_PER_MERGED_OF_TEAMS = f"{CYCLE} / on (team) ({MERGED_OF_TEAMS} > 0)"
COST_PER_MERGED_OF_TEAMS = f"{COST} / on (team) group_left () ({MERGED_OF_TEAMS} > 0)"
