"""The log format: logfmt or JSON, one line per event, on standard error."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Literal

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["logfmt", "json"]

_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_QUOTED = frozenset(' ="\\\n\r\t')


def _fields(record: logging.LogRecord) -> dict[str, str]:
    when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    fields = {
        "ts": when.replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "msg": record.getMessage(),
    }
    fields |= {key: str(value) for key, value in vars(record).items() if key not in _PLAIN}
    if record.exc_info:
        fields["exception"] = logging.Formatter().formatException(record.exc_info)
    return fields


class LogfmtFormatter(logging.Formatter):
    """`ts=… level=… msg="…" key=value`; the fields of `extra` come last."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record as one line."""
        return " ".join(f"{key}={self._value(text)}" for key, text in _fields(record).items())

    @staticmethod
    def _value(text: str) -> str:
        if text and not _QUOTED & set(text):
            return text
        return json.dumps(text, ensure_ascii=False)


class JsonFormatter(logging.Formatter):
    """The same fields as a JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record as one line."""
        return json.dumps(_fields(record), ensure_ascii=False)


def set_up(*, level: Level, style: Format) -> None:
    """Log to standard error; of the libraries log only errors.

    Request lines of libraries contain ids and are never shown.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if style == "json" else LogfmtFormatter())
    logging.basicConfig(handlers=[handler], level=logging.ERROR, force=True)
    logging.getLogger("exporter").setLevel(level.upper())
