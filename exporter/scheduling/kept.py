"""Data that outlives the process, as values by key."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One value.

    Attributes:
        version: equal as long as the value has not changed.
        encode: makes the bytes that are kept.
    """

    version: object
    encode: Callable[[], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One part of what is kept across restarts.

    Attributes:
        name: unique among all parts.
        entries: the present values by key.
        restore: takes the bytes of an earlier process over, whole or not at all; raises
            `ValueError` if they cannot be read.
        version: equal as long as no entry has changed; None to compare all entries.
    """

    name: str
    entries: Callable[[], Mapping[str, Entry]]
    restore: Callable[[Mapping[str, bytes]], None]
    version: Callable[[], object] = lambda: None
