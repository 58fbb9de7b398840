"""A debounced list: an entity is dropped only after two good lists without it."""

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

from pydantic import BaseModel, TypeAdapter

from exporter.client.models import Listing
from exporter.client.response import Response, is_fresh
from exporter.errors import EntitiesUnknownError, ShapeError
from exporter.scheduling.kept import Entry, Kept

T = TypeVar("T")


class _Poll(BaseModel):
    """The last poll of the list, and the rows that are from earlier ones.

    Attributes:
        missed: entities that it lacked for the first time.
        complete: whether every row could be read.
        earlier: when the rows that it lacked were received (Unix seconds).
    """

    requested_at: float
    missed: list[str]
    complete: bool
    earlier: dict[str, float]


def _all_of_it(item: T) -> T:
    return item


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

    def kept(
        self, name: str, items: TypeAdapter[dict[str, T]], *, shown: Callable[[T], T] = _all_of_it
    ) -> Kept:
        """The list, for the next process.

        Args:
            items: the type of its items by id.
            shown: an item without what must not be kept.
        """

        def entries() -> Mapping[str, Entry]:
            with self._lock:
                requested_at, rows = self.requested_at, self._rows
                missed, complete = sorted(self._missed), self.complete
            if requested_at is None:
                return {}
            poll = _Poll(
                requested_at=requested_at,
                missed=missed,
                complete=complete,
                earlier={
                    entity: row.requested_at
                    for entity, row in rows.items()
                    if row.requested_at != requested_at
                },
            ).model_dump_json()
            known = {entity: row.value for entity, row in rows.items()}
            return {
                "poll": Entry(poll, poll.encode),
                "items": Entry(
                    known,
                    lambda: items.dump_json({key: shown(item) for key, item in known.items()}),
                ),
            }

        def restore(values: Mapping[str, bytes]) -> None:
            poll = _Poll.model_validate_json(values.get("poll", b""))
            known = items.validate_json(values.get("items", b""))
            with self._lock:
                self._missed = frozenset(poll.missed)
                self._rows = {
                    entity: Response(poll.earlier.get(entity, poll.requested_at), item)
                    for entity, item in known.items()
                }
                self.requested_at, self.complete = poll.requested_at, poll.complete

        return Kept(name=name, entries=entries, restore=restore)

    @property
    def has_gaps(self) -> bool:
        """Whether a row of the last list could not be read."""
        return self.requested_at is not None and not self.complete

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
