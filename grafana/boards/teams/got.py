"""What did teams get for it: sessions, pull requests, and what a merged one cost."""

from grafana_foundation_sdk.builders.common import TableSortByFieldState

from grafana.boards.teams import figures as f
from grafana.boards.teams.chargeback import NOT_SCOPED
from grafana.builders.overrides import setting
from grafana.builders.queries import rows
from grafana.builders.tables import bar_column, number_column, table_panel, wide_column
from grafana.expressions import money

GOT = table_panel(
    "What teams got",
    "Sessions that were created in the running billing cycle by whoever is in the team, their pull "
    "requests, and the merged among them; the API does not list pull requests that were taken "
    "over by team. A merged one is what the team used in the cycle, in IDE and terminal too, by "
    f"its merged pull requests. {money.AT_ITS_PRICE} No merge rate is that of a team without pull "
    f"requests. {NOT_SCOPED}",
    rows(f.named(f.SESSIONS_OF_TEAMS)),
    rows(f.named(f.PULL_REQUESTS_OF_TEAMS)),
    rows(f.named(f.MERGED_OF_TEAMS)),
    rows(f.named(f.MERGE_RATE_OF_TEAMS)),
    rows(f.named(f.ACUS_PER_MERGED_OF_TEAMS)),
    rows(f.named(f.COST_PER_MERGED_OF_TEAMS)),
    columns={
        "team": wide_column("Team", 160),
        "Value #A": number_column("Sessions", 100),
        "Value #B": number_column("Pull requests", 120),
        "Value #C": number_column("Merged", 100),
        "Value #D": bar_column("Merge rate", 160, setting("max", 1), unit="percentunit"),
        "Value #E": number_column("A merged one, ACUs", 160, decimals=1),
        "Value #F": number_column("A merged one, $currency", 190, unit="none", decimals=2),
    },
    empty=("team", "no session is known by team", f.SESSIONS_OF_TEAMS),
    height=9,
).sort_by([TableSortByFieldState().display_name("Sessions").desc(True)])  # noqa: FBT003
