"""Log lines."""

import json
import logging
from collections.abc import Iterator

import pytest

from exporter.config.logs import set_up

EVENT = {"task": "queue", "reason": "server_error,timeout", "note": 'a "b"\nc'}


@pytest.fixture(autouse=True)
def _logging_is_as_before() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("exporter")
    before = root.level, ours.level, root.handlers[:]
    yield
    root.level, ours.level, root.handlers[:] = before


def test_logfmt_is_one_line_with_quotes_where_needed(capsys: pytest.CaptureFixture[str]) -> None:
    set_up(level="info", style="logfmt")
    logging.getLogger("exporter.x").info("task %s", "failed", extra=EVENT)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("ts=20")
    assert line.endswith(
        'level=info msg="task failed" task=queue reason=server_error,timeout note="a \\"b\\"\\nc"'
    )


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    set_up(level="info", style="json")
    logging.getLogger("exporter.x").warning("task failed", extra=EVENT)
    (line,) = capsys.readouterr().err.splitlines()
    fields = json.loads(line)
    assert fields.pop("ts").endswith("Z")
    assert fields == {"level": "warning", "msg": "task failed", **EVENT}


def test_an_exception_stays_on_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    set_up(level="info", style="logfmt")
    try:
        int("x")
    except ValueError:
        logging.getLogger("exporter").exception("cannot publish")
    (line,) = capsys.readouterr().err.splitlines()
    assert "Traceback" in line


def test_libraries_below_us_tell_errors_only(capsys: pytest.CaptureFixture[str]) -> None:
    set_up(level="debug", style="logfmt")
    for library in ("httpx", "httpcore", "apscheduler", "uvicorn"):
        logging.getLogger(library).warning("GET https://api/v3/users/email|ada")
    logging.getLogger("exporter").debug("ours")
    assert capsys.readouterr().err.count("\n") == 1
