"""Counts the values of all responses that make no sense, and names them once in the log."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TypeVar

from exporter.client.models import ResponseModel
from exporter.metrics import Sample
from exporter.sources.aione.lenient import unreadable_fields
from exporter.sources.aione.metrics import INVALID

M = TypeVar("M", bound=ResponseModel)
logger = logging.getLogger(__name__)


class UnreadableValues:
    """The paths of unreadable values in the last response of each endpoint."""

    def __init__(self) -> None:
        self._fields: dict[str, Counter[str]] = {}

    def note(self, task: str, fields: Iterable[str]) -> None:
        """Take the paths in a task's last response; each as often as it occurs."""
        found, before = Counter(fields), self._fields.get(task, Counter[str]())
        self._fields = {**self._fields, task: found}
        if found and found.keys() != before.keys():
            names = ", ".join(sorted(found))
            logger.warning("values that make no sense are absent: %s", names, extra={"task": task})

    def noted(self, task: str, section: str, response: M) -> M:
        """Take those of a response, below the name of its section; returns the response."""
        self.note(task, unreadable_fields(response, f"{section}."))
        return response

    def samples(self) -> Iterator[Sample]:
        """How often each path occurs."""
        counts = sum(self._fields.values(), Counter[str]())
        for field, count in sorted(counts.items()):
            yield INVALID(count, field=field)
