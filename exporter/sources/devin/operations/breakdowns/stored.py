"""The book as bytes by key, so that it can outlive the process."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from sys import intern

from pydantic import TypeAdapter

from exporter.scheduling.kept import Entry
from exporter.sources.devin.operations.breakdowns.coverage import Coverage
from exporter.sources.devin.operations.breakdowns.labels import SessionLabels
from exporter.sources.devin.operations.breakdowns.reading import Reading

COVERAGE = ""
"""The key of the coverage; no session's id is empty."""

_COVERAGE = TypeAdapter(Coverage)
_READING = TypeAdapter(Reading)


def entries(
    coverage: Coverage, readings: Mapping[str, Reading], *, written: bool
) -> Mapping[str, Entry]:
    """The coverage, and one entry for each session.

    Args:
        written: whether with tags and repositories.
    """
    head = (coverage, written)
    return {
        COVERAGE: Entry(head, partial(_encode_coverage, coverage, written=written)),
        **{key: Entry(each, partial(_READING.dump_json, each)) for key, each in readings.items()},
    }


def decode(values: Mapping[str, bytes], *, written: bool) -> tuple[Coverage, dict[str, Reading]]:
    """What was encoded.

    Raises:
        ValueError: if any of it cannot be read, or it is with tags and repositories where it should
            be without, or without where it should be with them.
    """
    readings = {
        known_as: _shared(_READING.validate_json(value))
        for known_as, value in values.items()
        if known_as != COVERAGE
    }
    fields = json.loads(values.get(COVERAGE, b""))
    coverage = _COVERAGE.validate_python(fields)
    if fields.get("written") is not written:
        raise ValueError("has other labels")
    return coverage, readings


def _encode_coverage(coverage: Coverage, *, written: bool) -> bytes:
    """The bytes of a coverage; unknown moments are infinite."""
    return json.dumps({**asdict(coverage), "written": written}).encode()


def _shared(reading: Reading) -> Reading:
    """The same, with labels that are one object in all sessions."""
    labels = SessionLabels(
        tuple(tuple(map(intern, values)) for values in reading.labels.by_dimension),
        tuple(
            (intern(repository), intern(state))
            for repository, state in reading.labels.pull_requests
        ),
    )
    owner = None if reading.owner is None else intern(reading.owner)
    return replace(reading, labels=labels, owner=owner)
