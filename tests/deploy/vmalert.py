"""The rules' tests as `vmalert-tool unittest` takes them."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

from tests.deploy.rule_parts import split

DAY = 86_400
IN_2000 = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp())
"""When the time of later versions begins, a Saturday; promtool's begins on a Thursday in 1970."""
UNTIL_THURSDAY = 5 * DAY
SECONDS = {"h": 3_600, "m": 60}
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?= \+0000 UTC)")
_KNOWN_WEEKDAY = re.compile(
    r"against [\d.]+ on the second busiest such weekday of the last four weeks"
)
NO_WEEKDAY = "and no such weekday of the last four weeks is known"
"""What descriptions say in tests that evaluate every half an hour: VictoriaMetrics looks five
minutes back for what a rule recorded. In life it is recorded every minute."""

_Test = dict[str, list[dict[str, object]]]


def seconds(duration: object) -> int:
    """A duration like `1h30m`."""
    return sum(int(n) * SECONDS[unit] for n, unit in re.findall(r"(\d+)([hm])", str(duration)))


def converted(path: Path, folder: Path, *, beginning: int) -> Iterator[tuple[str, Path]]:
    """Each test of a file with its rules, by name.

    Args:
        beginning: Unix seconds at which the tool's time begins: 0 or `IN_2000`.
    """
    for part in split(path, folder):
        file = yaml.safe_load(part.read_text(encoding="utf-8"))
        as_text = yaml.load(part.read_text(encoding="utf-8"), yaml.BaseLoader)  # noqa: S506 - texts alone
        (test,) = file["tests"]
        test["input_series"] = as_text["tests"][0]["input_series"]
        if "promql_expr_test" in test:
            test["metricsql_expr_test"] = test.pop("promql_expr_test")
        rules = (folder / file["rule_files"][0]).read_text(encoding="utf-8")
        lead = UNTIL_THURSDAY if beginning and "day_of_week" in rules else 0
        _begin_later(test, beginning, lead)
        words = yaml.safe_dump(test.pop("alert_rule_test", []), width=10_000, allow_unicode=True)
        if seconds(file["evaluation_interval"]) > 5 * SECONDS["m"]:
            words = _KNOWN_WEEKDAY.sub(NO_WEEKDAY, words)
        test["alert_rule_test"] = yaml.safe_load(_at(words, beginning + lead))
        part.write_text(yaml.safe_dump(file, width=10_000, allow_unicode=True))
        yield str(test["name"]), part


def _at(words: str, moved: int) -> str:
    """What is expected, every moment in it so many seconds later."""
    by = timedelta(seconds=moved)
    return _TIMESTAMP.sub(lambda found: str(datetime.fromisoformat(found[0]) + by), words)


def _begin_later(test: _Test, beginning: int, lead: int) -> None:
    """Put a time without samples before a test's, and moments where that tool's time is."""
    steps = lead // seconds(test["interval"])
    for series in test["input_series"]:
        values = str(series["values"])
        if re.search(r"_timestamp_seconds\b", str(series["series"])):
            values = " ".join(_moved(token, beginning + lead) for token in values.split())
        series["values"] = f"_x{steps} {values}" if steps else values
    for kind in ("alert_rule_test", "metricsql_expr_test"):
        for each in test.get(kind, ()):
            each["eval_time"] = f"{(seconds(each['eval_time']) + lead) // 60}m"


def _moved(token: str, by: int) -> str:
    """One of the values of a series, like `115200x9`, of which the first number is a moment."""
    return re.sub(r"^-?\d+", lambda found: str(int(found[0]) + by), token)
