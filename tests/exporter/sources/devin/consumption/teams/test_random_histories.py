"""Groups and teams over random polls, failures, renames, changes of groups and of the teams file.

What users and service users are shown to have used is the measure: a row is the sum of its members
where the use of each of them is known, and else absent.
"""

import math
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.exporter.sources.devin.consumption.teams.enterprise import (
    NOW,
    POLLED,
    Enterprise,
    Person,
    polled,
    shown,
    total,
    write,
)
from tests.exporter.sources.devin.consumption.teams.history import (
    ALWAYS,
    BOTS,
    EVERYBODY,
    FILES,
    GROUPS,
    OWNERS,
    PEOPLE,
    STEPS,
    History,
    text_of,
)
from tests.support.rig import Clock

WINDOWS = ("today", "yesterday", "cycle")
HISTORIES = st.lists(
    st.one_of(
        *STEPS,
        st.tuples(st.just("use"), st.tuples(st.sampled_from(EVERYBODY), st.integers(-2, 1))),
        st.tuples(st.just("poll"), st.sets(st.sampled_from(EVERYBODY), max_size=2)),
    ),
    min_size=1,
    max_size=8,
)


def judge(played: History, what: str) -> None:
    """A row is there if all its members are known, and then it is their sum."""
    scrape = played.running.scrape()
    fresh = bool(scrape.family("devin_users"))
    for window in WINDOWS:
        users, bots = (shown(scrape, kind, window) for kind in ("user", "service_user"))
        for kind, use in (("group", users), ("team", {**users, **bots})):
            found = shown(scrape, kind, window)
            known = {entity for entity, _ in use}
            rows = {name: ids for name, ids in played.members(kind).items() if ids <= known}
            teams = {team for *_, team in played.rules} if kind == "team" else set()
            once = {name for each, name in played.once if each == kind}
            empty = (teams | once) - played.members(kind).keys()
            played.once |= {(kind, name) for name, _ in found}
            place = (what, window, kind)
            assert {name for name, _ in found} - empty == (rows.keys() if fresh else set()), place
            for (name, product), acus in found.items():
                of_row = [use.get((entity, product), 0.0) for entity in rows.get(name, ())]
                assert acus == pytest.approx(math.fsum(of_row), abs=1e-6), (*place, name, product)
            if fresh and rows == played.members(kind):
                assert total(found) == pytest.approx(total(use), abs=1e-6), place


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
@given(HISTORIES)
def test_a_row_is_the_sum_of_its_members_or_absent_while_one_is_unknown(
    history: list[tuple[str, object]],
) -> None:
    users = {
        user_id: Person({**ALWAYS, 0: {"devin": 1.0 + n, "terminal": 0.1}}, None, [GROUPS[n % 3]])
        for n, user_id in enumerate(PEOPLE)
    }
    made = Enterprise(Clock(NOW), users, {bot: Person(dict(ALWAYS)) for bot in BOTS})
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "teams.csv", text_of(FILES[0]))
        options = {"owner_groups": ",".join(OWNERS), "poll_interval": "14400"}
        with polled(made, teams_file=str(path), **options) as running:
            running.poll(*POLLED)
            played = History(made, running, path)
            judge(played, "start")
            for what, argument in history:
                played.play(what, argument)
                judge(played, what)
