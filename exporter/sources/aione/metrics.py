"""The metrics of the gateway. Money is in RMB and must not be added to another currency."""

from exporter.metrics import Metric

_OVER = "over the days of aione_range_seconds"

RANGE = Metric("aione_range_seconds", "How far back the gateway's totals reach.")
DATA_TIMESTAMP = Metric(
    "aione_data_timestamp_seconds", "How fresh the gateway says its data is, in Unix seconds."
)
INVALID = Metric(
    "aione_unreadable_values",
    "Values of the last response that make no sense and are therefore absent, by their place in "
    "it.",
    ("field",),
)
TOKENS = Metric(
    "aione_tokens",
    f"Tokens {_OVER}; other is what the total holds beyond the known prompt and completion, "
    "and is negative where they exceed it: the types add up to the total.",
    ("type",),
)
REQUESTS = Metric("aione_requests", f"Requests {_OVER}.")
COST = Metric("aione_cost_rmb", f"Cost {_OVER}, in RMB.")
LATENCY_AVERAGE = Metric("aione_latency_average_seconds", f"Mean latency {_OVER}.")
LATENCY_P99 = Metric("aione_latency_p99_seconds", f"Latency of 99 in 100 requests {_OVER}.")
ERROR_RATIO = Metric("aione_error_ratio", f"Failed requests as a share of all {_OVER}.")
RPM_USAGE = Metric(
    "aione_rpm_usage_ratio", "Requests per minute as a share of the quota; above 1 it is exceeded."
)
MODEL_REQUESTS = Metric("aione_model_requests", f"Requests by model {_OVER}.", ("model",))
MODEL_TOKENS = Metric("aione_model_tokens", f"Tokens by model {_OVER}.", ("model",))
TODAY_REQUESTS = Metric("aione_today_requests", "Requests of the running day in AIONE_TIMEZONE.")
TODAY_TOKENS = Metric("aione_today_tokens", "Tokens of the running day in AIONE_TIMEZONE.")
TODAY_COST = Metric("aione_today_cost_rmb", "Cost of the running day in AIONE_TIMEZONE, in RMB.")
YESTERDAY_REQUESTS = Metric(
    "aione_yesterday_requests", "Requests of the last complete day in AIONE_TIMEZONE."
)
YESTERDAY_TOKENS = Metric(
    "aione_yesterday_tokens", "Tokens of the last complete day in AIONE_TIMEZONE."
)
YESTERDAY_COST = Metric(
    "aione_yesterday_cost_rmb", "Cost of the last complete day in AIONE_TIMEZONE, in RMB."
)
CONVERSATIONS = Metric("aione_conversations", f"Conversations {_OVER}.")
CHARACTERS = Metric("aione_characters", f"Characters {_OVER}.")
BUDGET_PROGRESS = Metric(
    "aione_budget_progress_ratio", "Share of the budget that is spent; above 1 it is exceeded."
)
CAPACITY_STATUS = Metric(
    "aione_capacity_status",
    "The gateway's judgement of its capacity: 1 for the present status, 0 for the usual one where "
    "that is another.",
    ("status",),
)
SERVICE_STATUS = Metric(
    "aione_service_status",
    "The gateway's judgement of its service: 1 for the present status, 0 for the usual one where "
    "that is another.",
    ("status",),
)
TEAM_COST = Metric("aione_team_cost_rmb", f"Cost by team {_OVER}, in RMB.", ("team_id",))
TEAM_CONVERSATIONS = Metric(
    "aione_team_conversations", f"Conversations by team {_OVER}.", ("team_id",)
)
TEAM_INFO = Metric("aione_team_info", "A team's name; 1.", ("team_id", "team_name"))

METRICS = (
    RANGE,
    DATA_TIMESTAMP,
    INVALID,
    TOKENS,
    REQUESTS,
    COST,
    LATENCY_AVERAGE,
    LATENCY_P99,
    ERROR_RATIO,
    RPM_USAGE,
    MODEL_REQUESTS,
    MODEL_TOKENS,
    TODAY_REQUESTS,
    TODAY_TOKENS,
    TODAY_COST,
    YESTERDAY_REQUESTS,
    YESTERDAY_TOKENS,
    YESTERDAY_COST,
    CONVERSATIONS,
    CHARACTERS,
    BUDGET_PROGRESS,
    CAPACITY_STATUS,
    SERVICE_STATUS,
    TEAM_COST,
    TEAM_CONVERSATIONS,
    TEAM_INFO,
)
