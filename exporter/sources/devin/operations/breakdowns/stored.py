"""The book as bytes by key, so that it can outlive the process."""

import json
from collections.abc import Mapping
from dataclasses import asdict

from pydantic import TypeAdapter

from exporter.sources.devin.operations.breakdowns.coverage import Coverage
from exporter.sources.devin.operations.breakdowns.reading import Reading

COVERAGE = ""
"""The key of the coverage; no session's id is empty."""

_COVERAGE = TypeAdapter(Coverage)
_READING = TypeAdapter(Reading)


def encode_coverage(coverage: Coverage) -> bytes:
    """The bytes of a coverage; unknown moments are infinite."""
    return json.dumps(asdict(coverage)).encode()


def encode_reading(reading: Reading) -> bytes:
    """The bytes of what is remembered of a session."""
    return _READING.dump_json(reading)


def decode(values: Mapping[str, bytes]) -> tuple[Coverage, dict[str, Reading]]:
    """What was encoded. Raises `ValueError` if any of it cannot be read."""
    readings = {
        known_as: _READING.validate_json(value)
        for known_as, value in values.items()
        if known_as != COVERAGE
    }
    return _COVERAGE.validate_python(json.loads(values.get(COVERAGE, b""))), readings
