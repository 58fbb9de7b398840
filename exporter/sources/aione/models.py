"""What the gateway answers: `GET /api/v1/obs/dashboard?range_days=N`.

Either section may be missing or null, whatever `view_mode` says, and so may each of their fields.
"""

from exporter.client.models import ApiModel
from exporter.sources.aione.lenient import (
    Characters,
    Count,
    Day,
    Money,
    Name,
    Ratio,
    Rows,
    Seconds,
    Share,
    Text,
    Told,
    Word,
)


class ModelRow(ApiModel):
    """What one model was used for."""

    model: Word
    requests: Told[Count] = None
    tokens: Told[Count] = None


class TeamRow(ApiModel):
    """What one team has cost."""

    team_id: Text
    team_name: Told[Name] = None
    cost_rmb: Told[Money] = None
    conversations: Told[Count] = None


class DayRow(ApiModel):
    """One calendar day."""

    date: Day
    requests: Told[Count] = None
    tokens: Told[Count] = None
    cost_rmb: Told[Money] = None


class Tech(ApiModel):
    """The section for engineers."""

    total_tokens: Told[Count] = None
    prompt_tokens: Told[Count] = None
    completion_tokens: Told[Count] = None
    total_requests: Told[Count] = None
    total_cost_rmb: Told[Money] = None
    avg_latency_ms: Told[Seconds] = None
    p99_latency_ms: Told[Seconds] = None
    error_rate_pct: Told[Share] = None
    rpm_usage_pct: Told[Ratio] = None
    model_distribution: Told[Rows[ModelRow]] = None
    daily_trend: Told[Rows[DayRow]] = None


class Business(ApiModel):
    """The section for those who pay."""

    total_chars_wan: Told[Characters] = None
    total_conversations: Told[Count] = None
    total_cost_rmb: Told[Money] = None
    budget_progress_pct: Told[Ratio] = None
    capacity_status: Told[Word] = None
    service_status: Told[Word] = None
    team_cost_ranking: Told[Rows[TeamRow]] = None
    daily_trend: Told[Rows[DayRow]] = None


class DashboardAnswer(ApiModel):
    """The whole answer."""

    tech: Told[Tech] = None
    business: Told[Business] = None
    data_freshness: Told[Text] = None
