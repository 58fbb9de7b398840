"""A debounced list: an entity is dropped only after two good lists without it."""

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

from exporter.client.response import Response
from exporter.errors import EntitiesUnknownError

T = TypeVar("T")


class DebouncedList(Generic[T]):
    """One list of the API; an entity is dropped after two good lists in a row without it.

    Attributes:
        last: the entities of the list, by id; None before the first good one.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        fetch: Callable[[], Iterable[T]],
        id_of: Callable[[T], str],
    ) -> None:
        self._clock = clock
        self._fetch = fetch
        self._id_of = id_of
        self._lock = threading.Lock()
        self._missed: frozenset[str] = frozenset()
        self.last: Response[Mapping[str, T]] | None = None

    def poll(self) -> None:
        """Request the whole list. Raises `PollError`."""
        requested_at = self._clock()
        listed = {self._id_of(item): item for item in self._fetch()}
        with self._lock:
            before = self.last.value if self.last else {}
            missed_once = {
                entity: item
                for entity, item in before.items()
                if entity not in listed and entity not in self._missed
            }
            self._missed = frozenset(missed_once)
            self.last = Response(requested_at, {**listed, **missed_once})

    def known(self) -> Mapping[str, T]:
        """The entities by id, whatever the age of the list.

        Raises:
            EntitiesUnknownError: before the first good list.
        """
        if self.last is None:
            raise EntitiesUnknownError("there has been no good list yet")
        return self.last.value
