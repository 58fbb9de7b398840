"""The response models of `GET /api/v1/obs/dashboard?range_days=N`.

Each section and each field may be missing or null, whatever `view_mode` says.
"""

from exporter.client.models import ResponseModel
from exporter.sources.aione.lenient import (
    Characters,
    Count,
    Day,
    Lenient,
    Money,
    Name,
    Ratio,
    Rows,
    Seconds,
    Share,
    Text,
    Word,
)


class ModelRow(ResponseModel):
    """The use of one model."""

    model: Word
    requests: Lenient[Count] = None
    tokens: Lenient[Count] = None


class TeamRow(ResponseModel):
    """The cost and use of one team."""

    team_id: Text
    team_name: Lenient[Name] = None
    cost_rmb: Lenient[Money] = None
    conversations: Lenient[Count] = None


class DayRow(ResponseModel):
    """The figures of one calendar day."""

    date: Day
    requests: Lenient[Count] = None
    tokens: Lenient[Count] = None
    cost_rmb: Lenient[Money] = None


class Tech(ResponseModel):
    """The section on technical figures."""

    total_tokens: Lenient[Count] = None
    prompt_tokens: Lenient[Count] = None
    completion_tokens: Lenient[Count] = None
    total_requests: Lenient[Count] = None
    total_cost_rmb: Lenient[Money] = None
    avg_latency_ms: Lenient[Seconds] = None
    p99_latency_ms: Lenient[Seconds] = None
    error_rate_pct: Lenient[Share] = None
    rpm_usage_pct: Lenient[Ratio] = None
    model_distribution: Lenient[Rows[ModelRow]] = None
    daily_trend: Lenient[Rows[DayRow]] = None


class Business(ResponseModel):
    """The section on business figures."""

    total_chars_wan: Lenient[Characters] = None
    total_conversations: Lenient[Count] = None
    total_cost_rmb: Lenient[Money] = None
    budget_progress_pct: Lenient[Ratio] = None
    capacity_status: Lenient[Word] = None
    service_status: Lenient[Word] = None
    team_cost_ranking: Lenient[Rows[TeamRow]] = None
    daily_trend: Lenient[Rows[DayRow]] = None


class DashboardResponse(ResponseModel):
    """The whole response."""

    tech: Lenient[Tech] = None
    business: Lenient[Business] = None
    data_freshness: Lenient[Text] = None
