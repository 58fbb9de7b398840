"""The outcomes of polls, for the next process."""

from collections.abc import Mapping
from functools import partial

from pydantic import BaseModel

from exporter.errors import PollError
from exporter.scheduling.kept import Entry, Kept
from exporter.scheduling.store import Outcome, Store

PART = "outcomes"


class EarlierError(Exception):
    """An attempt of an earlier process failed; the text says why."""


class _KeptOutcome(BaseModel):
    ended: float
    duration: float
    error: str | None
    last_success: float | None
    full_run: float | None


def error_text(error: Exception) -> str:
    """Why an attempt failed, without anything but what a request's error says."""
    if isinstance(error, PollError | EarlierError):
        return str(error)
    return f"internal error ({type(error).__name__}); the log has it"


def outcomes(store: Store) -> Kept:
    """The outcomes of the tasks whose data is kept."""

    def entries() -> Mapping[str, Entry]:
        return {
            name: Entry(state.outcome, partial(_encode, state.outcome))
            for name, state in store.states().items()
            if state.task.kept and state.outcome is not None
        }

    def restore(values: Mapping[str, bytes]) -> None:
        decoded = {name: _decode(value) for name, value in values.items()}
        for name, outcome in decoded.items():
            if name in store.states():
                store.restore(name, outcome)

    return Kept(name=PART, entries=entries, restore=restore)


def _encode(outcome: Outcome) -> bytes:
    kept = _KeptOutcome(
        ended=outcome.ended,
        duration=outcome.duration,
        error=None if outcome.error is None else error_text(outcome.error),
        last_success=outcome.last_success,
        full_run=outcome.full_run,
    )
    return kept.model_dump_json().encode()


def _decode(value: bytes) -> Outcome:
    kept = _KeptOutcome.model_validate_json(value)
    return Outcome(
        ended=kept.ended,
        duration=kept.duration,
        error=None if kept.error is None else EarlierError(kept.error),
        last_success=kept.last_success,
        full_run=kept.full_run,
    )
