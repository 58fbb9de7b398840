"""The queries that are ready in Prometheus' graph page, as links."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode

from deploy.demo.web import get

DAYS = 30
ANY_INSTANCE = "max without (instance, pod, endpoint)"
DAY_ENDS_AT = timedelta(hours=8)
KNOWN_AFTER = timedelta(minutes=15)
"""A day's figure is there some minutes after the day's end."""

BY_DAY = (
    f"sum by (product) ({ANY_INSTANCE} "
    "(last_over_time(devin_consumption_yesterday_acus[23h50m] offset -47h59m)))"
)
"""Of the billing day that starts at the evaluation time, which has to be 08:00 UTC."""

# Recorded by the rules, without the product; a new day counts once they have in any case.
_OF_USERS = (
    "sum_over_time(last_over_time(user:devin_consumption_yesterday_acus:sum[23h50m] "
    f"offset -31h59m)[{DAYS - 1}d23h59m59s:1d] offset 8h40m)"
)
_NAMES = (
    "group by (user_id, user_name) (topk by (user_id) (1, count_over_time(devin_user_info[2h])))"
)
BY_USER = (
    f"sort_desc({_OF_USERS} * on (user_id) group_left (user_name) {_NAMES} "
    f"or on (user_id) {_OF_USERS})"
)
"""Of the last complete billing days, at any time; who has no name is there without one."""

QUEUE_SIZE = f"{ANY_INSTANCE} (devin_queue_size)"
QUEUE_STATUS = f"{ANY_INSTANCE} (devin_queue_status) == 1"

GRAPH, TABLE = "0", "1"
GRAPH_PAGES = {"/graph": 'id="root"', "/classic/graph": 'id="graph_container"'}
"""Where Prometheus' own page is, and what it holds where the server was built with it.

2.x has it at the first path and 3.x forwards from there. Debian's has an older one, or none.
"""
OWN_PAGE = "/user/graph.html"


@dataclass(frozen=True, slots=True)
class Link:
    """An address with its name."""

    name: str
    url: str


def graph_page(prometheus: str) -> str:
    """The path of the page that shows queries of this server."""
    for path, holds in GRAPH_PAGES.items():
        page = get(f"{prometheus}{path}")
        if page is not None and holds in page.body:
            return path
    return OWN_PAGE


def links(page: str, *, now: datetime) -> Iterator[Link]:
    """The queries on a graph page."""
    newest_day = _start_of_newest_day(now)
    by_day = {
        "expr": BY_DAY,
        "tab": GRAPH,
        "stacked": "1",
        "range_input": f"{DAYS - 1}d",  # both ends are shown
        "end_input": f"{newest_day:%Y-%m-%d %H:%M}",
        "step_input": "86400",
    }
    yield Link("ACUs by day", _link(page, by_day))
    yield Link("ACUs by user", _link(page, {"expr": BY_USER, "tab": TABLE}))
    size = {"expr": QUEUE_SIZE, "tab": GRAPH, "range_input": "15m"}
    yield Link("Queue", _link(page, size, {"expr": QUEUE_STATUS, "tab": TABLE}))


def _link(page: str, *panels: dict[str, str]) -> str:
    parameters = {
        f"g{number}.{name}": value
        for number, panel in enumerate(panels)
        for name, value in panel.items()
    }
    return f"{page}?{urlencode(parameters, quote_via=quote, safe='')}"


def _start_of_newest_day(now: datetime) -> datetime:
    """When the newest billing day began whose figure is there."""
    known = now.astimezone(UTC) - DAY_ENDS_AT - KNOWN_AFTER
    midnight = known.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + DAY_ENDS_AT - timedelta(days=1)
