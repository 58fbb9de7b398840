"""A debounced list: an entity is dropped only after two good lists without it."""

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

from pydantic import BaseModel, TypeAdapter

from exporter.client.response import Response
from exporter.errors import EntitiesUnknownError
from exporter.scheduling.kept import Entry, Kept

T = TypeVar("T")


class _Poll(BaseModel):
    """When the list was polled, and which entities it lacked for the first time."""

    requested_at: float
    missed: list[str]


def _all_of_it(item: T) -> T:
    return item


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
                last, missed = self.last, sorted(self._missed)
            if last is None:
                return {}
            found = _Poll(requested_at=last.requested_at, missed=missed).model_dump_json()
            return {
                "poll": Entry(found, found.encode),
                "items": Entry(
                    last.value,
                    lambda: items.dump_json({key: shown(item) for key, item in last.value.items()}),
                ),
            }

        def restore(values: Mapping[str, bytes]) -> None:
            poll = _Poll.model_validate_json(values.get("poll", b""))
            known = items.validate_json(values.get("items", b""))
            with self._lock:
                self._missed = frozenset(poll.missed)
                self.last = Response(poll.requested_at, known)

        return Kept(name=name, entries=entries, restore=restore)

    def known(self) -> Mapping[str, T]:
        """The entities by id, whatever the age of the list.

        Raises:
            EntitiesUnknownError: before the first good list.
        """
        if self.last is None:
            raise EntitiesUnknownError("there has been no good list yet")
        return self.last.value
