"""Sessions as bytes, so that they outlive the process."""

from collections.abc import Mapping
from functools import partial

from pydantic import BaseModel

from exporter.scheduling.kept import Entry
from exporter.sources.devin.operations.session_items import SessionItem

POLLS = ""
"""The key of what is kept of the polls; no session's id is empty."""

NOT_KEPT = {"tags", "pull_requests"}
"""What is read from responses alone, and may name people."""


class Polls(BaseModel):
    """What the polls of the list have shown so far (times in Unix seconds)."""

    requested_at: float
    known_until: float
    complete: bool
    acus_seen: bool


def entries(polls: Polls, known: Mapping[str, SessionItem], *, titles: bool) -> Mapping[str, Entry]:
    """The sessions, with their titles or without."""
    text = polls.model_dump_json()
    without = NOT_KEPT if titles else {*NOT_KEPT, "title"}
    sessions = {key: Entry(item, partial(_encode, item, without)) for key, item in known.items()}
    return {POLLS: Entry(text, text.encode), **sessions}


def read(values: Mapping[str, bytes]) -> tuple[Polls, dict[str, SessionItem]]:
    """The polls and the sessions from their bytes. Raises `ValueError`."""
    polls = Polls.model_validate_json(values.get(POLLS, b""))
    sessions = {
        key: SessionItem.model_validate_json(value) for key, value in values.items() if key != POLLS
    }
    return polls, sessions


def _encode(item: SessionItem, without: set[str]) -> bytes:
    return item.model_dump_json(exclude=without).encode()
