"""ACUs by tag, repository and origin over random work, polls, failures, restarts and boundaries.

Each session has an origin of its own, so that the page shows what was counted for it. That is
compared with all work that was really done: no more than it in any window, no less than what was
done since the exporter first saw the window, and with the rest exactly the ledger's total.
"""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import httpx
import pytest
import respx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.client.models import Listing
from exporter.sources.devin.billing.windows import Window, billing_windows
from exporter.sources.devin.operations.breakdowns.book import Book
from exporter.sources.devin.operations.session_items import Changes, SessionItem
from tests.support.rig import Clock, Rig, Scrape, at, rig

URL = "https://api.test"
DAY = 86_400
CYCLES = [at(f"2026-0{month}-05 08:00:00") for month in (2, 3, 4, 5)]
START = at("2026-04-03 21:00:00")
TAGS = ("a", "b", "unexplained", "other", "c\n")
NAMES = {"tag": "tag", "repository": "repository", "origin": "origin"}


@dataclass
class Worker:
    """A session, with all that it has done: Unix seconds and ACUs."""

    number: int
    created: float
    tags: list[str]
    repositories: list[str]
    work: list[tuple[float, float]] = field(default_factory=list)

    def consumed(self, start: float, end: float) -> float:
        """ACUs from `start` to before `end`."""
        return math.fsum(acus for moment, acus in self.work if start <= moment < end)

    def row(self, now: float) -> dict[str, object]:
        """As the list has it."""
        return {
            "session_id": f"devin-{self.number}",
            "org_id": "org-1",
            "url": "",
            "status": "running",
            "acus_consumed": self.consumed(0, now + 1),
            "created_at": int(self.created),
            "updated_at": self.updated_at,
            "origin": f"o{self.number}",
            "tags": self.tags,
            "pull_requests": [
                {"pr_url": f"https://git.example.com/acme/{name}/pull/{self.number}"}
                for name in self.repositories
            ],
        }

    @property
    def updated_at(self) -> int:
        """When it last did something."""
        return int(max((moment for moment, _ in self.work), default=self.created))


@dataclass
class History:
    """What was done, and the exporter that polls it."""

    clock: Clock
    stack: ExitStack
    polled: Rig = field(init=False)
    workers: list[Worker] = field(default_factory=list)
    failing: bool = False
    polls: list[float] = field(default_factory=list)
    listed: list[float] = field(default_factory=list)

    def restart(self) -> None:
        """Begin with an exporter that knows nothing."""
        self.stack.close()
        made = rig(URL, self.clock, poll_interval="86400", session_breakdown_limit="1000")
        self.polled = self.stack.enter_context(made)
        self.polls, self.listed = [], []
        self.polled.poll("cycles")

    def respond(self, request: httpx.Request) -> httpx.Response:
        """What the API responds."""
        path, query = request.url.path, request.url.params
        if self.failing:
            return httpx.Response(422)
        if path.endswith("/cycles"):
            pairs = pairwise(CYCLES)
            return _list([{"after": int(a), "before": int(b)} for a, b in pairs])
        if path == "/v3/enterprise/sessions":
            bounds = int(query["updated_after"]), int(query.get("updated_before", 2**40))
            now = self.clock()
            return _list([w.row(now) for w in self.workers if bounds[0] < w.updated_at < bounds[1]])
        days: dict[float, float] = {}
        for worker in self.workers:
            for moment, acus in worker.work:
                start = (moment - 8 * 3_600) // DAY * DAY + 8 * 3_600
                days[start] = days.get(start, 0.5) + acus
        rows = [{"date": int(day), "acus": acus} for day, acus in days.items()]
        return httpx.Response(200, json={"total_acus": 0.0, "consumption_by_date": rows})

    def play(self, what: str, argument: object) -> None:
        """One step."""
        match what, argument:
            case "create", (list(tags), list(repositories)):
                worker = Worker(len(self.workers), self.clock(), tags, repositories)
                self.workers.append(worker)
            case "work", float(acus):
                self.clock.now += 1  # nothing is done in the second of a poll, but after it
                for worker in self.workers:
                    worker.work.append((self.clock(), acus / (1 + worker.number)))
            case "wait", int(pause):
                self.clock.now += pause
            case "boundary", int(offset):
                end = ((self.clock() - 8 * 3_600) // DAY + 1) * DAY + 8 * 3_600
                self.clock.now = max(self.clock(), end + offset)
            case "poll", str(task):
                self.poll(task)
            case "failure", str(task):
                self.failing = True
                self.polled.poll(task)
                self.failing = False
            case "restart", _:
                self.restart()

    def poll(self, task: str) -> None:
        """Poll, and note when that was done."""
        self.polled.poll(task)
        if self.polled.error(task) is None:
            noted = {"sessions": self.polls, "session_breakdowns": self.listed}
            noted.get(task, []).append(self.clock())

    def windows(self) -> dict[str, tuple[float, float]]:
        """The start of each running window, and since when it is wholly known."""
        now = self.clock()
        day = (now - 8 * 3_600) // DAY * DAY + 8 * 3_600
        cycle = max(start for start in CYCLES if start <= now)
        found: dict[str, tuple[float, float]] = {}
        for name, start in (("today", day), ("cycle", cycle)):
            polls = [poll for poll in self.polls if poll >= start]
            if polls:
                listed = [each for each in self.listed if each >= polls[0]]
                known = polls[0] if name == "today" else (listed or [math.inf])[0]
                found[name] = (start, known)
        return found


def _list(items: list[dict[str, object]]) -> httpx.Response:
    return httpx.Response(200, json={"items": items, "has_next_page": False})


@contextmanager
def history() -> Iterator[History]:
    with respx.mock as router, ExitStack() as stack:
        made = History(Clock(START), stack.enter_context(ExitStack()))
        router.route().mock(side_effect=made.respond)
        made.restart()
        yield made


def rows(scrape: Scrape, dimension: str, window: str) -> dict[str, float]:
    """The values by label."""
    family = scrape.family(f"devin_session_{dimension}_{window}_acus")
    return {dict(labels)[dimension]: value for labels, value in family.items()}


def check(made: History, scrape: Scrape) -> None:
    """Compare the page with what was done."""
    windows = made.windows()
    for name in ("today", "cycle"):
        shown = {dimension: rows(scrape, dimension, name) for dimension in NAMES}
        if name not in windows:
            assert not any(shown.values()), name
            continue
        total = scrape.family(f"devin_consumption_{name}_acus").values()
        for values in shown.values():
            if total and values:
                assert "unexplained" in values
            # A total of 0 is not published before any ACU proves that the plan is metered.
            if "unexplained" in values:
                assert math.fsum(values.values()) == pytest.approx(math.fsum(total), abs=1e-6)
        explained = [
            math.fsum(acus for label, acus in values.items() if label != "unexplained")
            for values in shown.values()
        ]
        assert explained == pytest.approx([explained[0]] * len(explained), abs=1e-6)
        if any(shown.values()):
            compare(made, shown, *windows[name])


def compare(made: History, shown: dict[str, dict[str, float]], start: float, known: float) -> None:
    """No session has more than it did in the window, nor less than since it is known."""
    until = made.polls[-1] + 1
    parts: dict[str, list[float]] = {}
    for worker in made.workers:
        acus = shown["origin"].get(f"o{worker.number}", 0.0)
        most = worker.consumed(start, made.clock() + 1)
        least = worker.consumed(start if worker.created >= start else known + 1, until)
        assert least - 1e-6 <= acus <= most + 1e-6, worker
        for repository in set(worker.repositories) or {""}:
            label = repository and f"git.example.com/acme/{repository}"
            share = acus / len(set(worker.repositories) or {""})
            parts.setdefault(label, []).append(share)
    for label, shares in parts.items():
        assert shown["repository"].get(label, 0.0) == pytest.approx(math.fsum(shares), abs=1e-6)


STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("create"),
            st.tuples(
                st.lists(st.sampled_from(TAGS), max_size=4),
                st.lists(st.sampled_from(("x", "y", "z")), max_size=3),
            ),
        ),
        st.tuples(st.just("work"), st.floats(0.001, 1e3)),
        st.tuples(st.just("work"), st.floats(0.001, 1e3)),
        st.tuples(st.just("wait"), st.sampled_from([1, 60, 900, 5 * 3_600, 30 * 3_600])),
        st.tuples(st.just("boundary"), st.sampled_from([-1, 0, 5, 3_600])),
        st.tuples(st.just("poll"), st.just("sessions")),
        st.tuples(st.just("poll"), st.just("sessions")),
        st.tuples(st.just("poll"), st.just("session_breakdowns")),
        st.tuples(st.just("poll"), st.just("enterprise_consumption")),
        st.tuples(st.just("failure"), st.sampled_from(["sessions", "session_breakdowns"])),
        st.tuples(st.just("restart"), st.none()),
    ),
    min_size=5,
    max_size=40,
)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
@given(STEPS)
def test_rows_add_up_to_the_total_and_no_session_has_more_than_it_did(
    steps: list[tuple[str, object]],
) -> None:
    with history() as made:
        made.play("create", (["a", "b"], ["x", "y"]))
        for what, argument in steps:
            made.play(what, argument)
            check(made, made.polled.scrape())


def test_once_all_is_polled_every_window_has_all_its_rows() -> None:
    with history() as made:
        made.play("create", (["a"], ["x"]))
        made.play("work", 2.5)
        for task in ("sessions", "session_breakdowns", "enterprise_consumption"):
            made.play("poll", task)
        scrape = made.polled.scrape()
        for name in ("today", "cycle"):
            assert rows(scrape, "tag", name) == {"a": 2.5, "unexplained": 0.5}
            assert rows(scrape, "origin", name) == {"o0": 2.5, "unexplained": 0.5}
            labels = {"git.example.com/acme/x": 2.5, "unexplained": 0.5}
            assert rows(scrape, "repository", name) == labels


def session_at(moment: float, acus: float) -> SessionItem:
    row = Worker(1, CYCLES[0], ["a"], ["x"], [(moment, acus)]).row(moment)
    return SessionItem.model_validate_json(json.dumps(row))


def test_a_book_that_was_stored_goes_on_where_it_ended() -> None:
    cycle, now = Window(CYCLES[1], CYCLES[2]), CYCLES[1] + 3_600

    def poll(book: Book, at: float, acus: float) -> Mapping[str, Mapping[str, float]]:
        windows = billing_windows(at, cycle=cycle, previous_cycle=None)
        book.poll(Changes(at - 7_200, at, Listing([session_at(at, acus)])), windows)
        found = book.rows("cycle", cycle, most=5)
        return found.acus if found else {}

    book, again = Book(written=True), Book(written=True)
    assert poll(book, now, 5.0)["tag"] == {}
    kept = {key: entry.encode() for key, entry in book.entries().items()}
    again.restore(kept)
    assert again.entries().keys() == book.entries().keys()
    again.begin(billing_windows(now, cycle=cycle, previous_cycle=None))
    assert again.rows("cycle", cycle, most=5) == book.rows("cycle", cycle, most=5)
    assert poll(again, now + 600, 7.5) == poll(book, now + 600, 7.5)
    assert poll(again, now + 600, 7.5)["tag"] == {"a": 2.5}
    for damaged in ({}, {"": b"[]"}, {**kept, "": b"{"}, {**kept, "": b"{}"}):
        with pytest.raises(ValueError, match=r"."):
            again.restore(damaged)
    assert poll(again, now + 600, 7.5)["tag"] == {"a": 2.5}


def test_a_book_without_tags_does_not_go_on_with_one_that_has_them_nor_the_other_way() -> None:
    for written in (True, False):
        book = Book(written=written)
        book.poll(
            Changes(CYCLES[1], CYCLES[1] + 60, Listing([session_at(CYCLES[1] + 60, 1.0)])),
            billing_windows(CYCLES[1] + 60, cycle=None, previous_cycle=None),
        )
        kept = {key: entry.encode() for key, entry in book.entries().items()}
        with pytest.raises(ValueError, match="other labels"):
            Book(written=not written).restore(kept)
