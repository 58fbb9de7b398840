"""Sums over members: made again only when a response changes, and equal to those made anew."""

from array import array
from collections.abc import Mapping
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from exporter.sources.devin.billing.windows import Window
from exporter.sources.devin.consumption.usage import EntityUsage
from exporter.sources.devin.derived.teams.rows import Row
from exporter.sources.devin.derived.teams.sums import (
    Coverage,
    Extent,
    Figures,
    RowSums,
    WindowFigures,
)

DAYS = range(20_000, 20_010)
WINDOWS = (range(20_009, 20_010), range(20_000, 20_009))
USERS = [f"u{number}" for number in range(6)]
ROWS = {
    "a": Row(frozenset(USERS[:3]), frozenset({"b0"})),
    "b": Row(frozenset(USERS[2:])),
    "nobody": Row(),
}
Accounts = dict[str, EntityUsage]


def usage(acus: float, *, at: float = 1.0, product: str = "devin") -> EntityUsage:
    return EntityUsage(at, DAYS, {product: array("d", [acus] * len(DAYS))}, None)


def values(sums: Mapping[str, Figures]) -> dict[str, object]:
    return {name: (each.first_day, dict(each.by_product)) for name, each in sums.items()}


def made_anew(rows: Mapping[str, Row], users: Accounts, bots: Accounts) -> dict[str, object]:
    figures = [WindowFigures().of(each, WINDOWS) for each in (users, bots)]
    return values(RowSums().of(rows, *figures))


def test_a_total_that_confirms_responses_does_not_make_the_sums_again() -> None:
    users, bots = {user: usage(1.0) for user in USERS}, {"b0": usage(2.0)}
    of_users, of_bots, sums = WindowFigures(), WindowFigures(), RowSums()
    first = sums.of(ROWS, of_users.of(users, WINDOWS), of_bots.of(bots, WINDOWS))
    later = {user: replace(account, confirmed_at=9.0) for user, account in users.items()}
    assert sums.of(ROWS, of_users.of(later, WINDOWS), of_bots.of(bots, WINDOWS)) is first
    later = {**later, "u5": usage(5.0)}
    second = sums.of(ROWS, of_users.of(later, WINDOWS), of_bots.of(bots, WINDOWS))
    assert second["a"] is first["a"]
    assert second["b"].by_product == {"devin": (8.0, 72.0)}


def test_figures_of_days_before_are_gone_when_all_responses_expire_as_the_day_ends() -> None:
    users = {user: usage(1.0) for user in USERS}
    figures = WindowFigures()
    assert figures.of(users, WINDOWS).keys() == users.keys()
    assert figures.of({}, (range(20_010, 20_011),)) == {}


changes = st.lists(
    st.tuples(
        st.sampled_from([*USERS, "b0", "b1"]),
        st.none() | st.floats(0, 100),
        st.sampled_from(["devin", "cascade"]),
        st.booleans(),
    ),
    max_size=20,
)


@given(changes)
def test_sums_are_those_made_anew_whoever_changes_comes_or_goes(
    steps: list[tuple[str, float | None, str, bool]],
) -> None:
    users: Accounts = {user: usage(1.0) for user in USERS}
    bots: Accounts = {"b0": usage(2.0)}
    of_users, of_bots, sums = WindowFigures(), WindowFigures(), RowSums()
    rows = ROWS
    for entity, acus, product, moves in steps:
        kind = bots if entity.startswith("b") else users
        if acus is None:
            kind.pop(entity, None)
        else:
            kind[entity] = usage(acus, product=product)
        if moves:
            rows = {**rows, "a": Row(rows["a"].users ^ {entity}, rows["a"].service_users)}
        found = sums.of(rows, of_users.of({**users}, WINDOWS), of_bots.of({**bots}, WINDOWS))
        assert values(found) == made_anew(rows, users, bots)
        for name, row in rows.items():
            known = users.keys() >= row.users and bots.keys() >= row.service_users
            assert (name in found) == known


def test_a_row_has_the_windows_that_are_known_of_every_member() -> None:
    day = 86_400.0
    windows = {
        "today": Window(20_009 * day, 20_010 * day),
        "yesterday": Window(20_008 * day, 20_009 * day),
    }
    now = 20_009.5 * day
    users = {user: usage(1.0, at=now) for user in USERS}
    rows = {"a": Row(frozenset({"u0", "u1"})), "b": Row(frozenset({"u2"}))}
    both = frozenset(windows)

    def covered() -> Mapping[str, frozenset[str]]:
        return Coverage(users, {}, Extent.of(users.values()), windows, now).of_rows(rows)

    assert covered() == {"a": both, "b": both}
    users["u1"] = replace(users["u1"], requested_at=20_008.9 * day)
    assert covered() == {"a": frozenset(), "b": both}
    users["u1"] = replace(users["u1"], confirmed_at=now)
    users["u2"] = replace(users["u2"], days=range(20_009, 20_010))
    found = covered()
    assert found["a"] == both
    assert "today" in found["b"]
    assert ("yesterday" in found["b"]) == (windows["yesterday"].days.start >= 20_009)
