"""A debounced list: an entity is dropped only after two good lists without it."""

import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from exporter.client.models import Listing
from exporter.client.response import Response, is_fresh
from exporter.errors import EntitiesUnknownError, ShapeError

T = TypeVar("T")


class DebouncedList(Generic[T]):
    """One list of the API; an entity is dropped after two good lists in a row without it.

    A list with a row that cannot be read drops nobody, as that row may be of whoever is absent.

    Attributes:
        requested_at: Unix seconds of the last list; None before the first good one.
        complete: whether every row of the last list could be read.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        fetch: Callable[[], Listing[T]],
        id_of: Callable[[T], str],
    ) -> None:
        self._clock = clock
        self._fetch = fetch
        self._id_of = id_of
        self._lock = threading.Lock()
        self._missed: frozenset[str] = frozenset()
        self._rows: dict[str, Response[T]] = {}
        self.requested_at: float | None = None
        self.complete = False

    def poll(self) -> None:
        """Request the whole list. Raises `PollError`."""
        requested_at = self._clock()
        rows = self._fetch()
        if rows.unreadable and not rows:
            raise ShapeError(f"none of the {rows.unreadable} rows of the list can be read")
        listed = {self._id_of(item): Response(requested_at, item) for item in rows}
        with self._lock:
            absent = {entity: row for entity, row in self._rows.items() if entity not in listed}
            if not rows.unreadable:
                absent = {e: row for e, row in absent.items() if e not in self._missed}
            self._missed = frozenset() if rows.unreadable else frozenset(absent)
            self._rows = {**listed, **absent}
            self.requested_at, self.complete = requested_at, not rows.unreadable

    @property
    def version(self) -> object:
        """Another object after each good list."""
        return self._rows

    def ids(self) -> frozenset[str]:
        """The ids of all known entities, whatever the age of the list.

        Raises:
            EntitiesUnknownError: before the first good list.
        """
        if self.requested_at is None:
            raise EntitiesUnknownError("there has been no good list yet")
        return frozenset(self._rows)

    def all_ids(self) -> frozenset[str]:
        """The same, if they are all there are.

        Raises:
            EntitiesUnknownError: before the first good list, and while a row cannot be read.
        """
        ids = self.ids()
        if not self.complete:
            raise EntitiesUnknownError("a row of the list cannot be read")
        return ids

    def is_fresh(self, now: float, max_age: float) -> bool:
        """Whether the last list is young enough to be published."""
        return self.requested_at is not None and is_fresh(self.requested_at, now, max_age)

    def rows(self, now: float, max_age: float) -> Iterator[Response[T]]:
        """The rows that are young enough to be published, if the list is."""
        if self.is_fresh(now, max_age):
            rows = self._rows.values()
            yield from (row for row in rows if row.is_fresh(now, max_age))

    def expired(self, now: float, max_age: float) -> int:
        """How many rows are too old to be published; 1 for the whole list."""
        if self.requested_at is None:
            return 0
        if not self.is_fresh(now, max_age):
            return 1
        return sum(not row.is_fresh(now, max_age) for row in self._rows.values())
