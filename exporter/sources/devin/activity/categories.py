"""Sessions and ACUs by category: `GET /v3/enterprise/metrics/sessions-by-category`.

There is one row per subcategory. The rest of a category has `subcategory=""`, so that the rows of a
category add up to its total. The rest also holds a subcategory that cannot be read.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Self

from pydantic import TypeAdapter, model_validator

from exporter.client.models import Acus, Count, Listing, ResponseModel, Rows
from exporter.exposition.text import Word
from exporter.metrics import Metric, Sample
from exporter.sources.devin.activity.windowed import Ids, metrics_endpoints, window_query

REMAINDER = ""
ROUNDING = 1e-9

SESSIONS = Metric(
    "devin_category_sessions_cycle",
    "Sessions created in the running billing cycle by what they were for.",
    ("category", "subcategory"),
)
ACUS = Metric(
    "devin_category_cycle_acus",
    "ACUs of the sessions created in the running billing cycle by what they were for.",
    ("category", "subcategory"),
)
METRICS = (SESSIONS, ACUS)


class Subcategory(ResponseModel):
    """A part of a category; labelled by its id, else by its name."""

    subcategory_id: str | None = None
    display_name: Word | None = None
    sessions_count: Count
    acus: Acus

    @model_validator(mode="after")
    def _has_a_label(self) -> Self:
        if not self.label:
            raise ValueError("a subcategory needs an id or a name")
        return self

    @property
    def label(self) -> str:
        """Its id, else its name."""
        return self.subcategory_id or self.display_name or REMAINDER


class Category(ResponseModel):
    """A category with its subcategories."""

    category: Word
    sessions_count: Count
    acus: Acus
    subcategories: Rows[Subcategory] | None = None


class Categories(ResponseModel):
    """The field read of the endpoint."""

    categories: Rows[Category]


ENDPOINT = metrics_endpoints("sessions-by-category", TypeAdapter(Categories), feeds="categories")[0]


def _samples(response: Categories, _: Ids) -> Iterator[Sample]:
    sessions: defaultdict[tuple[str, str], int] = defaultdict(int)
    acus: defaultdict[tuple[str, str], float] = defaultdict(float)
    for category in Listing.of(response.categories):
        rest = (category.category, REMAINDER)
        sessions[rest] += category.sessions_count
        acus[rest] += category.acus
        for part in Listing.of(category.subcategories or ()):
            row = (category.category, part.label)
            sessions[row] += part.sessions_count
            sessions[rest] -= part.sessions_count
            acus[row] += part.acus
            acus[rest] -= part.acus
    for (category_name, subcategory), count in sessions.items():
        labels = {"category": category_name, "subcategory": subcategory}
        consumed = acus[category_name, subcategory]
        yield SESSIONS(count, **labels)
        yield ACUS(0.0 if abs(consumed) < ROUNDING else consumed, **labels)


QUERIES = (window_query("cycle", ENDPOINT, _samples),)
