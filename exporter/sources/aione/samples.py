"""From an answer of the gateway to what is published of it. Pure."""

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
from exporter.sources.aione.models import Business, DashboardAnswer, DayRow, Tech

R = TypeVar("R")
Figure = Decimal | Invalid | None
"""What a field tells: a number, something unreadable, or nothing."""

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
    """A trend by day; a day is unreadable where two of its rows contradict each other."""

    def __init__(self, rows: Sequence[DayRow | Invalid] | Invalid | None) -> None:
        listed = rows if isinstance(rows, tuple) else ()
        self._rows: dict[date, DayRow | Invalid] = {}
        for row in listed:
            if isinstance(row, DayRow):
                self._rows[row.date] = row if self._rows.get(row.date, row) == row else INVALID
        # What cannot be read may have been of any day that is not there.
        self._elsewhere = INVALID if INVALID in (rows, *listed) else None

    @property
    def contradictions(self) -> int:
        """Days that are unreadable."""
        return list(self._rows.values()).count(INVALID)

    def figure(self, day: date, field: str) -> Figure:
        """One of the figures of a day."""
        row = self._rows.get(day, self._elsewhere)
        if not isinstance(row, DayRow):
            return row
        return {"requests": row.requests, "tokens": row.tokens, "cost_rmb": row.cost_rmb}[field]


class Figures:
    """An answer, its sections empty where they are not there."""

    def __init__(self, answer: DashboardAnswer, zone: ZoneInfo) -> None:
        self._answer = answer
        self._zone = zone
        self._tech = answer.tech if isinstance(answer.tech, Tech) else Tech()
        self._business = answer.business if isinstance(answer.business, Business) else Business()
        lost = answer.tech is INVALID
        self._costs = (
            INVALID if lost else self._tech.total_cost_rmb,
            self._business.total_cost_rmb,
        )
        self._trends = {
            "tech": _Days(INVALID if lost else self._tech.daily_trend),
            "business": _Days(self._business.daily_trend),
        }

    def unreadable(self) -> list[str]:
        """The place of every value that makes no sense, as often as it occurs."""
        fields = list(unreadable_fields(self._answer))
        for section, days in self._trends.items():
            fields += [f"{section}.daily_trend"] * days.contradictions
        if isinstance(self._answer.data_freshness, str) and self._fresh_at() is None:
            fields.append("data_freshness")
        return sorted(fields)

    def samples(self) -> Iterator[Sample]:
        """Everything that does not depend on the day."""
        tech, business = self._tech, self._business
        single: tuple[tuple[Metric, Figure], ...] = (
            (m.REQUESTS, tech.total_requests),
            (m.COST, _first_told(*self._costs)),
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
        fields = self.unreadable()
        for field in dict.fromkeys(fields):
            yield m.INVALID(fields.count(field), field=field)

    def samples_of_day(self, today: date) -> Iterator[Sample]:
        """The figures of a day and of the one before."""
        for day, families in ((today, TODAY), (today - timedelta(days=1), YESTERDAY)):
            for field, metric in families.items():
                figure = _first_told(*(days.figure(day, field) for days in self._trends.values()))
                if isinstance(figure, Decimal):
                    yield metric(float(figure))

    def _fresh_at(self) -> float | None:
        told = self._answer.data_freshness
        if not isinstance(told, str) or not _TIMESTAMP.fullmatch(told):
            return None
        try:
            at = datetime.fromisoformat(told.upper())
            seconds = (at if at.tzinfo else at.replace(tzinfo=self._zone)).timestamp()
        except (ValueError, OverflowError):
            return None
        return seconds if seconds > 0 else None


def _first_told(*figures: Figure) -> Figure:
    """The first that is told at all, so that what is unreadable is not replaced by another's."""
    return next((figure for figure in figures if figure is not None), None)


def _added(figures: Iterable[Figure]) -> Decimal | None:
    """The sum, as far as every part of it is known."""
    total = Decimal()
    for figure in figures:
        if not isinstance(figure, Decimal):
            return None
        total += figure
    return total


def _tokens(tech: Tech) -> Iterator[Sample]:
    """By type, as long as the types add up to the total."""
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
    """The rows of each model or team, in the order of their keys."""
    grouped: defaultdict[str, list[R]] = defaultdict(list)
    for row in rows if isinstance(rows, tuple) else ():
        if not isinstance(row, Invalid):
            grouped[key(row)].append(row)
    yield from sorted(grouped.items())


def _sum_of(metric: Metric, figures: Iterable[Figure], **labels: str) -> Iterator[Sample]:
    """The sum of a model's or a team's rows, if every one of them is known."""
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
    """The calendar day that a moment (Unix seconds) lies in."""
    return datetime.fromtimestamp(at, UTC).astimezone(zone).date()


def next_midnight(at: float, zone: ZoneInfo) -> float:
    """When that day ends, in Unix seconds."""
    tomorrow = day_of(at, zone) + timedelta(days=1)
    return datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=zone).timestamp()
