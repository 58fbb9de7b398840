"""Types of response fields. Their limits reject values that the API cannot mean."""

from typing import Annotated

from pydantic import Field

Timestamp = Annotated[int, Field(ge=0, lt=253_402_300_800_000)]
"""Unix seconds, or milliseconds if the value is large; no later than the year 9999."""

Acus = Annotated[float, Field(ge=-(10**12), le=10**12)]
"""ACUs; a restated day may hold a negative correction."""

Id = Annotated[str, Field(min_length=1)]
"""An entity's id."""
