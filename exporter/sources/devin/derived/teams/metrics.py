"""The metrics of groups and teams, besides those that the teams file itself gives."""

from exporter.metrics import Metric
from exporter.sources.devin.consumption.scopes import window_metrics

WINDOWS = ("today", "yesterday", "cycle", "previous_cycle")

USER_GROUP = Metric(
    "devin_user_group_info",
    "A user's group of the identity provider; 1. A user may have several.",
    ("user_id", "group"),
)
TEAM_MEMBER = Metric(
    "devin_team_member_info", "A user's team, by the teams file; 1.", ("team", "user_id")
)
GROUP_ACUS = window_metrics(
    "group_",
    "a group's users (with DEVIN_OWNER_GROUPS each counts in one, else in every group; the empty "
    "name is for those in none)",
    ("group",),
    *WINDOWS,
)
TEAM_ACUS = window_metrics(
    "team_",
    "a team's users and service users, by the teams file (the empty name is for those in none)",
    ("team",),
    *WINDOWS,
)
CONSUMPTION = (*GROUP_ACUS.values(), *TEAM_ACUS.values())
METRICS = (USER_GROUP, TEAM_MEMBER, *CONSUMPTION)
