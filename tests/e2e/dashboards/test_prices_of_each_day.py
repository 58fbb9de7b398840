"""Money on the dashboards, where prices change inside billing cycles and differ by product.

A cycle's cost is the sum of its days, each at its own price.
"""

from collections.abc import Iterator
from functools import cache
from itertools import pairwise

import pytest

from tests.grafana.panels import DASHBOARDS, Dashboard, Range, Viewer, panel
from tests.support.prometheus import Labels, find, make_blocks, prometheus, record_history
from tests.support.rig import at

JOB, DAY, EVERY_SECONDS = "devin-exporter", 86_400, 300
FIRST = at("2026-03-03 08:00:00")
"""The start of the first billing day; days have numbers from here."""
CYCLES = (-18, -8, 2, 12, 22)
"""The days on which billing cycles begin."""
_, _, PREVIOUS, RUNNING, _ = CYCLES
TODAY = 17
END = FIRST + TODAY * DAY + 7 * 3_600
PRODUCTS = ("devin", "cascade")
TEAMS, ORGANIZATIONS = ("Web", "Core", ""), ("o1", "o2")
MERGED = {"Web": 4, "Core": 0, "": 1}
Key = tuple[str, str]
"""The kind of a row, and its name."""

ROWS: tuple[Key, ...] = (
    ("account", ""),
    *(("organization", each) for each in ORGANIZATIONS),
    *(("team", each) for each in TEAMS),
)


def windows(day: int) -> dict[str, range]:
    """The days of each window on a day."""
    before, start = max((a, b) for a, b in pairwise(CYCLES) if b <= day)
    return {
        "yesterday": range(day - 1, day),
        "today": range(day, day + 1),
        "cycle": range(start, day + 1),
        "previous_cycle": range(before, start),
    }


def price(product: str, day: int) -> float:
    """The price of a product's ACU on a day: it changes inside both cycles."""
    if product == "cascade":
        return 1.0 if day < 14 else 1.25
    return 2.0 if day < 6 else 2.5 if day < 15 else 3.0


@cache
def acus(key: Key, product: str, day: int) -> float:
    """What a row used on a day; organizations have no use outside of cloud sessions."""
    kind, name = key
    if kind == "account":
        return sum(acus(("team", team), product, day) for team in TEAMS)
    if kind == "organization":
        whole = acus(("account", ""), "devin", day)
        return (whole / 4 if name == "o1" else 3 * whole / 4) if product == "devin" else 0.0
    return 4.0 * (len(name) + 1 + day * (1 + PRODUCTS.index(product)))


def cost(key: Key, days: range, product: str | None = None) -> float:
    """What a row cost on some days, each at its own price."""
    products = PRODUCTS if product is None else (product,)
    return sum(acus(key, each, day) * price(each, day) for day in days for each in products)


def labels_of(key: Key, product: str) -> str:
    """The labels of a row's series."""
    kind, name = key
    own = {"account": "", "organization": f'org_id="{name}",', "team": f'team="{name}",'}[kind]
    return f'{own}product="{product}"'


def samples(day: int) -> Iterator[tuple[str, str, float]]:
    """What is scraped on a day; the cost of the running one is as the rules record it."""
    yield "devin_exporter_build_info", 'version="1",revision="a"', 1
    for org_id in ORGANIZATIONS:
        yield "devin_organization_info", f'org_id="{org_id}",org_name="{org_id}"', 1
    start, end = next((a, b) for a, b in pairwise(CYCLES) if a <= day < b)
    yield "devin_billing_cycle_start_timestamp_seconds", "", FIRST + start * DAY
    yield "devin_billing_cycle_end_timestamp_seconds", "", FIRST + end * DAY
    for product in PRODUCTS:
        labels = f'product="{product}",currency="USD"'
        yield "devin_product_acu_price", labels, price(product, day)
        yield "devin_product_acu_price_yesterday", labels, price(product, day - 1)
    for team, merged in MERGED.items():
        yield "devin_team_prs_cycle", f'team="{team}",state="merged"', merged
        yield "devin_team_prs_cycle", f'team="{team}",state="open"', 1
        yield "devin_team_sessions_cycle", f'team="{team}"', 5
    for key in ROWS:
        kind = "" if key[0] == "account" else f"{key[0]}_"
        for product in PRODUCTS[:1] if key[0] == "organization" else PRODUCTS:
            labels = labels_of(key, product)
            for window, days in windows(day).items():
                used = sum(acus(key, product, each) for each in days)
                yield f"devin_{kind}consumption_{window}_acus", labels, used
            money = acus(key, product, day) * price(product, day)
            yield f"{key[0]}:devin_cost_today:sum", f'{labels},currency="USD"', money


def text() -> Iterator[str]:
    """The history as OpenMetrics, one family after the other."""
    families: dict[str, dict[str, list[str]]] = {}
    for day in range(TODAY + 1):
        begin = FIRST + day * DAY
        moments = range(int(begin), int(min(begin + DAY, END + 1)), EVERY_SECONDS)
        for name, labels, value in samples(day):
            # What rules record has no instance.
            own = "" if ":" in name else 'instance="exporter",'
            series = f'{name}{{job="{JOB}",{own}{labels}}}'.replace(",}", "}")
            lines = families.setdefault(name, {}).setdefault(series, [])
            lines += [f"{series} {value} {moment}\n" for moment in moments]
    for name, of_family in families.items():
        yield f"# TYPE {name} gauge\n"
        yield from (line for lines in of_family.values() for line in lines)
    yield "# EOF\n"


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Viewer]:
    """Who looks at the last week, with the days on record."""
    binary, promtool = (find(name, newer=False) for name in ("prometheus", "promtool"))
    if binary is None or promtool is None:
        pytest.skip("prometheus is missing: `make test` brings it by apt")
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "samples.om").write_text("".join(text()))
    make_blocks(folder / "samples.om", folder / "data", promtool=promtool)
    record_history(binary, folder, promtool=promtool, since=FIRST, until=END)
    with prometheus(binary, folder, "global: {}") as server:
        yield Viewer(server, Range(END + 2 - 7 * DAY, END + 2), job=JOB, now=END + 2)


def answer(seen: Viewer, uid: str, title: str, ref: str = "A") -> dict[Labels, float]:
    """The last values of a query of a dashboard."""
    path = next(path for path in DASHBOARDS if path.stem == uid)
    told = seen.see(panel(uid, title, ref), seen.values(Dashboard(path)))
    return {labels: points[max(points)] for labels, points in told.items()}


def by(label: str, told: dict[Labels, float]) -> dict[str, float]:
    return {dict(labels).get(label, ""): value for labels, value in told.items()}


SO_FAR, LAST = range(RUNNING, TODAY + 1), range(PREVIOUS, RUNNING)
ACCOUNT: Key = ("account", "")


@pytest.mark.parametrize(
    ("uid", "title", "days"),
    [
        ("devin-cost", "Cost so far", SO_FAR),
        ("devin-teams", "Cost so far", SO_FAR),
        ("devin-ai-spend", "Devin this cycle", SO_FAR),
        ("devin-monthly-report", "Cost of the last cycle", LAST),
    ],
)
def test_the_cost_of_a_cycle_is_that_of_its_days(
    seen: Viewer, uid: str, title: str, days: range
) -> None:
    assert list(answer(seen, uid, title).values()) == pytest.approx([cost(ACCOUNT, days)])


@pytest.mark.parametrize(("ref", "days"), [("B", SO_FAR), ("C", LAST)])
def test_the_cost_of_a_team_is_that_of_its_days(seen: Viewer, ref: str, days: range) -> None:
    found = by("team", answer(seen, "devin-teams", "Chargeback by team", ref))
    names = {team: team or "(in no team)" for team in TEAMS}
    assert found == pytest.approx({names[team]: cost(("team", team), days) for team in TEAMS})


def test_the_cost_of_a_cost_center_is_that_of_its_days(seen: Viewer) -> None:
    found = answer(seen, "devin-teams", "Chargeback by cost center", "C")
    assert list(found.values()) == pytest.approx([cost(ACCOUNT, SO_FAR)])


@pytest.mark.parametrize(
    ("uid", "title", "ref", "days"),
    [
        ("devin-cost", "Cost by organization", "B", SO_FAR),
        ("devin-cost", "Cost by organization", "C", LAST),
        ("devin-monthly-report", "By organization", "B", LAST),
    ],
)
def test_the_cost_of_an_organization_is_that_of_its_days(
    seen: Viewer, uid: str, title: str, ref: str, days: range
) -> None:
    found = by("org_id", answer(seen, uid, title, ref))
    assert found == pytest.approx({o: cost(("organization", o), days) for o in ORGANIZATIONS})


def test_the_cost_of_a_product_is_that_of_its_days(seen: Viewer) -> None:
    found = by("product", answer(seen, "devin-monthly-report", "By product", "B"))
    assert found == pytest.approx({p: cost(ACCOUNT, LAST, p) for p in PRODUCTS})


def test_a_merged_pull_request_of_a_team_costs_what_the_days_cost(seen: Viewer) -> None:
    found = by("team", answer(seen, "devin-teams", "What teams got", "F"))
    assert found == pytest.approx(
        {
            "Web": cost(("team", "Web"), SO_FAR) / MERGED["Web"],
            "(in no team)": cost(("team", ""), SO_FAR) / MERGED[""],
        }
    )
    rates = by("team", answer(seen, "devin-teams", "What teams got", "D"))
    assert rates == pytest.approx({"Web": 0.8, "Core": 0, "(in no team)": 0.5})


def test_a_bar_of_a_day_is_at_the_price_of_that_day(seen: Viewer) -> None:
    path = next(path for path in DASHBOARDS if path.stem == "devin-teams")
    target = panel("devin-teams", "Cost by day and team", "A")
    told = seen.see(target, seen.values(Dashboard(path)))
    for labels, points in told.items():
        team = dict(labels)["team"]
        key = ("team", "" if team == "(in no team)" else team)
        found = {int((moment - FIRST) // DAY): value for moment, value in points.items()}
        assert set(found) >= {13, 14, 15, 16}
        assert found == pytest.approx({day: cost(key, range(day, day + 1)) for day in found})
    assert len(told) == len(TEAMS)
