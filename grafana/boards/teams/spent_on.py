"""What was it spent on: repositories, their pull requests, tags, groups."""

from grafana_foundation_sdk.builders.common import TableSortByFieldState

from grafana.boards.teams import figures as f
from grafana.builders.queries import rows
from grafana.builders.tables import bar_column, number_column, table_panel, wide_column
from grafana.expressions import promql as q

_ALL_ROWS = (
    "The rows add up to everything that was used: (all others) is what is beyond "
    "DEVIN_SESSION_BREAKDOWN_LIMIT, (not explained by sessions) mostly use in IDE and terminal; "
    "it can be below 0 for a while. Of everybody, whatever organization is chosen."
)
_by_acus = TableSortByFieldState().display_name("ACUs").desc(True)  # noqa: FBT003
_HIDDEN = "with DEVIN_USER_METRICS hash or off there is none"


def _repositories(values: str) -> str:
    return f.spelt_out(values, "repository", "(no pull request)")


def _tags(values: str) -> str:
    return f.spelt_out(values, "tag", "(no tag)")


REPOSITORIES = table_panel(
    "Top repositories",
    "ACUs of the running billing cycle by repository of the sessions' pull requests; those of a "
    "session with several are split evenly. Pull requests are those of sessions created in this "
    "cycle, and the merge rate the merged among them. Cost is that of a merged one at the price as "
    f"last known. {_ALL_ROWS} Not published: {_HIDDEN}.",
    rows(_repositories(f.REPOSITORIES)),
    rows(f.share_of_named(f.REPOSITORIES, "repository")),
    rows(_repositories(f.PULL_REQUESTS)),
    rows(_repositories(f"{f.MERGED} / on (repository) ({f.PULL_REQUESTS} > 0)")),
    rows(q.cost_of_sessions(f.PER_MERGED)),
    columns={
        "repository": wide_column("Repository", 200),
        "Value #A": number_column("ACUs", 80),
        "Value #B": bar_column("Of all ACUs", 115, unit="percentunit", decimals=1),
        "Value #C": number_column("Pull requests", 105),
        "Value #D": number_column("Merged", 75, unit="percentunit"),
        "Value #E": number_column("A merged one, $currency", 170, unit="none", decimals=2),
    },
    empty=("repository", "no use by repository is known", f.REPOSITORIES),
    width=16,
    height=13,
).sort_by([_by_acus])

TAGS = table_panel(
    "Top tags",
    "ACUs of the running billing cycle by tag of the sessions; those of a session with several are "
    f"split evenly. {_ALL_ROWS} Not published: {_HIDDEN}.",
    rows(_tags(f.TAGS)),
    rows(f.share_of_named(f.TAGS, "tag")),
    columns={
        "tag": wide_column("Tag", 150),
        "Value #A": number_column("ACUs", 80),
        "Value #B": bar_column("Of all ACUs", 125, unit="percentunit", decimals=1),
    },
    empty=("tag", "no use by tag is known", f.TAGS),
    width=8,
    height=13,
).sort_by([_by_acus])

_every_group = [
    f'label_replace({read}, "group", "(in no group)", "group", "")'
    for read in (f"group by (group) ({f.GROUPS['cycle']})", *f.GROUPS.values())
]
GROUPS = table_panel(
    "Groups",
    "ACUs by group of the identity provider, of the running billing cycle so far and of the whole "
    "cycle before. Groups overlap: a user in several counts in each, so do not add them up, unless "
    "DEVIN_OWNER_GROUPS gives everybody one. Of everybody, whatever organization is chosen.",
    *(rows(read) for read in _every_group),
    columns={
        "group": wide_column("Group (may overlap)", 170),
        "Value #B": number_column("ACUs", 90),
        "Value #C": number_column("Last cycle", 100),
    },
    empty=("group", "no group is known", f.GROUPS["cycle"]),
    width=10,
    height=9,
).sort_by([_by_acus])
