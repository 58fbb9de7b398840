"""Polling, publishing and time: tasks made by hand, a clock set by hand."""

import gc
import math
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from prometheus_client import CollectorRegistry

from exporter import errors
from exporter.metrics import Metric, Sample
from exporter.process import Timing
from exporter.scheduling.scheduler import PROGRESS_SECONDS, Scheduler
from exporter.scheduling.store import Store
from exporter.scheduling.task import Snapshot, Task
from tests.support.limits import HANG_SECONDS
from tests.support.rig import Clock, Scrape

VALUE = Metric("some_value", "A value.", ("of",))
OTHER = Metric("other_value", "Another value.")
INTERVAL = 300.0


@dataclass
class Double:
    """A data set that answers as told."""

    clock: Clock
    error: Exception | None = None
    value: float | None = None
    sent: float = -math.inf
    window_ends: float = math.inf
    while_polling: Callable[[], None] = field(default=lambda: None)

    def poll(self) -> None:
        """Take an answer or fail."""
        self.while_polling()
        if self.error is not None:
            raise self.error
        self.sent = self.clock()
        self.value = 1.0 if self.value is None else self.value

    def snapshot(self, now: float, max_age: float) -> Snapshot:
        """Publish the value while it is young and its window lasts."""
        if self.value is None:
            return Snapshot()
        if now >= self.sent + max_age:
            return Snapshot(expired_entities=1)
        if now >= self.window_ends:
            return Snapshot(expires=self.sent + max_age)
        return Snapshot((VALUE(self.value, of="it"),), expires=self.sent + max_age)

    def next_window_end(self, now: float) -> float:
        """The end of its only window, until it has passed."""
        return self.window_ends if now < self.window_ends else math.inf

    def task(self, name: str = "it", **options: object) -> Task:
        """The task of it."""
        after = options.get("after", ())
        assert isinstance(after, tuple)
        return Task(
            name=name,
            source="test",
            interval=INTERVAL,
            metrics=(VALUE,),
            poll=self.poll,
            snapshot=self.snapshot,
            next_window_end=self.next_window_end,
            depends_on=after,
            required_for_ready=lambda: True,
        )


@dataclass
class Bench:
    """A scheduler with its store and counters."""

    tasks: list[Task]
    clock: Clock

    def __post_init__(self) -> None:
        self.registry = CollectorRegistry()
        self.stopwatch = Clock(0.0)
        self.store = Store(self.tasks)
        self.scheduler = Scheduler(
            self.tasks,
            store=self.store,
            registry=self.registry,
            timing=Timing(self.clock, self.stopwatch),
        )

    def poll(self, name: str = "it") -> None:
        """Run a task once."""
        self.scheduler.poll(next(task for task in self.tasks if task.name == name))

    def scrape(self) -> Scrape:
        """What is published."""
        return Scrape.of(self.store.page.text.decode())

    def failures(self, reason: str) -> float | None:
        """How often it failed."""
        labels = {"task": "it", "reason": reason}
        return self.registry.get_sample_value("devin_exporter_task_failures_total", labels)


@pytest.fixture
def clock() -> Clock:
    return Clock(1_000_000.0)


@pytest.fixture
def double(clock: Clock) -> Double:
    return Double(clock)


@pytest.fixture
def bench(double: Double, clock: Clock) -> Bench:
    return Bench([double.task()], clock)


def test_before_the_first_attempt_nothing_is_said_of_a_task(bench: Bench) -> None:
    assert bench.scrape().names() == set()
    assert bench.store.not_ready() == ("it",)


def test_a_success_publishes_and_says_so(bench: Bench, clock: Clock) -> None:
    bench.poll()
    scrape = bench.scrape()
    assert scrape.one("some_value", of="it") == 1
    assert scrape.one("devin_exporter_task_up", task="it") == 1
    assert scrape.one("devin_exporter_task_series", task="it") == 1
    assert scrape.one("devin_exporter_task_entities_missing", task="it") == 0
    assert scrape.one("devin_exporter_task_last_success_timestamp_seconds", task="it") == clock()
    assert bench.store.not_ready() == ()


def test_every_reason_is_counted_from_zero(bench: Bench) -> None:
    assert {bench.failures(reason) for reason in errors.failure_reasons()} == {0.0}


def test_a_failure_keeps_the_last_good_values_and_turns_up_to_zero(
    bench: Bench, double: Double, clock: Clock
) -> None:
    bench.poll()
    succeeded = clock()
    double.error = errors.ServerFailedError("/v3/x answered 500")
    clock.now += INTERVAL
    bench.poll()
    scrape = bench.scrape()
    assert scrape.one("some_value", of="it") == 1
    assert scrape.one("devin_exporter_task_up", task="it") == 0
    assert scrape.one("devin_exporter_task_last_success_timestamp_seconds", task="it") == succeeded
    assert bench.failures("server_error") == 1
    assert bench.store.not_ready() == ()


def test_after_three_intervals_the_values_go_without_a_request(bench: Bench, clock: Clock) -> None:
    bench.poll()
    clock.now += 3 * INTERVAL - 1
    bench.scheduler.tick()
    assert bench.scrape().one("some_value", of="it") == 1
    assert bench.store.page.valid_until == clock() + 1
    clock.now += 1
    bench.scheduler.tick()
    scrape = bench.scrape()
    assert scrape.one("some_value", of="it") is None
    assert scrape.one("devin_exporter_task_up", task="it") == 0
    assert scrape.one("devin_exporter_task_entities_missing", task="it") == 1


def test_a_window_ends_at_its_second_and_leaves_the_task_up(
    bench: Bench, double: Double, clock: Clock
) -> None:
    double.window_ends = clock() + 10
    bench.poll()
    assert bench.store.page.valid_until == clock() + 10
    clock.now += 10
    bench.scheduler.tick()
    scrape = bench.scrape()
    assert scrape.one("some_value", of="it") is None
    assert scrape.one("devin_exporter_task_up", task="it") == 1


def test_a_fault_of_ours_is_a_counted_failure_and_ends_nothing(
    bench: Bench, double: Double, caplog: pytest.LogCaptureFixture
) -> None:
    double.error = ZeroDivisionError("ours")
    bench.poll()
    assert bench.failures("internal") == 1
    assert bench.scrape().one("devin_exporter_task_up", task="it") == 0
    assert [record.getMessage() for record in caplog.records] == ["task failed"]
    double.error = None
    bench.poll()
    assert bench.scrape().one("devin_exporter_task_up", task="it") == 1


def test_the_same_failure_is_logged_once_and_its_end_too(
    bench: Bench, double: Double, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "exporter")
    double.error = errors.ServerFailedError("/v3/x answered 500")
    bench.poll()
    bench.poll()
    double.error = errors.DeadlineError("/v3/x did not answer in time")
    bench.poll()
    double.error = None
    bench.poll()
    bench.poll()
    assert [record.getMessage() for record in caplog.records] == [
        "task failed: /v3/x answered 500",
        "task failed: /v3/x did not answer in time",
        "task recovered",
    ]


def test_a_refused_key_is_left_to_the_client_to_tell(
    bench: Bench, double: Double, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "exporter")
    double.error = errors.KeyRefusedError("/v3/x answered 401")
    bench.poll()
    double.error = None
    bench.poll()
    assert caplog.records == []
    assert bench.failures("unauthorized") == 1


def test_a_partial_failure_counts_each_reason_once(bench: Bench, double: Double) -> None:
    slow, broken = errors.DeadlineError("slow"), errors.ServerFailedError("broken")
    parts: dict[str, errors.PollError] = {"a": slow, "b": broken, "c": broken}
    double.error = errors.PartialError(parts, asked=9, complete=True)
    bench.poll()
    assert bench.failures("timeout") == bench.failures("server_error") == 1


class Answer:
    """Stands for what a poll holds when it fails."""


def test_what_a_failed_poll_held_is_let_go_with_it(bench: Bench, double: Double) -> None:
    held: list[weakref.ref[Answer]] = []

    def hold_and_fail() -> None:
        answer = Answer()
        held.append(weakref.ref(answer))
        raise errors.ShapeError("it is not what it should be")

    double.while_polling = hold_and_fail
    gc.disable()
    bench.poll()
    gc.enable()
    assert bench.store.states()["it"].up is False
    assert held[0]() is None


def test_a_failure_of_some_is_told_again_only_for_other_reasons(
    bench: Bench, double: Double, caplog: pytest.LogCaptureFixture
) -> None:
    slow, down = errors.DeadlineError("slow"), errors.ServerFailedError("500")
    for failures in ({"a": slow}, {"a": slow, "b": slow}, {"a": slow, "b": down}):
        double.error = errors.PartialError(dict(failures), asked=3, complete=True)
        bench.poll()
    assert sum("task failed" in record.message for record in caplog.records) == 2


def test_what_cannot_be_published_goes_and_is_told(
    double: Double, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    twice = Metric("some_value", "A value.", ("of",))
    task = Task(
        name="it",
        source="test",
        interval=INTERVAL,
        metrics=(twice,),
        poll=double.poll,
        snapshot=lambda now, max_age: Snapshot(
            (*double.snapshot(now, max_age).samples, *double.snapshot(now, max_age).samples)
        ),
    )
    bench = Bench([task], clock)
    bench.poll()
    scrape = bench.scrape()
    assert scrape.one("some_value", of="it") is None
    assert scrape.one("devin_exporter_task_up", task="it") == 0
    assert bench.failures("internal") == 1
    assert "two series" in caplog.text


def test_a_family_that_a_task_does_not_declare_is_refused(clock: Clock) -> None:
    task = Task(
        name="it",
        source="test",
        interval=INTERVAL,
        metrics=(OTHER,),
        poll=lambda: None,
        snapshot=lambda now, max_age: Snapshot((VALUE(now * max_age, of="it"),)),
    )
    bench = Bench([task], clock)
    bench.poll()
    assert bench.failures("internal") == 1
    assert "some_value" not in bench.scrape().names()


def test_two_tasks_may_not_share_a_name_or_a_family(double: Double) -> None:
    with pytest.raises(ValueError, match="a name"):
        Store([double.task(), double.task()])
    with pytest.raises(ValueError, match="one family"):
        Store([double.task(), double.task(name="other")])


def derived(double: Double, *after: str) -> Task:
    def snapshot(now: float, max_age: float) -> Snapshot:
        fresh = double.value is not None and now < double.sent + max_age
        samples: tuple[Sample, ...] = (OTHER(double.value or 0.0),) if fresh else ()
        return Snapshot(samples, expires=double.sent + max_age if fresh else math.inf)

    return Task(
        name="derived",
        source="test",
        interval=INTERVAL,
        metrics=(OTHER,),
        poll=None,
        snapshot=snapshot,
        depends_on=after,
    )


def test_what_is_derived_follows_every_poll_and_says_nothing_of_itself(
    double: Double, clock: Clock
) -> None:
    bench = Bench([double.task(), derived(double, "it")], clock)
    for value in (3.0, 4.0):
        double.value = value
        bench.poll()
        assert bench.scrape().one("other_value") == value
    assert bench.scrape().one("devin_exporter_task_up", task="derived") is None
    bench.poll("derived")
    clock.now += 3 * INTERVAL
    bench.scheduler.tick()
    assert bench.scrape().one("other_value") is None


def test_a_run_that_takes_longer_than_its_interval_makes_data_live_longer(
    double: Double, clock: Clock
) -> None:
    bench = Bench([double.task()], clock)

    def take_an_hour() -> None:
        bench.stopwatch.now += 3_600

    double.while_polling = take_an_hour
    bench.poll()
    assert bench.store.page.valid_until == double.sent + 2 * 3_600 + INTERVAL
    assert bench.scrape().one("devin_exporter_task_duration_seconds", task="it") == 3_600


def test_a_run_that_did_not_request_everything_does_not_say_how_long_data_lives(
    double: Double, clock: Clock
) -> None:
    everything = iter([True, False])
    task = replace(double.task(), requested_everything=lambda: next(everything))
    bench = Bench([task], clock)
    durations = iter([3_600.0, 10.0])

    def take_some_time() -> None:
        bench.stopwatch.now += next(durations)

    double.while_polling = take_some_time
    bench.poll()
    clock.now += INTERVAL
    bench.poll()
    assert bench.scrape().one("devin_exporter_task_duration_seconds", task="it") == 10
    assert bench.store.page.valid_until == double.sent + 2 * 3_600 + INTERVAL


def test_data_from_before_a_run_expires_by_its_age_however_long_the_run_lasts(
    double: Double, bench: Bench, clock: Clock
) -> None:
    bench.poll()
    seen: list[float | None] = []

    def take_an_hour() -> None:
        for pause in (3 * INTERVAL - 2, 20, 3_600):
            clock.now += pause
            bench.scheduler.tick()
            seen.append(bench.scrape().one("some_value", of="it"))

    double.while_polling = take_an_hour
    clock.now += 1
    bench.poll()
    assert seen == [1.0, None, None]
    assert bench.scrape().one("some_value", of="it") == 1.0


def test_what_a_run_has_received_lives_until_its_end_however_long_it_lasts(
    double: Double, bench: Bench, clock: Clock
) -> None:
    seen: list[float | None] = []

    def take_an_hour() -> None:
        double.sent, double.value = clock(), 7.0
        clock.now += 3_600
        bench.scheduler.tick()
        seen.append(bench.scrape().one("some_value", of="it"))

    double.while_polling = take_an_hour
    bench.poll()
    assert seen == [7.0]


def test_a_run_that_failed_half_way_says_how_long_data_lives_until_one_has_requested_everything(
    double: Double, bench: Bench, clock: Clock
) -> None:
    def take_an_hour() -> None:
        double.sent, double.value = clock(), 7.0
        bench.stopwatch.now += 3_600
        clock.now += 3_600

    double.while_polling = take_an_hour
    double.error = errors.PartialError({"a": errors.NotFoundError("404")}, asked=2, complete=False)
    bench.poll()
    received = double.sent
    seen: list[float | None] = []

    def begin_again() -> None:
        for pause in (-1, 20):
            clock.now = received + 2 * 3_600 + INTERVAL + pause
            bench.scheduler.tick()
            seen.append(bench.scrape().one("some_value", of="it"))

    double.while_polling = begin_again
    bench.poll()
    assert seen == [7.0, None]


def test_while_a_long_run_lasts_what_it_has_learned_is_published(
    bench: Bench, double: Double, clock: Clock
) -> None:
    seen: list[float | None] = []

    def in_the_middle() -> None:
        double.sent, double.value = clock(), 7.0
        clock.now += PROGRESS_SECONDS - 1
        bench.scheduler.tick()
        seen.append(bench.scrape().one("some_value", of="it"))
        clock.now += 1
        bench.scheduler.tick()
        seen.append(bench.scrape().one("some_value", of="it"))

    double.while_polling = in_the_middle
    bench.poll()
    assert seen == [None, 7.0]


def test_a_stop_in_the_middle_is_no_failure(bench: Bench, double: Double) -> None:
    double.error = errors.StoppedError("shutting down")
    bench.poll()
    assert bench.scrape().names() == set()


def test_tasks_start_at_once_and_those_that_wait_for_others_after_them(
    double: Double, clock: Clock
) -> None:
    order: list[str] = []
    done = threading.Event()

    def note(name: str) -> Callable[[], None]:
        def poll() -> None:
            order.append(name)
            if name == "second":
                done.set()
            else:
                raise errors.NotFoundError("/v3/x answered 404")

        return poll

    def task(name: str, *after: str) -> Task:
        return Task(
            name=name,
            source="test",
            interval=INTERVAL,
            metrics=(),
            poll=note(name),
            snapshot=double.snapshot,
            depends_on=after,
        )

    bench = Bench([task("second", "first"), task("first")], clock)
    bench.scheduler.start()
    assert done.wait(HANG_SECONDS)
    bench.scheduler.stop()
    assert order == ["first", "second"]


def test_a_run_that_is_due_while_the_last_one_lasts_is_counted_as_skipped(
    clock: Clock,
) -> None:
    release, counted = threading.Event(), threading.Event()
    registry = CollectorRegistry()

    def lasts() -> None:
        release.wait(HANG_SECONDS)

    task = Task(
        name="it",
        source="test",
        interval=0.05,
        metrics=(),
        poll=lasts,
        snapshot=lambda now, max_age: Snapshot(expires=now + max_age),
    )
    scheduler = Scheduler([task], store=Store([task]), registry=registry, timing=Timing(clock))
    scheduler.start()
    labels = {"task": "it"}
    for _ in range(1_000):
        if registry.get_sample_value("devin_exporter_task_skipped_total", labels):
            break
        counted.wait(0.01)
    release.set()
    scheduler.stop()
    skipped = registry.get_sample_value("devin_exporter_task_skipped_total", labels)
    assert skipped is not None
    assert skipped >= 1


def test_a_poll_is_due_five_seconds_after_a_window_ends(double: Double, clock: Clock) -> None:
    double.window_ends = clock() + 100
    bench = Bench([double.task()], clock)
    bench.poll()
    due_in = bench.scheduler.due_in("it")
    assert due_in is not None
    assert 104 < due_in <= 105


def test_a_window_that_ends_in_the_middle_of_a_poll_makes_another_due(
    double: Double, clock: Clock
) -> None:
    double.window_ends = clock() + 100

    def last() -> None:
        clock.now += 102

    double.while_polling = last
    bench = Bench([double.task()], clock)
    bench.poll()
    due_in = bench.scheduler.due_in("it")
    assert due_in is not None
    assert 2 < due_in <= 3


def test_a_poll_that_is_due_sooner_anyway_is_not_put_off(double: Double, clock: Clock) -> None:
    bench = Bench([double.task()], clock)
    double.window_ends = clock() + 50
    bench.poll()
    double.window_ends = clock() + 5_000
    bench.poll()
    due_in = bench.scheduler.due_in("it")
    assert due_in is not None
    assert due_in <= 55


def reading(name: str, *after: str, polled: list[str]) -> Task:
    return Task(
        name=name,
        source="test",
        interval=INTERVAL,
        metrics=(),
        poll=lambda: polled.append(name),
        snapshot=lambda now, max_age: Snapshot(expires=now + max_age),
        depends_on=after,
    )


@pytest.mark.parametrize("notify_on_change", [True, False])
def test_what_announces_its_changes_makes_its_readers_run_at_once(
    double: Double, clock: Clock, *, notify_on_change: bool
) -> None:
    polled: list[str] = []
    again = threading.Event()

    def poll() -> None:
        polled.append("reader")
        again.set()

    reader = replace(reading("reader", "it", polled=polled), poll=poll)
    bench = Bench([replace(double.task(), notify_on_change=notify_on_change), reader], clock)
    bench.scheduler.start()
    assert again.wait(HANG_SECONDS)
    again.clear()
    double.value = 2.0
    bench.poll()
    assert again.wait(HANG_SECONDS if notify_on_change else 1) == notify_on_change
    bench.scheduler.stop()


def test_a_release_in_the_middle_of_a_readers_run_makes_it_run_again(
    double: Double, clock: Clock
) -> None:
    polled: list[str] = []
    tasks = [double.task(), replace(reading("reader", "it", polled=polled))]
    bench = Bench(tasks, clock)
    bench.poll()

    def read() -> None:
        double.error = errors.ServerFailedError("broken")
        bench.poll()
        double.error = None
        bench.poll()

    bench.scheduler.poll(replace(tasks[1], poll=read))
    due_in = bench.scheduler.due_in("reader")
    assert due_in is not None
    assert due_in <= 1
