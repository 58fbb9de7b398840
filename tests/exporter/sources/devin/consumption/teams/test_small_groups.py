"""In modes `hash` and `off`, nobody can be singled out by groups and teams."""

import itertools
import logging
import math
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.sources.devin.derived.teams.privacy import Crowds, labels_of
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
from tests.support.rig import Clock

LEAST = 3
USERS = [f"u{number}" for number in range(9)]
Rows = dict[str, frozenset[str]]
MODES: dict[str, dict[str, str]] = {
    "hash": {"user_metrics": "hash", "user_hash_key": "one-key"},
    "off": {"user_metrics": "off"},
}

each_mode = pytest.mark.parametrize("mode", MODES)


def show(rows: Rows, crowds: Crowds | None = None) -> Rows:
    """The rows that are shown."""
    crowds = crowds or Crowds(USERS, least=LEAST)
    found: dict[str, frozenset[str]] = {}
    for name, label in labels_of(rows, crowds, other="other").items():
        if label is not None:
            found[label] = found.get(label, frozenset()) | rows[name]
    return found


def sizes(rows: Rows) -> dict[str, int]:
    return {name: len(users) for name, users in rows.items()}


def parts(*counts: int) -> Rows:
    """Rows of these sizes without common users."""
    users = iter(USERS)
    return {f"r{n}": frozenset(itertools.islice(users, count)) for n, count in enumerate(counts)}


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((5, 4), {"r0": 5, "r1": 4}),
        ((5, 2, 2), {"r0": 5, "other": 4}),
        # The rest must not be what is missing of the total, so the next smallest joins it.
        ((5, 3, 1), {"r0": 5, "other": 4}),
        ((7, 2), {"other": 9}),
        ((3, 3, 1, 1, 1), {"r0": 3, "r1": 3, "other": 3}),
        ((9, 0), {"r0": 9, "r1": 0}),
    ],
)
def test_small_rows_are_summed_and_so_is_the_next_if_the_sum_is_small(
    counts: tuple[int, ...], expected: dict[str, int]
) -> None:
    assert sizes(show(parts(*counts))) == expected


def test_who_has_left_does_not_count_towards_the_minimum_and_is_not_singled_out() -> None:
    left = frozenset({"u7", "u8"})
    rows = {
        "few": frozenset({"u0", "u1", "u7"}),
        "gone": left,
        "all": frozenset(USERS[:7]),
    }
    for name in ("few", "gone", "all"):
        assert not Crowds(USERS, least=LEAST, left=left).show(rows[name]), name
    crowds = Crowds(USERS, least=LEAST, left=left)
    assert crowds.show(frozenset(USERS[:4]))
    assert not crowds.show(frozenset({"u7", *USERS[:4]}))
    assert crowds.show(frozenset(USERS[4:]))


def test_fewer_users_than_the_minimum_have_no_row_at_all() -> None:
    rows = {"a": frozenset({"u0"}), "b": frozenset({"u1"})}
    assert show(rows, Crowds(["u0", "u1"], least=LEAST)) == {}


def test_a_group_that_is_called_other_is_part_of_the_sum() -> None:
    rows = {"other": frozenset(USERS[:4]), "a": frozenset(USERS[4:])}
    assert sizes(show(rows)) == {"a": 5, "other": 4}


def test_the_difference_of_two_groups_is_not_about_few() -> None:
    rows = {"all": frozenset(USERS), "most": frozenset(USERS[:8]), "half": frozenset(USERS[:4])}
    assert set(show(rows)) == {"all", "other"} or "most" not in show(rows)


def test_a_group_beside_its_parts_does_not_reveal_who_is_in_none_of_them() -> None:
    rows = {
        "department": frozenset(USERS[:7]),
        "web": frozenset(USERS[:3]),
        "core": frozenset(USERS[3:6]),
    }
    assert "u6" not in isolated(show(rows))


def test_groups_beside_teams_do_not_reveal_where_they_differ() -> None:
    crowds = Crowds(USERS, least=LEAST)
    teams = show(parts(5, 4), crowds)
    groups = show({"g": frozenset(USERS[:4]), "h": frozenset(USERS[4:])}, crowds)
    assert len(teams) == 2
    assert groups == {"other": frozenset(USERS)}


def isolated(rows: Rows) -> set[str]:
    """The users in some set of fewer than the minimum that arithmetic on the rows can reach."""
    vectors = [[Fraction(user in users) for user in USERS] for users in (*rows.values(), USERS)]
    found: set[str] = set()
    for size in range(1, LEAST):
        for few in itertools.combinations(range(len(USERS)), size):
            without = [[x for n, x in enumerate(v) if n not in few] for v in vectors]
            if rank(without) < rank(vectors):
                found |= {USERS[n] for n in few}
    return found


def rank(vectors: list[list[Fraction]]) -> int:
    """The rank of a matrix."""
    rows, pivots = [list(v) for v in vectors], 0
    for column in range(len(rows[0])):
        pivot = next((n for n in range(pivots, len(rows)) if rows[n][column]), None)
        if pivot is None:
            continue
        rows[pivots], rows[pivot] = rows[pivot], rows[pivots]
        for row in rows[pivots + 1 :]:
            factor = row[column] / rows[pivots][column]
            row[:] = [x - factor * y for x, y in zip(row, rows[pivots], strict=True)]
        pivots += 1
    return pivots


@given(st.dictionaries(st.sampled_from("abcde"), st.frozensets(st.sampled_from(USERS)), max_size=5))
def test_no_arithmetic_on_what_is_shown_reaches_fewer_users_than_the_minimum(rows: Rows) -> None:
    assert isolated({name: users for name, users in show(rows).items() if users}) == set()


def enterprise() -> Enterprise:
    users = {
        f"secret-user-{n}": Person({0: {"devin": 2.0**n}}, f"secret-{n}@example.com", [group])
        for n, group in enumerate(["web"] * 4 + ["core"] * 3 + ["ops"] * 2)
    }
    return Enterprise(Clock(NOW), users, {"bot-1": Person({0: {"devin": 1_000.0}})})


FILE = """
teams:
  Web: {groups: [web], budget: 5}
  Ops: {groups: [ops], emails: [secret-0@example.com], users: [bot-1]}
  Bots: {}
  Empty: {emails: ["nobody@secret-0.example.com"]}
"""


@each_mode
def test_groups_stay_and_small_ones_are_summed(mode: str) -> None:
    with polled(enterprise(), group_min_users="3", **MODES[mode]) as running:
        running.poll(*POLLED)
        page = shown(running, "group", "today")
        found = {name: acus for (name, product), acus in page.items() if product == "devin"}
        assert found == {"web": 15, "other": 16 + 32 + 64 + 128 + 256}


@each_mode
def test_teams_stay_and_small_ones_are_summed_with_their_service_users(
    mode: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "teams.yml", FILE)
    with polled(enterprise(), group_min_users="3", teams_file=str(path), **MODES[mode]) as running:
        running.poll(*POLLED)
        page = shown(running, "team", "today")
        found = {name: acus for (name, product), acus in page.items() if product == "devin"}
        # Web has four users, who are in no team there are three, and Ops has two.
        assert found == {"Web": 15, "other": 496 + 1_000, "Bots": 0, "Empty": 0}
        assert total(page)["devin"] == math.fsum([511, 1_000])


@each_mode
def test_a_team_that_joins_the_sum_of_small_ones_is_not_said_to_have_used_nothing(
    mode: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "teams.yml", "teams: {Core: {groups: [core]}, Gone: {users: [bot-1]}}")
    made = enterprise()
    with polled(made, group_min_users="3", teams_file=str(path), **MODES[mode]) as running:
        running.poll(*POLLED)
        assert {name for name, _ in shown(running, "team", "today")} == {"Core", "Gone", ""}
        write(path, "teams: {Core: {users: [secret-user-4]}}")
        running.poll("teams_file")
        running.poll("teams_file")
        page = shown(running, "team", "today")
        found = {name: acus for (name, product), acus in page.items() if product == "devin"}
        assert found == {"other": 511 + 1_000, "Gone": 0}


@each_mode
def test_no_user_is_named_anywhere(
    mode: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    path = write(tmp_path / "teams.yml", FILE)
    with polled(enterprise(), group_min_users="3", teams_file=str(path), **MODES[mode]) as running:
        running.poll(*POLLED)
        write(path, "teams:\n  A:\n    emails: [*secret-1@example.com]\n")
        running.poll("teams_file")
        running.poll("teams_file")
        assert running.error("teams_file")
        write(path, "teams:\n  A:\n    users: [secret-user-2, [secret-user-3]]\n    secret-4: 5")
        running.poll("teams_file")
        running.poll("teams_file")
        page, failure = running.page(), str(running.error("teams_file"))
    own = "".join(r.getMessage() for r in caplog.records if r.name.startswith("exporter"))
    assert "line 3: users: wants a text" in failure
    assert "secret" not in page + failure + own
    assert "devin_user_group_info{" not in page
    assert "devin_team_member_info{" not in page
