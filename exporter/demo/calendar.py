"""When the billing days of the simulated enterprise start. Pure; moments are Unix seconds."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from zoneinfo import ZoneInfo

DAY = 86_400
DAY_START = 8 * 3_600
"""Billing days start at 08:00 UTC, as documented."""

DayStart = Literal["documented", "los-angeles"]


@dataclass(frozen=True, slots=True)
class Calendar:
    """Billing days by number, from 08:00 UTC or from midnight in Los Angeles."""

    day_start: DayStart = "documented"

    def start_of(self, day: int) -> int:
        """When a day starts."""
        if self.day_start == "documented":
            return day * DAY + DAY_START
        date = datetime.fromtimestamp(day * DAY, UTC)
        return int(date.replace(tzinfo=ZoneInfo("America/Los_Angeles")).timestamp())

    def end_of(self, day: int) -> float:
        """When a day ends."""
        return float(self.start_of(day + 1))

    def length_of(self, day: int) -> int:
        """The seconds of a day: 23 or 25 hours where the clocks are changed."""
        return self.start_of(day + 1) - self.start_of(day)

    def number(self, at: float) -> int:
        """The number of the day of a moment."""
        day = int(at - DAY_START) // DAY
        return day + 1 if self.start_of(day + 1) <= at else day


DOCUMENTED = Calendar()
