"""The simulated AIone gateway: use by team and day, its dashboard, billing and keys. Pure.

Days are UTC days. All sums of a response are made from the same figures by team and day.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Protocol

from exporter.demo.people import DAY

Record = Mapping[str, object]

TEAMS = ("Payments", "Platform", "Mobile", "Data", "Search", "Security", "Growth", "Labs")
MODELS = (("qwen-max", 0.4), ("deepseek-chat", 0.3), ("glm-4", 0.2), ("doubao-pro", 0.1))
MONTHLY_BUDGET_RMB = 420
KEYS_PER_TEAM = 2
SECRET_KEYS_BEGIN = "sk-nex-"  # noqa: S105 - a beginning, not a secret
TIGHT_ABOVE_PERCENT = 85
DEGRADED_MINUTES = range(42, 47)
FRESH_EVERY_SECONDS = 300
CHARACTERS_PER_CONVERSATION = 2_600


class Chance(Protocol):
    """Returns a number in [0, 1) that depends on the keys only."""

    def __call__(self, *keys: int) -> float:
        """Return the number."""
        ...


@dataclass(frozen=True, slots=True)
class TeamDay:
    """The use of one team on one day."""

    team: int
    day: int
    requests: int
    conversations: int
    prompt: int
    completion: int
    cached: int

    @property
    def tokens(self) -> int:
        """The number of all tokens."""
        return self.prompt + self.completion + self.cached

    @property
    def cost(self) -> Decimal:
        """The cost in RMB, rounded to cents."""
        micro_rmb = 4 * self.prompt + 12 * self.completion + self.cached
        return (Decimal(micro_rmb) / 1_000_000).quantize(Decimal("0.01"))


class Gateway:
    """The simulated gateway at any moment."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance

    def team_days(self, days: range, now: float) -> list[TeamDay]:
        """The use of every team on these days, until `now`."""
        return [self._team_day(team, day, now) for day in days for team in range(len(TEAMS))]

    def dashboard(self, range_days: int, now: float) -> Record:
        """`/api/v1/obs/dashboard`."""
        today = int(now) // DAY
        used = self.team_days(range(today - range_days + 1, today + 1), now)
        trend = self._trend(used)
        cost = _money(sum((each.cost for each in used), Decimal()))
        return {
            "view_mode": "tech",
            "data_freshness": _local(int(now) // FRESH_EVERY_SECONDS * FRESH_EVERY_SECONDS),
            "tech": {**self._tech(used, now), "total_cost_rmb": cost, "daily_trend": trend},
            "business": {**self._business(used, now), "total_cost_rmb": cost, "daily_trend": trend},
        }

    def plan(self, now: float) -> Record:
        """`/api/v1/billing/plan`."""
        spent = self._spent(now)
        return {
            "id": "00000000-0000-4000-8000-0000000000aa",
            "name": "team",
            "balance_rmb": _money(Decimal(1_000) - spent),
            "budget_rmb": _money(Decimal(MONTHLY_BUDGET_RMB)),
            "budget_left_rmb": _money(MONTHLY_BUDGET_RMB - spent),
        }

    def invoices(self, now: float) -> list[Record]:
        """`/api/v1/billing/invoices`: one for each of the last twelve complete months."""
        rows: list[Record] = []
        end = datetime.fromtimestamp(now, UTC).replace(day=1, hour=0, minute=0, second=0)
        for number in range(12):
            start = (end - timedelta(days=1)).replace(day=1)
            days = range(int(start.timestamp()) // DAY, int(end.timestamp()) // DAY)
            used = self.team_days(days, now)
            rows.append(
                {
                    "id": f"inv-{start:%Y-%m}",
                    "billing_period": f"{start:%Y-%m}",
                    "amount_rmb": _money(sum((each.cost for each in used), Decimal())),
                    "status": "open" if number == 0 else "paid",
                }
            )
            end = start
        return rows

    def keys(self) -> Record:
        """`/api/v1/gateway/keys`: two of each team, and one of none."""
        rows: list[Record] = [
            {
                "id": f"00000000-0000-4000-8000-{number:012x}",
                "org_id": "00000000-0000-4000-8000-0000000000ff",
                "team_id": None if number == KEYS_PER_TEAM * len(TEAMS) else self.team_id(team),
                "name": f"key {number}",
                "key": f"{SECRET_KEYS_BEGIN}{self._chance(89, number):.16f}",
                "key_prefix": f"{SECRET_KEYS_BEGIN}{number:04}",
                "models_allowed": [model for model, _ in MODELS],
                "rpm_limit": 60 * (1 + team),
                "tpm_limit": 100_000,
            }
            for number, team in enumerate(
                [team for team in range(len(TEAMS)) for _ in range(KEYS_PER_TEAM)] + [0]
            )
        ]
        return {"items": rows, "total": len(rows)}

    def team_id(self, team: int) -> str:
        """The id of a team, a UUID."""
        return f"{int(self._chance(80, team) * 2**32):08x}-0000-4000-8000-{team:012x}"

    def _team_day(self, team: int, day: int, now: float) -> TeamDay:
        chance = self._chance
        weekend = (day + 3) % 7 >= 5  # noqa: PLR2004 - Saturday and Sunday
        size = 60 + 500 * chance(81, team) ** 2
        gone = min(1.0, max(0.0, (now - day * DAY) / DAY))
        requests = int(size * (0.15 if weekend else 1) * (0.7 + 0.6 * chance(82, team, day)) * gone)
        return TeamDay(
            team=team,
            day=day,
            requests=requests,
            conversations=requests // 3,
            prompt=int(requests * (1_500 + 600 * chance(83, team))),
            completion=int(requests * (350 + 200 * chance(84, team))),
            cached=requests * 90,
        )

    def _tech(self, used: Sequence[TeamDay], now: float) -> dict[str, object]:
        requests, tokens = sum(each.requests for each in used), sum(each.tokens for each in used)
        minute = int(now) // 60
        latency = 700 + 500 * self._chance(85, minute)
        return {
            "total_tokens": tokens,
            "prompt_tokens": sum(each.prompt for each in used),
            "completion_tokens": sum(each.completion for each in used),
            "total_requests": requests,
            "avg_latency_ms": round(latency, 1),
            "p99_latency_ms": round(latency * (3 + self._chance(86, minute)), 1),
            "error_rate_pct": f"{0.2 + 1.5 * self._chance(87, minute // 60):.2f}",
            "rpm_usage_pct": f"{self._rpm_percent(now):.1f}%",
            "model_distribution": _shared_out(requests, tokens),
        }

    def _business(self, used: Sequence[TeamDay], now: float) -> dict[str, object]:
        conversations = sum(each.conversations for each in used)
        degraded = int(now) // 60 % 180 in DEGRADED_MINUTES
        return {
            "total_chars_wan": conversations * CHARACTERS_PER_CONVERSATION / 10_000,
            "total_conversations": conversations,
            "budget_progress_pct": f"{self._budget_percent(now):.2f}",
            "capacity_status": "tight"
            if self._rpm_percent(now) > TIGHT_ABOVE_PERCENT
            else "sufficient",
            "service_status": "degraded" if degraded else "normal",
            "team_cost_ranking": self._ranking(used),
        }

    def _rpm_percent(self, now: float) -> float:
        return 20 + 75 * self._chance(88, int(now) // 900)

    def _budget_percent(self, now: float) -> Decimal:
        return 100 * self._spent(now) / MONTHLY_BUDGET_RMB

    def _spent(self, now: float) -> Decimal:
        first = datetime.fromtimestamp(now, UTC).replace(day=1)
        days = range(int(first.timestamp()) // DAY, int(now) // DAY + 1)
        return sum((each.cost for each in self.team_days(days, now)), Decimal())

    def _ranking(self, used: Sequence[TeamDay]) -> list[Record]:
        costs = {
            team: sum((each.cost for each in used if each.team == team), Decimal())
            for team in range(len(TEAMS))
        }
        return [
            {
                "team_id": self.team_id(team),
                "team_name": TEAMS[team],
                "cost_rmb": _money(cost),
                "conversations": sum(each.conversations for each in used if each.team == team),
            }
            for team, cost in sorted(costs.items(), key=lambda item: -item[1])
        ]

    @staticmethod
    def _trend(used: Sequence[TeamDay]) -> list[Record]:
        rows: list[Record] = []
        for day in sorted({each.day for each in used}):
            of_day = [each for each in used if each.day == day]
            rows.append(
                {
                    "date": _local(day * DAY).partition(" ")[0],
                    "requests": sum(each.requests for each in of_day),
                    "tokens": sum(each.tokens for each in of_day),
                    "cost_rmb": _money(sum((each.cost for each in of_day), Decimal())),
                }
            )
        return rows


def _shared_out(requests: int, tokens: int) -> list[Record]:
    """Requests and tokens by model; the first model has the rest from rounding."""
    parts = [
        {"model": model, "requests": int(requests * share), "tokens": int(tokens * share)}
        for model, share in MODELS[1:]
    ]
    first = {
        "model": MODELS[0][0],
        "requests": requests - sum(int(requests * share) for _, share in MODELS[1:]),
        "tokens": tokens - sum(int(tokens * share) for _, share in MODELS[1:]),
    }
    return [first, *parts]


def _money(amount: Decimal) -> str:
    return f"{amount:,.2f}"


def _local(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}"
