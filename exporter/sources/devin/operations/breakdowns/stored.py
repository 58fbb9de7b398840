"""The book as bytes by key, so that it can outlive the process."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial

from pydantic import TypeAdapter

from exporter.scheduling.kept import Entry
from exporter.sources.devin.operations.breakdowns.coverage import Coverage
from exporter.sources.devin.operations.breakdowns.pool import Pool
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


def decode(
    values: Mapping[str, bytes], *, written: bool, pool: Pool
) -> tuple[Coverage, dict[str, Reading]]:
    """What was encoded.

    Args:
        pool: shares their values.

    Raises:
        ValueError: if any of it cannot be read, or it is with tags and repositories where it should
            be without, or without where it should be with them.
    """
    readings = {
        known_as: pool.shared(_READING.validate_json(value))
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
