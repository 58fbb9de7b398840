"""From a response of the gateway to samples. Pure."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TypeVar
from zoneinfo import ZoneInfo

from exporter.metrics import Metric, Sample
from exporter.sources.aione import metrics as m
from exporter.sources.aione.lenient import INVALID, Invalid, unreadable_fields
from exporter.sources.aione.models import Business, DashboardResponse, DayRow, Tech

R = TypeVar("R")
Figure = Decimal | Invalid | None
"""The value of a field: a number, `INVALID`, or None if it is missing."""

_TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})?"
)

USUAL_CAPACITY = "sufficient"
USUAL_SERVICE = "normal"
TREND = ("requests", "tokens", "cost_rmb")
TODAY = dict(zip(TREND, (m.TODAY_REQUESTS, m.TODAY_TOKENS, m.TODAY_COST), strict=True))
YESTERDAY = dict(
    zip(TREND, (m.YESTERDAY_REQUESTS, m.YESTERDAY_TOKENS, m.YESTERDAY_COST), strict=True)
)


class _Days:
    """The daily trend of a section; a day is invalid if two of its rows differ."""

    def __init__(self, rows: Sequence[DayRow | Invalid] | Invalid | None) -> None:
        listed = rows if isinstance(rows, tuple) else ()
        self._rows: dict[date, DayRow | Invalid] = {}
        for row in listed:
            if isinstance(row, DayRow):
                self._rows[row.date] = row if self._rows.get(row.date, row) == row else INVALID
        # An invalid row may be that of any missing day.
        self._elsewhere = INVALID if INVALID in (rows, *listed) else None

    @property
    def contradictions(self) -> int:
        """The number of invalid days."""
        return list(self._rows.values()).count(INVALID)

    def figure(self, day: date, field: str) -> Figure:
        """One figure of a day; None if the trend does not have it."""
        row = self._rows.get(day, self._elsewhere)
        if not isinstance(row, DayRow):
            return row
        return {"requests": row.requests, "tokens": row.tokens, "cost_rmb": row.cost_rmb}[field]


class Dashboard:
    """A response; missing sections are empty."""

    def __init__(self, response: DashboardResponse, zone: ZoneInfo) -> None:
        self._response = response
        self._zone = zone
        self._tech = response.tech if isinstance(response.tech, Tech) else Tech()
        self._business = (
            response.business if isinstance(response.business, Business) else Business()
        )
        lost = response.tech is INVALID
        self._costs = (
            INVALID if lost else self._tech.total_cost_rmb,
            self._business.total_cost_rmb,
        )
        self._trends = {
            "tech": _Days(INVALID if lost else self._tech.daily_trend),
            "business": _Days(self._business.daily_trend),
        }

    def unreadable(self) -> list[str]:
        """The field path of every invalid value, as often as it occurs."""
        fields = list(unreadable_fields(self._response))
        for section, days in self._trends.items():
            fields += [f"{section}.daily_trend"] * days.contradictions
        if isinstance(self._response.data_freshness, str) and self._fresh_at() is None:
            fields.append("data_freshness")
        return sorted(fields)

    def samples(self) -> Iterator[Sample]:
        """The samples that do not depend on the current day."""
        tech, business = self._tech, self._business
        single: tuple[tuple[Metric, Figure], ...] = (
            (m.REQUESTS, tech.total_requests),
            (m.COST, _first_reported(*self._costs)),
            (m.LATENCY_AVERAGE, tech.avg_latency_ms),
            (m.LATENCY_P99, tech.p99_latency_ms),
            (m.ERROR_RATIO, tech.error_rate_pct),
            (m.RPM_USAGE, tech.rpm_usage_pct),
            (m.CONVERSATIONS, business.total_conversations),
            (m.CHARACTERS, business.total_chars_wan),
            (m.BUDGET_PROGRESS, business.budget_progress_pct),
        )
        for metric, figure in single:
            if isinstance(figure, Decimal):
                yield metric(float(figure))
        yield from _tokens(tech)
        yield from _models(tech)
        yield from _teams(business)
        yield from _status(m.CAPACITY_STATUS, USUAL_CAPACITY, business.capacity_status)
        yield from _status(m.SERVICE_STATUS, USUAL_SERVICE, business.service_status)
        fresh_at = self._fresh_at()
        if fresh_at is not None:
            yield m.DATA_TIMESTAMP(fresh_at)

    def samples_of_day(self, today: date) -> Iterator[Sample]:
        """The samples of a day and the day before."""
        for day, families in ((today, TODAY), (today - timedelta(days=1), YESTERDAY)):
            for field, metric in families.items():
                figure = _first_reported(
                    *(days.figure(day, field) for days in self._trends.values())
                )
                if isinstance(figure, Decimal):
                    yield metric(float(figure))

    def _fresh_at(self) -> float | None:
        freshness = self._response.data_freshness
        if not isinstance(freshness, str) or not _TIMESTAMP.fullmatch(freshness):
            return None
        try:
            at = datetime.fromisoformat(freshness.upper())
            seconds = (at if at.tzinfo else at.replace(tzinfo=self._zone)).timestamp()
        except (ValueError, OverflowError):
            return None
        return seconds if seconds > 0 else None


def _first_reported(*figures: Figure) -> Figure:
    """The first that is not missing, so that no other section replaces an invalid value."""
    return next((figure for figure in figures if figure is not None), None)


def _added(figures: Iterable[Figure]) -> Decimal | None:
    """The sum; None unless every part is known."""
    total = Decimal()
    for figure in figures:
        if not isinstance(figure, Decimal):
            return None
        total += figure
    return total


def _tokens(tech: Tech) -> Iterator[Sample]:
    """Tokens by type, if the types add up to the total."""
    total, prompt, completion = tech.total_tokens, tech.prompt_tokens, tech.completion_tokens
    if INVALID in (total, prompt, completion):
        return
    parts = {
        kind: count
        for kind, count in (("prompt", prompt), ("completion", completion))
        if isinstance(count, Decimal)
    }
    if isinstance(total, Decimal):
        parts["other"] = total - sum(parts.values(), Decimal())
    elif len(parts) < 2:  # noqa: PLR2004 - one of the two is no total
        return
    for kind, count in parts.items():
        yield m.TOKENS(float(count), type=kind)


def _by_key(
    rows: Sequence[R | Invalid] | Invalid | None, key: Callable[[R], str]
) -> Iterator[tuple[str, list[R]]]:
    """The rows of each model or team, ordered by key."""
    grouped: defaultdict[str, list[R]] = defaultdict(list)
    for row in rows if isinstance(rows, tuple) else ():
        if not isinstance(row, Invalid):
            grouped[key(row)].append(row)
    yield from sorted(grouped.items())


def _sum_of(metric: Metric, figures: Iterable[Figure], **labels: str) -> Iterator[Sample]:
    """The sum of the rows of a model or team, if every part is known."""
    total = _added(figures)
    if total is not None:
        yield metric(float(total), **labels)


def _models(tech: Tech) -> Iterator[Sample]:
    for model, rows in _by_key(tech.model_distribution, lambda row: row.model):
        yield from _sum_of(m.MODEL_REQUESTS, (row.requests for row in rows), model=model)
        yield from _sum_of(m.MODEL_TOKENS, (row.tokens for row in rows), model=model)


def _teams(business: Business) -> Iterator[Sample]:
    for team_id, rows in _by_key(business.team_cost_ranking, lambda row: row.team_id):
        conversations = (row.conversations for row in rows)
        yield from _sum_of(m.TEAM_COST, (row.cost_rmb for row in rows), team_id=team_id)
        yield from _sum_of(m.TEAM_CONVERSATIONS, conversations, team_id=team_id)
        name = next((row.team_name for row in rows if isinstance(row.team_name, str)), None)
        if name is not None:
            yield m.TEAM_INFO(1, team_id=team_id, team_name=name)


def _status(metric: Metric, usual: str, present: str | Invalid | None) -> Iterator[Sample]:
    if isinstance(present, str):
        for status in dict.fromkeys((usual, present)):
            yield metric(1 if status == present else 0, status=status)


def day_of(at: float, zone: ZoneInfo) -> date:
    """The calendar day of a moment (Unix seconds)."""
    return datetime.fromtimestamp(at, UTC).astimezone(zone).date()


def next_midnight(at: float, zone: ZoneInfo) -> float:
    """When the day of a moment ends (both Unix seconds)."""
    tomorrow = day_of(at, zone) + timedelta(days=1)
    return datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=zone).timestamp()
