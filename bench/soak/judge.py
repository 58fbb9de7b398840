"""Whether the page of a soak shows only what it may. All moments are Unix seconds.

A figure must lie between what the world says of its window at the oldest moment whose answer may
still be shown and what it says now; a window that no such moment tells must be absent. What a
task's last success expected must be shown until it is too old.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import NamedTuple

from bench.soak.expected import Expected, Ledger, Series, queue_status
from bench.soak.faults import (
    AIONE,
    DEVIN,
    EVERYTHING,
    HOSTS,
    KEY_REFUSED,
    NOBODY_ONCE,
    OF_ROWS,
    SOURCES,
    Life,
)
from tests.support.rig import Scrape

PACE_SECONDS = 15.0
"""What is too old goes so much later at the latest, as not each deserves a page of its own."""
SETTLED_SECONDS = 60.0
"""A run whose end is shown has been published by then."""
KEY_NOTICED_SECONDS = 800.0
"""So long after its key is refused or accepted again every source has asked, with all retries."""
TOLERANCE = 1e-6
LISTED_BY = {
    "organization_consumption": "organizations",
    "user_consumption": "users",
    "service_user_consumption": "service_users",
}
"""Until such a list is read whole, nothing is requested of whom it lacks."""
UP = "devin_exporter_task_up"
LAST_SUCCESS = "devin_exporter_task_last_success_timestamp_seconds"
DURATION = "devin_exporter_task_duration_seconds"
UNATTRIBUTED = "devin_exporter_unattributed_cycle_acus"


@dataclass(frozen=True)
class Look:
    """What one look at the exporter found, asked for at `since` and answered at `until`."""

    since: float
    until: float
    page: str
    healthy: int
    ready: int


@dataclass(frozen=True)
class Violation:
    """Something that the page must not show."""

    at: float
    what: str


class Run(NamedTuple):
    """When a run that succeeded began, if that is known, and ended."""

    began: float
    ended: float


NONE_YET = Run(-math.inf, math.inf)


@dataclass
class Judge:
    """Judges one look after the other.

    Attributes:
        judged: figures that were shown.
        demanded: figures that had to be shown.
        restored: those of them that were demanded in the first looks after restarts.
        crossed: looks during which a window ended, whose figures are of either side.
        oldest: seconds; the age that the oldest figure may have had.
    """

    ledger: Ledger
    life: Life
    violations: list[Violation] = field(default_factory=list)
    judged: int = 0
    demanded: int = 0
    restored: int = 0
    crossed: int = 0
    oldest: float = 0.0
    _longest: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    _good_runs: defaultdict[str, Run] = field(default_factory=lambda: defaultdict(lambda: NONE_YET))
    _first_good: dict[str, float] = field(default_factory=dict)
    _cycle_known: dict[float, float] = field(default_factory=dict)
    _totals: Mapping[Series, float] = field(default_factory=dict)
    _was_ready: bool = False
    _started: float = -math.inf
    _is_first: bool = False

    def restarted(self, at: float) -> None:
        """Forget what the process before has shown."""
        self._started = at
        self._good_runs.clear()
        self._totals = {}
        self._was_ready = False
        self._is_first = True

    def judge(self, look: Look) -> Scrape | None:
        """Judge a look; gives what the page shows, if it can be read."""
        found = [*self._health(look)]
        try:
            scrape = Scrape.of(look.page)
        except (AssertionError, ValueError) as unreadable:
            self._note(look, [*found, str(unreadable)])
            return None
        for labels, seconds in scrape.family(DURATION).items():
            task = dict(labels)["task"]
            self._longest[task] = max(self._longest[task], seconds)
            self._note_run(scrape, task, seconds)
        cycle, cycles = self._cycle(look), self._good_runs["cycles"]
        if cycles.began >= cycle:
            self._cycle_known.setdefault(cycle, cycles.ended)
        found += self._numbers(scrape)
        found += self._own(scrape, look)
        expected, later = list(self.ledger.expected(look.since)), self.ledger.expected(look.until)
        if [each.since for each in expected] == [each.since for each in later]:
            demanded = self.demanded
            found += self._figures(scrape, look, expected)
            self.restored += (self.demanded - demanded) * self._is_first
            found += self._unattributed(scrape, look)
        else:
            self.crossed += 1
        self._is_first = False
        self._note(look, found)
        return scrape

    def _note_run(self, scrape: Scrape, task: str, seconds: float) -> None:
        """The duration that is shown is that of the last run, whether it was good or not."""
        ended = scrape.one(LAST_SUCCESS, task=task)
        if ended is None or ended == self._good_runs[task].ended:
            return
        began = ended - seconds if scrape.one(UP, task=task) == 1 else -math.inf
        if task in LISTED_BY and self.life.at(began - SETTLED_SECONDS, ended, DEVIN):
            # Without a total, it confirms only those whose turn it was.
            began = min(began, self._good_runs[task].began)
        self._first_good.setdefault(task, ended)
        self._good_runs[task] = Run(began, ended)

    def _note(self, look: Look, found: list[str]) -> None:
        self.violations += [Violation(look.until, what) for what in found]

    def _health(self, look: Look) -> Iterator[str]:
        if look.healthy != HTTPStatus.OK:
            yield f"/-/healthy answered {look.healthy}"
        around = self.life.at(look.since, look.until)
        if self._was_ready and look.ready != HTTPStatus.OK and not self._may_be_refused(look):
            yield f"/-/ready answered {look.ready} while no key was refused"
        for each in around:
            met = max(each.begins, self._started)
            noticed = met + KEY_NOTICED_SECONDS < look.since and look.until < each.ends
            whole = each.where[0] in {EVERYTHING, *SOURCES}
            if (
                each.kind == KEY_REFUSED
                and whole
                and noticed
                and look.ready != HTTPStatus.SERVICE_UNAVAILABLE
            ):
                yield f"/-/ready answered {look.ready} while the key was refused"
        self._was_ready = self._was_ready or look.ready == HTTPStatus.OK

    def _may_be_refused(self, look: Look) -> bool:
        """Whether a source may not have been answered anything else than 401 since it was."""
        return any(self._refused_by(host, look) for host in HOSTS)

    def _refused_by(self, host: str, look: Look) -> bool:
        refused, quiet_since = False, -math.inf
        for each in self.life.at(-math.inf, look.until, host):
            answered = each.begins - quiet_since > KEY_NOTICED_SECONDS
            refused = each.kind == KEY_REFUSED or (refused and not answered)
            quiet_since = each.ends
        return refused and look.since - quiet_since <= KEY_NOTICED_SECONDS

    def _numbers(self, scrape: Scrape) -> Iterator[str]:
        for key, value in scrape.values.items():
            if not math.isfinite(value):
                yield f"{_text(key)} is {value}"
        totals = {key: n for key, n in scrape.values.items() if key[0].endswith("_total")}
        for key, before in self._totals.items():
            if totals.get(key, -1.0) < before:
                yield f"{_text(key)} fell from {before} to {totals.get(key)}"
        self._totals = totals

    def _own(self, scrape: Scrape, look: Look) -> Iterator[str]:
        for labels, count in scrape.family("devin_exporter_task_failures_total").items():
            if dict(labels)["reason"] == "internal" and count:
                yield f"{dict(labels)['task']} failed by a fault of its own"
        for labels, at in scrape.family(LAST_SUCCESS).items():
            if at > look.until:
                yield f"{dict(labels)['task']} succeeded in the future"
        size = scrape.one("devin_queue_size")
        statuses = scrape.family("devin_queue_status")
        present = [dict(labels)["status"] for labels, value in statuses.items() if value == 1]
        if present != ([] if size is None else [queue_status(size)]):
            yield f"a queue of {size} is {present}"

    def _figures(self, scrape: Scrape, look: Look, expected: list[Expected]) -> Iterator[str]:
        allowed: dict[Series, tuple[float, float]] = {}
        families: set[str] = set()
        for each in expected:
            bounds = self._bounds(each, look)
            allowed |= bounds
            families |= {name for name, _ in bounds} or {name for name, _ in each.at(look.until)}
            if self._must_be_shown(each, scrape, look):
                demanded = [(key, low) for key, (low, _) in bounds.items() if low > TOLERANCE]
                self.demanded += len(demanded)
                for key, low in demanded:
                    if key not in scrape.values:
                        yield f"{_text(key)} is absent, and was expected to be {low} or more"
        for key, value in scrape.values.items():
            if key[0] not in families:
                continue
            if key not in allowed:
                yield f"{_text(key)} is {value}, and no answer can tell it"
                continue
            low, high = allowed[key]
            self.judged += 1
            if not low - TOLERANCE <= value <= high + TOLERANCE:
                yield f"{_text(key)} is {value}, and was expected to be from {low} to {high}"

    def _age(self, expected: Expected) -> float:
        age = max(3 * expected.interval, 2 * self._longest[expected.task] + expected.interval)
        self.oldest = max(self.oldest, age)
        return age

    def _bounds(self, expected: Expected, look: Look) -> dict[Series, tuple[float, float]]:
        since = max(expected.since, look.since - self._age(expected) - PACE_SECONDS)
        around = self.life.at(look.since, look.until, expected.host)
        if since > look.until or any(each.silences(expected.since, look.until) for each in around):
            return {}
        moments = self.ledger.moments(since, look.until, step=expected.step)
        figures = [expected.at(moment) for moment in moments]
        keys = set().union(*figures)
        courses = {key: [each.get(key, 0.0) for each in figures] for key in keys}
        return {key: (min(course), max(course)) for key, course in courses.items()}

    def _must_be_shown(self, expected: Expected, scrape: Scrape, look: Look) -> bool:
        """Whether the last success of a task was asked for in time and is not too old."""
        began, ended = self._good_runs[expected.task]
        if expected.task == "service_user_consumption":
            # Those that it does not request are as fresh as the total that the users' poll reads.
            began = min(began, self._good_runs["user_consumption"].began)
        if ended + SETTLED_SECONDS > look.since or began < expected.since:
            return False
        cycle_known = self._cycle_known.get(self._cycle(look), math.inf) + SETTLED_SECONDS <= began
        if expected.of_cycle and not cycle_known:
            return False
        listed_by = LISTED_BY.get(expected.task)
        if listed_by and self._first_good.get(listed_by, math.inf) > began:
            return False
        around = self.life.at(began - self._age(expected), look.until, expected.host)
        # Whoever is on a list no more is shown until the next one agrees, or the last is too old.
        of_lists = {NOBODY_ONCE} if expected.task in LISTED_BY.values() else set[str]()
        if any(each.kind in {*OF_ROWS, *of_lists} for each in around):
            return False
        partly = self.life.at(began - SETTLED_SECONDS, look.until, AIONE)
        if expected.host == AIONE and partly:
            return False
        # A run may have begun a little earlier, as its end is noted only when it can be published.
        expires = began + 3 * expected.interval - SETTLED_SECONDS
        return scrape.one(UP, task=expected.task) == 1 or look.until < expires

    def _cycle(self, look: Look) -> float:
        return float(self.ledger.world.cycles(look.since)[0][0])

    def _unattributed(self, scrape: Scrape, look: Look) -> Iterator[str]:
        """The parts were asked for at other moments than the whole, which grew meanwhile."""
        since = max(self._cycle(look), look.since - self.oldest - PACE_SECONDS)
        moments = self.ledger.moments(since, look.until)
        whole = [self.ledger.in_cycle(look.until, at) for at in moments]
        of_users = [self.ledger.in_cycle(look.until, at, of_users_alone=True) for at in moments]
        grown = max(whole) - min(whole) + TOLERANCE
        for scope, low, high in (
            ("organizations", min(of_users) - grown, max(of_users) + grown),
            ("users", -grown, grown),
        ):
            value = scrape.one(UNATTRIBUTED, scope=scope)
            if value is not None and not low <= value <= high:
                yield f"{scope} leave {value} unattributed, which is from {low} to {high}"


def _text(key: Series) -> str:
    name, labels = key
    return name + "".join(f" {value}" for _, value in sorted(labels))
