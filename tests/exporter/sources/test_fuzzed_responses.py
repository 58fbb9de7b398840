"""Responses near the documented ones, through every parser and through the exporter to its page.

A recorded answer is changed at random places and its bytes are damaged. Whatever comes of it, a
poll succeeds or fails with an error of the tree, what it failed to tell stays as it was, and
every number on the page is one.
"""

import logging
import math
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from itertools import chain
from urllib.parse import quote
from zoneinfo import ZoneInfo

import httpx
import pytest
import respx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)

from exporter.client.checkpoint import Checkpoint
from exporter.client.request_metrics import RequestMetrics
from exporter.errors import PartialError, PollError
from exporter.exposition.openmetrics import BackfillRange, SampleTimes, write
from exporter.exposition.render import render
from exporter.metrics import Sample
from exporter.scheduling.scheduler import FAILURES
from exporter.scheduling.store import METRICS as STORE_METRICS
from exporter.scheduling.store import TaskState
from exporter.scheduling.task import Task
from exporter.sources import SOURCES
from exporter.sources.aione.models import DashboardResponse
from exporter.sources.aione.samples import Dashboard
from exporter.sources.source import Backfill, Shared, open_sources
from tests.exporter.sources.test_sources import all_sources
from tests.support.fuzzing import mutated
from tests.support.recorded import (
    ANSWERS,
    NAMES,
    RECORDED,
    SHAPE_OF,
    SHAPES,
    name_of,
    read,
)
from tests.support.rig import (
    KEY,
    Clock,
    Rig,
    Scrape,
    SkippedWaits,
    at,
    settings_at,
)

URL = "http://127.0.0.1:9"
NOW = at("2026-03-20 15:30:00")
RecordProperty = Callable[[str, object], None]


def seed_of(drawn: int, what: str) -> int:
    """The seed for one of the answers that share a drawn number; 0 for 0."""
    return zlib.crc32(f"{drawn} {what}".encode()) if drawn else 0


SEEDS = st.integers(0, 2**32 - 1)
Round = Mapping[str, int]
"""For each recorded answer what its seeds are made of; 0 leaves it as it is."""

ROUND: st.SearchStrategy[Round] = st.fixed_dictionaries(dict.fromkeys(RECORDED, SEEDS))
FEW: st.SearchStrategy[Round] = st.dictionaries(
    st.sampled_from(sorted(RECORDED)), SEEDS, min_size=1, max_size=6
)
WHOLE = {name: mutated(answer, 0) for name, answer in RECORDED.items()}


# Parsers

BODIES = 12
"""Of each recorded answer in each example."""


def test_every_shape_has_a_recorded_answer_and_every_recorded_answer_has_a_shape() -> None:
    assert len(SHAPES) > 15
    assert [path for path, names in ANSWERS.items() if not names] == []
    assert sorted(SHAPE_OF) == sorted(RECORDED) == sorted({name for _, name in NAMES})


def test_whatever_an_answer_is_a_parser_reads_it_or_refuses_it_with_an_error_of_the_tree(
    record_property: RecordProperty,
) -> None:
    made: Counter[str] = Counter()

    @settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    @given(ROUND)
    def one_example(drawn: Round) -> None:
        once = {id(shape): path for path, shape in SHAPES.items()}.values()
        asked = ((place, name) for place in once for name in ANSWERS[place])
        for place, name in asked:
            for number in range(BODIES):
                body = mutated(RECORDED[name], seed_of(drawn[name], f"{place} {number}"))
                if body == WHOLE[name]:
                    continue
                result = read(name, SHAPES[place], body)
                made["refused" if result is None else "read"] += 1
                if isinstance(result, DashboardResponse):
                    render(gateway_samples(result))

    one_example()
    assert made.total() >= settings().max_examples * 200
    assert min(made["read"], made["refused"]) > made.total() / 4
    record_property("answers that were fuzzed for the parsers", dict(made))


def gateway_samples(answer: DashboardResponse) -> Iterator[Sample]:
    """All that is published of a gateway's answer."""
    figures = Dashboard(answer, ZoneInfo("Asia/Shanghai"))
    yield from figures.samples()
    yield from figures.samples_of_day(date(2026, 3, 20))


# The page

AS_RECORDED: Round = {}
MEMBERS = "/v3beta1/organizations/"
"""How the path of an organization's own list of users begins."""

ENVIRONMENTS: tuple[Mapping[str, str], ...] = (
    {},
    {"DEVIN_SESSION_TITLES": "true", "AIONE_TIMEZONE": "Asia/Shanghai"},
    {"DEVIN_USER_METRICS": "hash", "DEVIN_USER_HASH_KEY": "secret"},
    {"DEVIN_USER_LIMIT": "1", "DEVIN_RECENT_SESSIONS": "1"},
)
STAYS = {"devin_metered", "devin_large_session_acus"}
"""What is never too old: once an ACU was seen, the plan is metered."""

PAUSES = st.sampled_from([60, 300, 3_600, 17 * 3_600])


@dataclass(frozen=True)
class Served:
    """One answer of the doubled transport; `asked` is its path and query but for a page's."""

    name: str
    path: str
    asked: str
    body: bytes
    fuzzed: bool


@dataclass
class Api:
    """Every endpoint of every source behind a doubled transport."""

    round: Round = field(default_factory=dict)
    served: list[Served] = field(default_factory=list)

    def answer(self, request: httpx.Request) -> httpx.Response:
        """A recorded answer, or what has become of it."""
        path, _, _ = request.url.raw_path.decode().partition("?")
        name = name_of(path)
        whole = dict(request.url.params)
        asked = {key: value for key, value in whole.items() if key not in {"after", "first"}}
        recorded = page_of(RECORDED[name], second="after" in whole)
        seed = seed_of(self.round.get(name, 0), request.url.raw_path.decode())
        body, plain = mutated(recorded, seed), mutated(recorded, 0)
        self.served.append(Served(name, path, f"{path}{asked}", body, fuzzed=body != plain))
        return httpx.Response(200, content=body)


def page_of(answer: object, *, second: bool) -> object:
    """The first page of a list, or the second; the answer itself if it has no pages."""
    if not isinstance(answer, dict) or "has_next_page" not in answer:
        return answer
    items = answer["items"]
    half = len(items) // 2
    if second:
        return {**answer, "items": items[half:]}
    return {**answer, "items": items[:half], "end_cursor": "next", "has_next_page": True}


class Faults(logging.Handler):
    """Collects what is logged as a fault of our own."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it with its traceback."""
        self.found.append(self.format(record))


@contextmanager
def no_faults() -> Iterator[None]:
    """Nothing is logged as a fault meanwhile."""
    faults = Faults()
    logging.getLogger().addHandler(faults)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(faults)
    assert faults.found == []


def check_page(polled: Rig) -> Scrape:
    """The page as it is now: whole, of finite numbers, and without a fault of our own."""
    page = polled.scrape()
    assert all(map(math.isfinite, page.values.values()))
    states = polled.store.states().values()
    own = page.names() & {metric.name for metric in STORE_METRICS}
    published = sum(state.rendered.series for state in states)
    assert len(page.values) == published + sum(len(page.family(name)) for name in own)
    for state in states:
        name, outcome = state.task.name, state.outcome
        assert state.unpublishable is None, name
        assert outcome is None or isinstance(outcome.error, PollError | None), name
    return page


def refused(answers: Iterable[Served]) -> bool:
    """Whether one of the pages of an answer is none."""
    return any(read(each.name, SHAPE_OF[each.name], each.body) is None for each in answers)


def check_unchanged(task: Task, before: TaskState, polled: Rig, served: list[Served]) -> None:
    """What a failed poll did not tell is what it was, and nothing else has come."""
    after = polled.store.states()[task.name]
    error = after.outcome.error if after.outcome else None
    if error is None or after.switched_off or before.rendered.text == after.rendered.text:
        return
    if any(each.path.startswith(MEMBERS) for each in served):
        return  # The second list of users, which an organization's key cannot ask for, is empty.
    asked: dict[str, list[Served]] = {}
    for answer in served:
        asked.setdefault(answer.asked, []).append(answer)
    told = [answers for answers in asked.values() if not refused(answers)]
    was, now = (Scrape.of(state.rendered.text.decode()).values for state in (before, after))
    # Zeros of a product come and go with the answers that name it, of whomever they are.
    unused = {
        (name, labels)
        for name, labels in was.keys() ^ now.keys()
        if "product" in dict(labels) and not (was | now)[name, labels]
    }
    for (name, labels), value in was.items():
        if now.get((name, labels)) == value or (name, labels) in unused:
            continue
        ids = {quote(text, safe="") for label, text in labels if label.endswith("_id")}
        own = [answers for answers in asked.values() if ids & {*answers[0].path.split("/")}]
        gone = isinstance(error, PartialError) and bool(ids) and not own
        assert gone or any(answers in told for answers in own or asked.values()), (name, labels)
    assert told or now.keys() <= was.keys() | unused, task.name


def poll(polled: Rig, api: Api) -> None:
    """Poll each task in turn, and check what it has changed."""
    polled.scheduler.tick()
    for task in polled.tasks:
        before, first = polled.store.states()[task.name], len(api.served)
        polled.scheduler.poll(task)
        check_unchanged(task, before, polled, api.served[first:])


def check_history(
    environment: Mapping[str, str], rounds: Sequence[tuple[int, Round]], *, known: bool
) -> int:
    """Poll good answers (if `known`), fuzzed ones, good ones, and wait; how many were fuzzed."""
    clock, api = Clock(NOW), Api()
    steps = [*([(0, AS_RECORDED)] if known else []), *rounds, *[(300, AS_RECORDED)] * 3]
    with (
        no_faults(),
        pytest.MonkeyPatch.context() as patch,
        respx.mock(assert_all_called=False) as router,
    ):
        for variable, value in environment.items():
            patch.setenv(variable, value)
        router.route().mock(side_effect=api.answer)
        with all_sources(URL, clock) as polled:
            for pause, api.round in steps:
                clock.now += pause
                poll(polled, api)
                check_page(polled)
            for labels, count in polled.own().family(FAILURES.name).items():
                assert not count or ("reason", "internal") not in labels, labels
            failing = {task.name: polled.error(task.name) for task in polled.tasks}
            assert not any(failing.values()), failing
            clock.now += 30 * 86_400
            own = {metric.name for metric in STORE_METRICS}
            assert check_page(polled).names() - own <= STAYS
    return sum(answer.fuzzed for answer in api.served)


def test_fuzzed_answers_leave_a_page_of_true_numbers_and_all_that_they_did_not_tell(
    record_property: RecordProperty,
) -> None:
    made: list[int] = []

    @settings(
        max_examples=settings().max_examples // 8,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(
        environment=st.sampled_from(ENVIRONMENTS),
        rounds=st.lists(st.tuples(PAUSES, ROUND), min_size=3, max_size=5),
        known=st.sampled_from([True, True, True, False]),
    )
    def one_example(
        *, environment: Mapping[str, str], rounds: list[tuple[int, Round]], known: bool
    ) -> None:
        made.append(check_history(environment, rounds, known=known))

    one_example()
    assert sum(made) >= settings().max_examples * 10
    record_property(f"answers that were fuzzed in {len(made)} histories of the page", sum(made))


# The check and the past


def check_other_commands(*, checked: Round, past_told: Round) -> int:
    """What `check` and `backfill` make of fuzzed answers; how many those were."""
    api = Api()
    waits = SkippedWaits()
    shared = Shared(RequestMetrics(CollectorRegistry()), waits, waits.timing(Clock(NOW)))
    loaded = settings_at(SOURCES, URL, {source.name: KEY for source in SOURCES})
    with (
        respx.mock(assert_all_called=False) as router,
        open_sources(SOURCES, loaded, shared) as opened,
    ):
        router.route().mock(side_effect=api.answer)
        for each in opened:
            api.round = checked
            assert "\n".join(each.source.check(each).lines).encode()
            api.round = past_told
            if each.source.backfill is not None:
                with suppress(PollError):
                    write_past(each.source.backfill(each, BackfillRange(3, NOW)))
    return sum(answer.fuzzed for answer in api.served)


def write_past(past: Backfill) -> None:
    """Write all that can be had of the past."""
    journal = Checkpoint.temporary()
    for request in chain.from_iterable(past.requests):
        with suppress(PollError):
            journal.add(request, past.client.get_json(request))
    lines: list[bytes] = []
    with suppress(PollError):
        write(
            past.stretches(journal),
            SampleTimes(every=3_600, last=NOW),
            constant={},
            into=lines.append,
        )
    journal.close()
    text = b"".join(lines).decode()
    for family in openmetrics_families(text) if text else ():
        assert all(math.isfinite(sample.value) for sample in family.samples)


def test_fuzzed_answers_end_neither_the_check_nor_a_backfill(
    record_property: RecordProperty,
) -> None:
    made: list[int] = []

    @settings(
        max_examples=settings().max_examples // 20,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(checked=ROUND, past_told=FEW)
    def one_example(*, checked: Round, past_told: Round) -> None:
        made.append(check_other_commands(checked=checked, past_told=past_told))

    one_example()
    assert sum(made) >= settings().max_examples
    record_property("answers that were fuzzed for the check and the past", sum(made))
