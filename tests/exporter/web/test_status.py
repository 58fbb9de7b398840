"""The landing page and its JSON."""

import json
from html.parser import HTMLParser

import jsonschema
import pytest

from exporter.cli.catalogue import ROOT
from exporter.errors import ServerFailedError
from exporter.scheduling.task import Progress
from exporter.web.status.page import seconds
from exporter.web.status.report import StatusReport
from tests.exporter.web.serving import Served
from tests.support import loopback

SCHEMA = json.loads(
    (ROOT / "docs" / "reference" / "status.schema.json").read_text(encoding="utf-8")
)


def status(served: Served) -> StatusReport:
    """The JSON, which its documented schema describes."""
    answer = loopback.get(f"{served.url}/api/v1/status")
    assert answer.headers["Content-Type"] == "application/json"
    jsonschema.validate(answer.json(), SCHEMA)
    return StatusReport.model_validate(answer.json())


class Words(HTMLParser):
    """The text of a page, and the names of its elements."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text = ""
        self.elements: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.add(tag)
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.text += data


def page(served: Served) -> Words:
    """The landing page."""
    return Words(loopback.get(f"{served.url}/").text)


def test_before_the_first_poll_nothing_is_fresh(served: Served) -> None:
    report = status(served)
    assert (report.ready, report.not_ready, report.not_fresh) == (False, ("it<",), ("it<",))
    (task,) = report.tasks
    assert (task.state, task.last_success, task.age_seconds) == ("waiting", None, None)
    assert (report.sources[0].key, report.version) == ("unknown", "1.2.3")
    assert "Not fresh: it<" in page(served).text


def test_after_a_success_the_figures_are_those_of_the_task(served: Served) -> None:
    served.publish_values("one", "two", expires=5_000.0)
    served.ended()
    served.clock.now += 30
    report = status(served)
    (task,) = report.tasks
    assert (report.ready, report.not_fresh, report.series) == (True, (), 2)
    assert (task.state, task.last_success, task.age_seconds) == ("up", 1_000, 30)
    assert (task.next_run_in_seconds, task.duration_seconds, task.series) == (42.4, 0.5, 2)
    (source,) = report.sources
    assert (source.key, source.requests_per_second, source.series) == ("accepted", 10, 2)
    assert source.longest_run_seconds == 0.5
    assert "All data is fresh. 2 series are published; the exporter is ready." in page(served).text


def test_how_far_the_sweep_has_come_is_shown_where_it_is_known(served: Served) -> None:
    (task,) = status(served).tasks
    assert (task.sweep_progress_ratio, task.sweep_remaining_seconds) == (None, None)
    assert "% done" not in page(served).text
    served.progress = Progress(done=599, total=600, remaining=7_300.0, first=False)
    (task,) = status(served).tasks
    assert (task.sweep_progress_ratio, task.sweep_remaining_seconds) == (599 / 600, 7_300)
    assert "99 % done, 2 h left" in page(served).text
    served.store.switched_off("it<", why="no hypervisors here")
    assert status(served).tasks[0].sweep_progress_ratio is None


def test_without_entities_there_is_no_sweep(served: Served) -> None:
    served.progress = Progress(done=0, total=0, remaining=0.0, first=False)
    assert status(served).tasks[0].sweep_progress_ratio is None


def test_a_failure_is_shown_with_its_reason_and_its_age(served: Served) -> None:
    served.ended()
    served.clock.now += 400
    served.ended(error=ServerFailedError("/v3/{user_id} answered 500"))
    (task,) = status(served).tasks
    assert (task.state, task.error) == ("down", "/v3/{user_id} answered 500")
    assert "Not fresh: it<" in page(served).text
    assert "/v3/{user_id} answered 500" in page(served).text


def test_a_refused_key_is_shown(served: Served) -> None:
    served.refused = True
    assert status(served).sources[0].key == "refused"
    assert not status(served).ready


@pytest.mark.parametrize("path", ["/", "/api/v1/status"])
def test_nobodys_name_is_shown(served: Served, path: str) -> None:
    served.ended(error=KeyError("ada.amari@example.com"))
    served.store.withdraw("it<", why="two series ('ada.amari',)", now=served.clock())
    answer = loopback.get(served.url + path).text
    assert "ada" not in answer
    assert "internal error (KeyError); the log has it" in answer


def test_a_page_that_cannot_be_published_says_where_the_reason_is(served: Served) -> None:
    served.ended()
    served.store.withdraw("it<", why="two series ('ada.amari',)", now=served.clock())
    (task,) = status(served).tasks
    assert (task.state, task.error) == (
        "down", "its samples cannot be published; the log says why",
    )  # fmt: skip


def test_a_task_that_is_off_is_neither_fresh_nor_down(served: Served) -> None:
    served.store.switched_off("it<", why="no hypervisors here")
    report = status(served)
    assert (report.tasks[0].state, report.tasks[0].error) == ("off", "no hypervisors here")
    assert report.not_fresh == ()


def test_the_page_has_no_script_and_forbids_any(served: Served) -> None:
    answer = loopback.get(f"{served.url}/")
    assert not page(served).elements & {"script", "img", "iframe", "form", "link"}
    policy = answer.headers["Content-Security-Policy"]
    for part in ("default-src 'none'", "style-src 'sha256-", "frame-ancestors 'none'"):
        assert part in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "deny"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("count", "words"),
    [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7_300, "2 h"), (200_000, "2 d")],
)
def test_durations_are_in_their_largest_sensible_unit(count: float, words: str) -> None:
    assert seconds(count) == words
