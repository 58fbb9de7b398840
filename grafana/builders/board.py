"""What stands around the panels of every dashboard: variables, links, alerts, layout, identity."""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.builders.dashboard import Row
from grafana_foundation_sdk.models import dashboard as model

from grafana.builders.colours import VERMILION
from grafana.builders.panels import Panel
from grafana.builders.queries import DATASOURCE
from grafana.builders.variables import (
    DATASOURCE_VARIABLE,
    FOLLOWING,
    JOB_VARIABLE,
    PRESENT_VARIABLES,
    Variable,
)

TAG = "devin-exporter"
BILLING_TIMEZONE = "Etc/GMT+8"
"""UTC-8 without daylight saving: its days are the vendor's billing days."""
BOARDS = {
    "devin-overview": "Overview",
    "devin-cost": "Cost",
    "devin-teams": "Teams",
    "devin-monthly-report": "Monthly report",
    "devin-ai-spend": "AI spend",
    "devin-adoption": "Adoption",
    "devin-people": "People",
    "devin-queue-and-sessions": "Queue and sessions",
    "devin-exporter": "Exporter",
}
"""Titles by identity, which never changes, as links and bookmarks have it."""
COLUMNS = 24


@dataclass(frozen=True, slots=True)
class Stack:
    """Panels one beneath the other, beside what is as high as all of them."""

    panels: Sequence[Panel]


Item = Panel | Stack
Section = tuple[str, Sequence[Item]]
"""A row's title and what stands in it, from left to right and from top to bottom."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A dashboard before it is laid out."""

    uid: str
    about: str
    variables: Sequence[Variable]
    sections: Sequence[Section]
    range: str = "now-30d"
    refresh: str = "5m"
    alerts: dict[str, Sequence[str]] = field(default_factory=dict)
    """Whose start is marked: patterns of alerts' names, and on which panels."""
    fixed_variables: bool = False
    """Whether data source and job are taken from where one comes from, not shown."""

    @property
    def title(self) -> str:
        """As it stands in the links."""
        return BOARDS[self.uid]

    def build(self) -> model.Dashboard:
        """Lay it out."""
        board = (
            dashboard.Dashboard(self.title)
            .uid(self.uid)
            .description(self.about)
            .tags([TAG])
            .timezone(BILLING_TIMEZONE)
            .week_start("monday")
            .time(self.range, "now")
            .refresh(self.refresh)
            .tooltip(model.DashboardCursorSync.CROSSHAIR)
            .variables([DATASOURCE_VARIABLE, JOB_VARIABLE, *PRESENT_VARIABLES, *self.variables])
        )
        board = board.link(_links())
        built = board.build()
        built.panels = [*_laid_out(self.sections)]
        _finish_variables(built, hidden=self.fixed_variables)
        _place(built.panels, self.sections)
        ids = {str(panel.title): number for number, panel in _numbered(built)}
        built.annotations = model.AnnotationContainer(
            list_val=[
                _alert_starts(pattern, [ids[title] for title in titles])
                for pattern, titles in self.alerts.items()
            ]
        )
        return built


def _laid_out(sections: Sequence[Section]) -> Iterator[model.Panel | model.RowPanel]:
    """Rows' titles and panels in their order; copies, as a board may be built again."""
    for title, items in sections:
        if title:
            yield Row(title).build()
        for item in items:
            for panel in item.panels if isinstance(item, Stack) else [item]:
                yield deepcopy(panel.build())


def _finish_variables(built: model.Dashboard, *, hidden: bool) -> None:
    built.templating.list_val = deepcopy(built.templating.list_val)  # others have them, too
    for variable in built.templating.list_val or ():
        # It follows from the others: a bookmark must not bring back what it once was.
        variable.skip_url_sync = variable.name in FOLLOWING
        if hidden and variable.name in {"datasource", "job"}:
            variable.hide = model.VariableHide.HIDE_VARIABLE


def _numbered(built: model.Dashboard) -> Iterator[tuple[int, model.Panel]]:
    for number, panel in enumerate(built.panels or (), start=1):
        panel.id_val = number
        if isinstance(panel, model.Panel):
            yield number, panel


def _place(laid_out: Sequence[model.Panel | model.RowPanel], sections: Sequence[Section]) -> None:
    """Give each panel its place: lines of items, each line as high as its first item."""
    panels = iter(laid_out)
    top = 0
    for title, items in sections:
        if title:
            row = next(panels)
            row.grid_pos = model.GridPos(h=1, w=COLUMNS, x=0, y=top)
            top += 1
        left = height = 0
        for item in items:
            stacked = [next(panels) for _ in (item.panels if isinstance(item, Stack) else [item])]
            places = [_grid(panel) for panel in stacked]
            if left + places[0].w > COLUMNS:
                left, top = 0, top + height
            for place, above in zip(places, _above(places), strict=True):
                place.x, place.y = left, top + above
            left += places[0].w
            height = sum(place.h for place in places)
        top += height


def _grid(panel: model.Panel | model.RowPanel) -> model.GridPos:
    if panel.grid_pos is None:
        raise ValueError(f"{panel.title} has no size")
    return panel.grid_pos


def _above(places: Sequence[model.GridPos]) -> Iterator[int]:
    high = 0
    for place in places:
        yield high
        high += place.h


def _links() -> dashboard.DashboardLink:
    return (
        dashboard.DashboardLink("Devin")
        .type(model.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(True)  # noqa: FBT003 - the library's signature
        .include_vars(True)  # noqa: FBT003 - the library's signature
        .keep_time(True)  # noqa: FBT003 - the same
    )


class _OfPrometheus(model.AnnotationQuery):
    """An annotation with the fields that are the data source's own: what its mark says."""

    def to_json(self) -> dict[str, object]:
        """As it stands in the dashboard."""
        return super().to_json() | {"titleFormat": "{{alertname}}", "tagKeys": "severity"}


def _alert_starts(pattern: str, panels: Sequence[int]) -> model.AnnotationQuery:
    return _OfPrometheus(
        name=f"Alerts: {pattern}",
        datasource=DATASOURCE,
        enable=True,
        hide=True,
        icon_color=VERMILION,
        filter_val=model.AnnotationPanelFilter(ids=[*panels]),
        expr="max by (alertname, severity) "
        f'(ALERTS{{alertstate="firing", alertname=~"{pattern}", job=~"$job|"}})',
    )
