"""What the exporter's board says of the sources beside Devin's v3 API."""

from grafana.builders.panels import ENTERPRISE_ONLY
from grafana.builders.queries import rows
from grafana.builders.tables import number_column, table_panel, wide_column
from grafana.expressions import promql as q

_FIGURES = (
    ("Sessions", "devin_sessions_created_cycle", "devin_v2_sessions_cycle", ""),
    ("Searches", "devin_searches_cycle", "devin_v2_searches_cycle", ""),
    ("Pull requests opened", "devin_prs_created_cycle", "devin_v2_prs_cycle", "opened"),
    ("Pull requests merged", "devin_prs_merged_cycle", "devin_v2_prs_cycle", "merged"),
    ("Pull requests closed", "devin_prs_closed_cycle", "devin_v2_prs_cycle", "closed"),
)
"""What it is called, in v3, in v2, and its state there."""


def _row(figure: str, metric: str, state: str = "") -> str:
    matchers = f'{q.JOB}, state="{state}"' if state else q.JOB
    return f'label_replace(max({q.latest(metric, matchers)}), "figure", "{figure}", "", "")'


_V3 = " or ".join(_row(figure, v3) for figure, v3, _, _ in _FIGURES)
_V2 = " or ".join(_row(figure, v2, state) for figure, _, v2, state in _FIGURES)

TWO_COUNTS = table_panel(
    "The cycle as v3 and v2 count it",
    "The same running billing cycle, as both of Devin's APIs count it; what happens between two "
    "polls is in one of them first. v2 counts the pull requests opened in the cycle, whatever has "
    "become of them: beside it stands v3's devin_prs_created_cycle, not devin_prs_open_cycle, "
    "which counts those open now. v3's merged and closed ones are of those opened in the cycle; "
    "v2 does not say whether its are, and is higher where it counts older ones, too. v2 has "
    "complete states from the GitHub app alone, and takes over those of an on-premise GitLab once "
    "a day. For sessions and searches no difference is documented. v2 is deprecated: when it is "
    "gone its task goes off, and its column is empty. "
    f"{ENTERPRISE_ONLY}",
    rows(_V3),
    rows(_V2),
    rows(f"({_V2}) - on (figure) ({_V3})"),
    columns={
        "figure": wide_column("Figure", 200),
        "Value #A": number_column("v3", 120),
        "Value #B": number_column("v2 (DEVIN_V2_API_KEY)", 200),
        "Value #C": number_column("v2 less v3", 120),
    },
    width=14,
    height=8,
    empty=("figure", "no figure of the enterprise is known", f"{_V3} or {_V2}"),
)

_unreadable = f"max by (field) ({q.latest('aione_unreadable_values')})"
INVALID = table_panel(
    "Gateway: unreadable values",
    "Values of the AIone gateway's last response that are there and cannot be read, by their place "
    "in it. They are absent from the figures, and so is what would be made of them.",
    rows(_unreadable),
    columns={
        "field": wide_column("Place in the response", 250),
        "Value #A": number_column("Values", 100),
    },
    empty=("field", "no such value is known", _unreadable),
    width=10,
    height=8,
)
