"""The metrics of the breakdowns."""

from exporter.metrics import Metric
from exporter.sources.devin.operations.breakdowns.labels import DIMENSIONS

_LABELS = {"playbook": "playbook_id", "automation": "automation_id"}
LABELS = {dimension: _LABELS.get(dimension, dimension) for dimension in DIMENSIONS}
_OF = {
    "tag": "tag; those of a session with several are split evenly",
    "repository": "repository of the pull requests; those of a session with several are split "
    "evenly",
    "origin": "origin",
    "playbook": "playbook",
    "automation": "automation",
}
_WINDOWS = {"today": "the running billing day", "cycle": "the running billing cycle"}

ACUS = {
    window: {
        dimension: Metric(
            f"devin_session_{dimension}_{window}_acus",
            f"ACUs that sessions are known to have consumed in {running}, by {_OF[dimension]}. "
            "other is the rest of them, unexplained what the total of all products holds beyond.",
            (LABELS[dimension],),
        )
        for dimension in DIMENSIONS
    }
    for window, running in _WINDOWS.items()
}
SESSIONS = Metric(
    "devin_repository_sessions_cycle",
    "Sessions created in the running billing cycle, by repository of their pull requests; a "
    "session with several counts in each in equal parts.",
    ("repository",),
)
PULL_REQUESTS = Metric(
    "devin_repository_prs_cycle",
    "Pull requests of the sessions created in the running billing cycle, by repository and state "
    "as last listed.",
    ("repository", "state"),
)
TEAM_SESSIONS = {
    window: Metric(
        f"devin_team_sessions_{window}",
        f"Sessions created in {running}, by the team of whoever runs them, by the teams file (the "
        "empty name is for those in none).",
        ("team",),
    )
    for window, running in _WINDOWS.items()
}
TEAM_PULL_REQUESTS = {
    window: Metric(
        f"devin_team_prs_{window}",
        f"Pull requests of the sessions created in {running}, by team and state as last listed.",
        ("team", "state"),
    )
    for window, running in _WINDOWS.items()
}
TEAM_METRICS = (*TEAM_SESSIONS.values(), *TEAM_PULL_REQUESTS.values())
ACU_METRICS = tuple(metric for metrics in ACUS.values() for metric in metrics.values())
METRICS = (*ACU_METRICS, SESSIONS, PULL_REQUESTS)
