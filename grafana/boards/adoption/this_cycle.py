"""What the running cycle has brought: sessions and pull requests of whoever is chosen."""

from typing import TypeVar

from grafana_foundation_sdk.builders import bargauge, timeseries

from grafana.builders.charts import line_panel
from grafana.builders.colours import BLUE, GREEN, GREY, VERMILION
from grafana.builders.overrides import ORIGINS, colour, spoken
from grafana.builders.panels import ADDED_UP, LOCAL, as_people_write, ranking_panel, stat_panel
from grafana.builders.queries import now, over_time
from grafana.expressions import cycles
from grafana.expressions import promql as q

P = TypeVar("P", bargauge.Panel, timeseries.Panel)
_sessions = q.total(q.SESSIONS_CYCLE)
_no_session = f"{q.of_chosen(q.SESSIONS_CYCLE.organization)} == 0"
_created = q.total(q.CREATED_CYCLE)
_pull_requests = {
    "Created": (q.CREATED_CYCLE, BLUE),
    "Merged": (q.MERGED_CYCLE, GREEN),
    "Closed": (q.CLOSED_CYCLE, VERMILION),
    "Open": (q.OPEN_CYCLE, GREY),
}


def _in_their_colours(panel: P) -> P:
    for state, (_, shade) in _pull_requests.items():
        panel = panel.override_by_name(state, [colour(shade)])
    return panel


def _share_of_sessions(figure: q.Scoped) -> str:
    return f"{q.total(figure)} / ({_sessions} > 0)"


def _mean_acus() -> str:
    """The enterprise's mean, or that of the chosen organizations, each by its sessions."""
    mean = q.of_chosen(q.MEAN_ACUS_CYCLE.organization)
    acus = f"sum({mean} * on (org_id) {q.of_chosen(q.SESSIONS_CYCLE.organization)})"
    of_chosen = q.unless_partial(acus, f"{mean} or on (org_id) ({_no_session})")
    whole = q.latest(q.MEAN_ACUS_CYCLE.enterprise, q.WHOLE_ENTERPRISE)
    return f"max({whole}) or on () ({of_chosen} / ({_sessions} > 0))"


OUTCOME = (
    stat_panel(
        "Sessions",
        f"Sessions created in the running billing cycle. {ADDED_UP}",
        LOCAL,
        now(_sessions, "this cycle"),
    ),
    stat_panel(
        "Merged pull requests",
        "Pull requests that Devin opened in the running billing cycle and that are merged. "
        f"{ADDED_UP}",
        LOCAL,
        now(q.total(q.MERGED_CYCLE), "this cycle"),
    ),
    stat_panel(
        "Merge rate",
        "Of the pull requests that Devin opened in the running billing cycle, how many are merged. "
        f"{ADDED_UP}",
        "percentunit",
        now(f"{q.total(q.MERGED_CYCLE)} / ({_created} > 0)", "of those opened"),
    ).decimals(1),
    stat_panel(
        "Sessions that merge",
        "Of the sessions created in the running billing cycle, how many have led to a merged pull "
        f"request. {ADDED_UP}",
        "percentunit",
        now(_share_of_sessions(q.MERGING_CYCLE), "of this cycle's"),
    ).decimals(1),
    stat_panel(
        "Searches",
        f"Searches made in the running billing cycle. {ADDED_UP}",
        LOCAL,
        now(q.total(q.SEARCHES_CYCLE), "this cycle"),
        width=4,
    ),
)

SHARES = (
    stat_panel(
        "ACUs of a session",
        "Mean ACUs of the sessions created in the running billing cycle. Of several chosen "
        "organizations: each by its number of sessions, absent unless all are known.",
        LOCAL,
        now(_mean_acus(), "on average"),
        width=8,
    ).decimals(2),
    stat_panel(
        "Sessions with a playbook",
        "Of the sessions created in the running billing cycle, how many had a playbook. "
        f"{ADDED_UP}",
        "percentunit",
        now(_share_of_sessions(q.PLAYBOOK_CYCLE), "of this cycle's"),
        width=8,
    ).decimals(1),
    stat_panel(
        "Sessions with a search",
        f"Of the sessions created in the running billing cycle, how many had a search. {ADDED_UP}",
        "percentunit",
        now(_share_of_sessions(q.SEARCHING_CYCLE), "of this cycle's"),
        width=8,
    ).decimals(1),
)

BREAKDOWNS = (
    as_people_write(
        ranking_panel(
            "Sessions by origin",
            "Where sessions created in the running billing cycle were started. The vendor leaves "
            f"some origins out. {ADDED_UP}",
            LOCAL,
            now(q.total(q.ORIGINS_CYCLE, by="origin", or_known=_no_session), "{{origin}}"),
            width=6,
        ),
        ORIGINS,
    ),
    ranking_panel(
        "Sessions by size",
        f"Sessions created in the running billing cycle, by the vendor's sizes. {ADDED_UP}",
        LOCAL,
        *(
            now(q.total(q.SIZES_CYCLE, f', size="{size}"', or_known=_no_session), spoken(size))
            for size in ("xs", "s", "m", "l", "xl")
        ),
        width=6,
    ),
    _in_their_colours(
        ranking_panel(
            "Pull requests",
            "Pull requests that Devin opened in the running billing cycle, and where they stand. "
            f"{ADDED_UP}",
            LOCAL,
            *(now(q.total(figure), state) for state, (figure, _) in _pull_requests.items()),
            width=6,
        )
    ),
    as_people_write(
        ranking_panel(
            "Pull requests taken over",
            "Pull requests that others opened and Devin pushed to in the running billing cycle, "
            "and what has become of them; other is what their number holds beyond these. "
            f"{ADDED_UP}",
            LOCAL,
            now(q.total(q.TAKEN_OVER_CYCLE, by="state"), "{{state}}"),
            width=6,
        ),
        ("open", "merged", "closed", "other"),
    ),
)

COURSE = _in_their_colours(
    line_panel(
        "Pull requests in the cycle",
        "Pull requests that Devin opened in the cycle by the end of each billing day (the running "
        "day as far as it has gone), and where they stood when they were last seen on it. Choose a "
        "longer range for the cycles before. Those created are made of days, backfilled ones "
        "included, and absent where one of them is unknown. The API does not say where they stood "
        f"at a past moment, so the other lines begin when the exporter first ran. {ADDED_UP}",
        LOCAL,
        over_time(cycles.course_of_counts(q.PRS_YESTERDAY, q.CREATED_CYCLE), "Created", step="1d"),
        *(
            over_time(q.total(figure, window=cycles.OF_THE_DAY_FROM_HERE), state, step="1d")
            for state, (figure, _) in _pull_requests.items()
            if state != "Created"
        ),
        axis="pull requests",
        width=15,
        height=10,
        empty="no pull request of these days is known",
    ).interval("1d")
)
