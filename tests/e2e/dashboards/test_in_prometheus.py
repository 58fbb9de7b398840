"""Every query of every dashboard asked of a real Prometheus, and its figures against the ledger."""

import math
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest

from exporter.demo.counts import v2_usage
from exporter.demo.gateway import Gateway
from exporter.demo.world import SessionTotals
from exporter.sources.devin.billing.windows import DAY, billing_day, billing_day_start, day_number
from grafana.builders.panels import ENTERPRISE_ONLY, FALL, RISE, SAME, UNKNOWN
from tests.exporter.sources.devin.consumption.closeness import closeness
from tests.grafana.panels import DASHBOARDS, Dashboard, Range, Target, Viewer, column_names, panel
from tests.support.environment import ORGANIZATIONS_KEY, Scene, Server, fill, ledger, serving
from tests.support.processes import running
from tests.support.prometheus import SHIPPED, Labels, find

PRICE = 2.25
RANGE_DAYS = 30
"""Of which the gateway's totals are asked for."""
KNOWN_AFTER_SECONDS = 40 * 60
"""Into a billing day, the forecast counts the one before."""
RANGES_DAYS = (1, 7, 30, 90)
QUEUE = {("devin-overview", "Queue", ref) for ref in "ABCD"}
"""One for each status: exactly one has data."""
FIRING = {
    (uid, "Alerts that fire", "A") for uid in ("devin-overview", "devin-teams", "devin-exporter")
}
"""What fires is another matter."""

NEVER_FAILED = "nothing fails, is retried or skipped here"
FEW_USERS = "an organization here has no more users than are shown"
FEW_OF_THEM = "there are no more of them here than are shown"
ALL_READABLE = "the simulated gateway tells nothing that cannot be read"
NO_SUCH_ROW = "the simulated API sends no row that cannot be read"
NO_WEB_CONFIGURATION = "the exporter has no web configuration here"
NO_INVOICE_YET = "the simulated gateway writes no invoice before the month is over"
EMPTY: dict[tuple[str, str, str], tuple[str, Callable[[int, int], bool]]] = {
    ("devin-exporter", "Failed attempts", "A"): (NEVER_FAILED, lambda *_: True),
    ("devin-exporter", "Retries and skipped runs", "A"): (NEVER_FAILED, lambda *_: True),
    ("devin-exporter", "Retries and skipped runs", "B"): (NEVER_FAILED, lambda *_: True),
    ("devin-overview", "All other users", "A"): (FEW_USERS, lambda _, chosen: bool(chosen)),
    **{
        ("devin-ai-spend", others, "A"): (FEW_OF_THEM, lambda *_: True)
        for others in (
            "Devin: other cost",
            "Gateway: other cost",
            "Gateway: other requests",
            "Gateway: other tokens",
            "Gateway: other conversations",
        )
    },
    ("devin-teams", "Cost by day and team", "B"): (FEW_OF_THEM, lambda *_: True),
    ("devin-ai-spend", "Gateway: invoices", "B"): (NO_INVOICE_YET, lambda *_: True),
    ("devin-exporter", "Gateway: unreadable values", "A"): (
        ALL_READABLE,
        lambda *_: True,
    ),
    ("devin-exporter", "Unreadable rows", "A"): (NO_SUCH_ROW, lambda *_: True),
    ("devin-exporter", "Web configuration", "A"): (NO_WEB_CONFIGURATION, lambda *_: True),
}
"""The queries that rightly have no data: why, and for which days and number of organizations."""


CHANGES = {
    target.name
    for path in DASHBOARDS
    for target in Dashboard(path).targets
    if target.ref in {RISE, FALL, SAME, UNKNOWN}
}
"""Beside a figure, exactly one of a panel's has data."""


def says_why_empty(target: Target) -> bool:
    """Whether a query has data only where its panel has none."""
    return "vector(1) unless on ()" in target.expr or target.ref == "no_data"


GATEWAYS_DAYS = ("devin-ai-spend", "Gateway: cost by day", "A")
"""It has no history: only who runs these tests between 08:00 and 10:00 UTC sees a day in it."""

OF_TODAY = {
    ("devin-ai-spend", "Devin: cost by day", "B"),
    ("devin-cost", "Cost by day and product", "B"),
    ("devin-overview", "ACUs by day and product", "B"),
}
"""They show what was used today: nobody here begins to work before noon (UTC)."""

COUNTED = {
    "Waiting, by organization": "Wait for a person",
    "Held up, by organization": "Held up by limits",
}
"""Bars that are there only where there is anything to count."""


def nothing_to_count(
    shown: Mapping[Target, Mapping[Labels, Mapping[float, float]]],
) -> set[tuple[str, str, str]]:
    """The bars that count nothing, as the figure above them is 0."""
    found = set()
    for title, card in COUNTED.items():
        figures = shown.get(panel("devin-queue-and-sessions", card), {})
        if not any(value for points in figures.values() for value in points.values()):
            found.add(panel("devin-queue-and-sessions", title).name)
    return found


def viewer(server: Server, seen: Range, *organizations: str) -> Viewer:
    return Viewer(server.prometheus, seen, organizations=organizations)


def last_days(days: float) -> Range:
    now = round(time.time(), 3)
    return Range(now - days * DAY, now)


def organizations(scene: Scene, number: int) -> tuple[str, ...]:
    return tuple(org_id for org_id, _ in scene.world.organizations[:number])


def used_today(scene: Scene, person_id: str) -> bool:
    (person,) = (each for each in scene.world.people if each.id == person_id)
    today = day_number(billing_day(scene.now).start)
    return bool(scene.world.personal_consumption(person, range(today, today + 1), scene.now))


def anything_used_today(scene: Scene, chosen: tuple[str, ...] = ()) -> bool:
    uses = acus_of(scene, chosen)
    return any(uses[max(uses)].values())


@pytest.mark.parametrize("days", RANGES_DAYS)
@pytest.mark.parametrize("chosen", [0, 1], ids=["All", "one_organization"])
@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_query_answers_with_data(
    server: Server, scene: Scene, path: Path, chosen: int, days: int
) -> None:
    dashboard = Dashboard(path)
    seen = viewer(server, last_days(days), *organizations(scene, chosen))
    values = seen.values(dashboard)
    targets = {target.name: target for target in dashboard.targets}
    shown = {target: seen.see(target, values) for target in dashboard.targets}
    empty = {target.name for target, told in shown.items() if not told}
    expected = {
        name for name, (_, holds) in EMPTY.items() if name in targets and holds(days, chosen)
    }
    if dashboard.uid == "devin-people" and not used_today(scene, values["person"]):
        expected.add(("devin-people", "ACUs by day and product", "B"))
    if not anything_used_today(scene, organizations(scene, chosen)):
        expected |= OF_TODAY & targets.keys()
    limited, _ = scene.world.people[:2]  # the second one's limit is 0
    if dashboard.uid == "devin-cost" and chosen and limited.org:
        expected.add(("devin-cost", "Users close to a limit", "A"))
    expected |= nothing_to_count(shown) & targets.keys()
    notes = {name for name, target in targets.items() if says_why_empty(target)}
    empty -= FIRING | {GATEWAYS_DAYS}
    for name in notes - empty:
        assert not values_of_panel(seen, dashboard, name[1], values), name
    assert empty - QUEUE - CHANGES - notes == expected
    if targets.keys() >= QUEUE:
        assert len(QUEUE - empty) == 1
    compared = (CHANGES & targets.keys()) - empty
    assert Counter(title for _, title, _ in compared) == dict.fromkeys(
        (title for _, title, _ in CHANGES & targets.keys()), 1
    )


@pytest.mark.parametrize("days", RANGES_DAYS)
@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_variable_has_its_options(
    server: Server, scene: Scene, path: Path, days: int
) -> None:
    dashboard = Dashboard(path)
    org_id, _ = scene.world.organizations[0]
    people = {p.id: f"{p.name} (service user)" for p in scene.world.people if p.service}
    people |= names_of_users(scene)
    seen = viewer(server, last_days(days))
    values = seen.values(dashboard)
    options = {str(each["name"]): seen.options(each, values) for each in dashboard.variables[1:]}
    assert options.pop("job") == {"devin-exporter": "devin-exporter"}
    assert options.pop("org") == dict(scene.world.organizations)
    assert options.pop("person", people) == people
    assert options.pop("currency", {"USD": "USD"}) == {"USD": "USD"}
    assert float(next(iter(options.pop("now")))) == pytest.approx(seen.range.end, abs=1)
    assert list(options.pop("ahead")) == ["1"]
    assert options.pop("total", {seen.job: seen.job}) == {seen.job: seen.job}
    assert not options
    of_one = viewer(server, last_days(days), org_id).values(dashboard)
    assert of_one.get("total", "") == ""


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_legends_and_columns_name_what_is_answered(server: Server, path: Path) -> None:
    dashboard = Dashboard(path)
    seen = viewer(server, last_days(30))
    values = seen.values(dashboard)
    answered: dict[str, set[str]] = {}
    for target in dashboard.targets:
        told = seen.see(target, values)
        labels = set.union(*(set(dict(each)) for each in told)) if told else set[str]()
        assert not told or set(re.findall(r"{{(\w+)}}", target.legend)) <= labels, target.name
        columns = answered.setdefault(target.panel, {"Value"})
        columns |= labels | {f"Value #{target.ref}", f"Trend #{target.ref}"}
    for shown in dashboard.panels:
        title = str(shown["title"])
        if (dashboard.uid, title, "A") not in EMPTY.keys() | FIRING:
            assert set(column_names(shown)) <= answered[title], title


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_with_organizations_chosen_no_other_one_is_told_of(
    server: Server, scene: Scene, path: Path
) -> None:
    dashboard = Dashboard(path)
    chosen = organizations(scene, 2)
    seen = viewer(server, last_days(30), *chosen)
    values = seen.values(dashboard)
    told = {
        dict(labels)["org_id"]
        for target in dashboard.targets
        for labels in seen.see(target, values)
        if "org_id" in dict(labels)
    }
    assert told <= set(chosen)


def one(values: dict[Labels, dict[float, float]]) -> float:
    ((_, points),) = values.items()
    ((_, value),) = points.items()
    return value


def values_of_panel(
    seen: Viewer, dashboard: Dashboard, title: str, values: dict[str, str]
) -> list[object]:
    """What a panel shows beside why it is empty."""
    return [
        shown
        for target in dashboard.targets
        if target.panel == title and not says_why_empty(target)
        if (shown := seen.see(target, values))
    ]


def total(values: dict[Labels, dict[float, float]]) -> float:
    """What a card shows that sums its days up."""
    ((_, points),) = values.items()
    return math.fsum(points.values())


def line(values: dict[Labels, dict[float, float]]) -> str:
    """What stands above a card's figure."""
    ((labels, _),) = values.items()
    return dict(labels)["line"]


def change(seen: Viewer, uid: str, title: str) -> tuple[str, str, float]:
    """What stands beside a card's figure: rise or fall, against what, and how many percent."""
    shown = {
        ref: told
        for _, name, ref in CHANGES
        if name == title and (told := see(seen, panel(uid, title, ref)))
    }
    ((ref, told),) = shown.items()
    ((labels, _),) = told.items()
    return ref, dict(labels)["than"], one(told)


def names_of_users(scene: Scene) -> dict[str, str]:
    """As people are shown: where a name repeats, with the e-mail, else the id."""
    users = [person for person in scene.world.people if not person.service]
    repeated = Counter(person.name for person in users)
    return {
        user.id: f"{user.name}, {user.email or user.id}"
        if user.name and repeated[user.name] > 1
        else user.name or user.email or user.id
        for user in users
    }


def path_of(uid: str) -> Path:
    return next(path for path in DASHBOARDS if path.stem == uid)


def see(seen: Viewer, target: Target) -> dict[Labels, dict[float, float]]:
    return seen.see(target, seen.values(Dashboard(path_of(target.dashboard))))


def ranges(now: float) -> Iterator[Range]:
    """Ranges as people choose them: the last days, whole billing days, one, from any hour."""
    for days in (1, 7, 30, 44):
        yield Range(now - days * DAY, now)
    today = billing_day(now).start
    yield Range(today - 7 * DAY, today)
    yield Range(today - DAY, today - 0.001)
    yield Range(today - 12 * DAY - 5 * 3_600, today - 2 * DAY + 7 * 3_600)


def whole_days(seen: Range) -> list[int]:
    """The billing days that end within a range, to the minute."""
    first, last = (day_number(billing_day(t + 60).start) for t in (seen.start, seen.end))
    return list(range(first, last))


def acus_of(scene: Scene, chosen: tuple[str, ...]) -> dict[int, dict[str, float]]:
    """The ledger of the enterprise or of organizations, by day and product."""
    told: dict[int, dict[str, float]] = {}
    for day, uses in ledger(scene, "organization_" if chosen else "").items():
        told[day] = {}
        for key, acus in uses.items():
            if not chosen or key[0] in chosen:
                told[day][key[-1]] = told[day].get(key[-1], 0) + acus
    return told


def sessions_of(scene: Scene, chosen: tuple[str, ...], day: int) -> int:
    start, end = billing_day_start(day), billing_day_start(day + 1)
    return sum(counted.created for counted in sessions_between(scene, chosen, start, end))


def summed(uses: dict[int, dict[str, float]], days: list[int]) -> float:
    return math.fsum(chain.from_iterable(uses[day].values() for day in days))


@pytest.mark.parametrize("number", [0, 1, 2], ids=["All", "one_organization", "two_organizations"])
def test_the_cards_equal_the_ledger(server: Server, scene: Scene, number: int) -> None:
    chosen = organizations(scene, number)
    uses = acus_of(scene, chosen)
    for each in ranges(round(time.time(), 3)):
        seen = viewer(server, each, *chosen)
        days = whole_days(each)
        before = list(range(days[0] - len(days), days[0]))
        used, used_before = summed(uses, days), summed(uses, before)
        worked, worked_before = (
            sum(sessions_of(scene, chosen, day) for day in some) for some in (days, before)
        )
        shown = see(seen, panel("devin-overview", "Whole days"))
        assert (one(shown), line(shown)) == (len(days), f"known of {len(days)}")
        for title, now, then in (
            ("ACUs", used, used_before),
            ("Sessions", worked, worked_before),
            ("Cost", used * PRICE, used_before * PRICE),
        ):
            value = see(seen, panel("devin-overview", title))
            assert total(value) == pytest.approx(now, abs=1e-6), (title, each)
            several = len(days) > 1
            assert line(value) == f"in {len(days)} whole day{'s' * several}", (title, each)
            percent = math.floor(100 * (now / then - 1) + 0.5)
            ref = RISE if percent > 0 else FALL if percent < 0 else SAME
            than = f"{len(days)} days before" if several else "the day before"
            assert change(seen, "devin-overview", title) == (ref, than, abs(percent)), (title, each)


@pytest.mark.parametrize("number", [0, 1], ids=["All", "one_organization"])
def test_the_daily_bars_equal_the_ledger(server: Server, scene: Scene, number: int) -> None:
    chosen = organizations(scene, number)
    uses = acus_of(scene, chosen)
    seen = viewer(server, last_days(30), *chosen)
    finished, running = (
        {
            (dict(labels)["product"], day_number(moment)): value
            for labels, points in see(seen, panel("devin-overview", title, ref)).items()
            for moment, value in points.items()
        }
        for title, ref in (("ACUs by day and product", "A"), ("ACUs by day and product", "B"))
    )
    today = max(uses)
    assert {day for _, day in finished} == set(range(today - 30, today))
    assert {day for _, day in running} == ({today} if any(uses[today].values()) else set())
    for (product, day), value in (finished | running).items():
        assert value == pytest.approx(uses[day].get(product, 0), abs=1e-6), (product, day)
    bars = see(seen, panel("devin-cost", "Cost by day and product"))
    assert math.fsum(chain.from_iterable(points.values() for points in bars.values())) == (
        pytest.approx(summed(uses, list(range(today - 30, today))) * PRICE, abs=1e-6)
    )


@pytest.mark.parametrize("number", [0, 1], ids=["All", "one_organization"])
@pytest.mark.parametrize("days", [7, 30])
def test_the_bars_by_user_equal_the_ledger(
    server: Server, scene: Scene, number: int, days: int
) -> None:
    chosen = organizations(scene, number)
    seen = viewer(server, last_days(days), *chosen)
    uses = ledger(scene, "user_")
    people = [p for p in scene.world.people if not p.service]
    members = [p for p in people if not chosen or scene.world.organizations[p.org][0] in chosen]
    sums = {
        person: math.fsum(
            acus
            for day in whole_days(seen.range)
            for (user_id, _), acus in uses[day].items()
            if user_id == person.id
        )
        for person in members
    }
    ranked = sorted((person for person in members if sums[person]), key=lambda p: -sums[p])
    shown = see(seen, panel("devin-overview", "ACUs by user", "A"))
    told = {dict(labels)["user_id"]: one({labels: points}) for labels, points in shown.items()}
    assert told == pytest.approx({p.id: sums[p] for p in ranked[:15]}, abs=1e-6)
    names = {dict(labels)["user_id"]: dict(labels)["user"] for labels in shown}
    assert names == {p.id: names_of_users(scene)[p.id] for p in ranked[:15]}
    others = see(seen, panel("devin-overview", "All other users"))
    rest = math.fsum(sums[p] for p in ranked[15:])
    assert (one(others) if rest else 0) == pytest.approx(rest, abs=1e-6)
    assert bool(rest) == (not chosen)


def test_cost_by_organization_and_the_forecast_equal_the_ledger(
    server: Server, scene: Scene
) -> None:
    seen = viewer(server, last_days(30))
    cycle, cycle_before = (
        range(day_number(start), day_number(end))
        for start, end in scene.world.cycles(scene.now)[:2]
    )
    table = "Cost by organization"
    for ref, days in (("B", cycle), ("C", cycle_before)):
        told = {
            dict(labels)["org_id"]: one({labels: points})
            for labels, points in see(seen, panel("devin-cost", table, ref)).items()
        }
        expected = {
            org_id: PRICE
            * math.fsum(
                chain.from_iterable(
                    use.values()
                    for use in scene.world.consumption(days, scene.now, org=number).values()
                )
            )
            for number, (org_id, _) in enumerate(scene.world.organizations)
        }
        assert told == pytest.approx(expected, abs=1e-6), ref
    uses = acus_of(scene, ())
    so_far = math.fsum(
        chain.from_iterable(
            use.values() for use in scene.world.consumption(cycle, scene.now).values()
        )
    )
    newest = day_number(billing_day(seen.range.end - KNOWN_AFTER_SECONDS).start)
    rate = summed(uses, list(range(newest - 7, newest))) / 7
    asked_at = math.floor(seen.range.end - 0.001)
    days_left = (billing_day_start(cycle.stop) - asked_at) / DAY
    forecast = so_far + days_left * rate
    for title, ref, expected_value in (
        ("Cost so far", "A", so_far * PRICE),
        ("Cost at the end", "A", forecast * PRICE),
        ("ACUs so far", "A", so_far),
        ("Pool used", "A", so_far / 4_000),
        ("Pool at the end", "A", forecast / 4_000),
        ("Pool lasts", "A", max(0, 4_000 - so_far) / rate),
    ):
        told_value = one(see(seen, panel("devin-cost", title, ref)))
        assert told_value == pytest.approx(expected_value, abs=1e-6), (title, ref)


@pytest.mark.parametrize("number", [0, 2], ids=["All", "two_organizations"])
def test_pull_requests_of_each_cycle_are_counted_from_the_first_day_on(
    server: Server, scene: Scene, number: int
) -> None:
    chosen = organizations(scene, number)
    seen = viewer(server, last_days(60), *chosen)
    (created,) = see(seen, panel("devin-adoption", "Pull requests in the cycle")).values()
    starts = {start for start, _ in scene.world.cycles(scene.now)}
    expected = {
        moment: pull_requests_of(
            scene,
            chosen,
            max(start for start in starts if start <= moment),
            min(moment + DAY, scene.now),
        )
        for moment in created
    }
    assert created == expected
    assert len(starts.intersection(created)) >= 1
    assert len(created) > 31


def test_a_merged_pull_request_of_the_last_cycle_costs_what_the_api_says(
    server: Server, scene: Scene
) -> None:
    _, (start, end) = scene.world.cycles(scene.now)[:2]
    days = range(day_number(start), day_number(end))
    acus = math.fsum(use["devin"] for use in scene.world.consumption(days, scene.now).values())
    merged = scene.world.sessions(start, end, scene.now, org=None).by_pull_request["merged"]
    seen = viewer(server, last_days(30))
    shown = one(see(seen, panel("devin-monthly-report", "A merged pull request")))
    assert shown == pytest.approx(acus * PRICE / merged)


def pull_requests_of(scene: Scene, chosen: tuple[str, ...], start: float, end: float) -> int:
    return sum(
        counted.by_pull_request.total() - counted.by_pull_request[None]
        for counted in sessions_between(scene, chosen, start, end)
    )


def sessions_between(
    scene: Scene, chosen: tuple[str, ...], start: float, end: float
) -> Iterator[SessionTotals]:
    """Those created, of each chosen organization, or of the enterprise."""
    numbers = [n for n, (org_id, _) in enumerate(scene.world.organizations) if org_id in chosen]
    for org in numbers if chosen else [None]:
        yield scene.world.sessions(start, end, scene.now, org=org)


def people_used(scene: Scene, days: range) -> float:
    """ACUs of all people and service users over some days."""
    return math.fsum(
        acus
        for person in scene.world.people
        for use in scene.world.personal_consumption(person, days, scene.now).values()
        for acus in use.values()
    )


def test_what_teams_cost_adds_up_to_what_people_used(server: Server, scene: Scene) -> None:
    seen = viewer(server, last_days(30))
    (start, _), *before = scene.world.cycles(scene.now)
    running = range(day_number(start), day_number(billing_day(scene.now).start) + 1)
    whole = [range(day_number(begun), day_number(end)) for begun, end in before]
    for ref, days, price in (("B", running, PRICE), ("C", whole[0], PRICE), ("E", running, 1)):
        rows = see(seen, panel("devin-teams", "Chargeback by team", ref))
        assert {"Payments", "Automation", "(in no team)"} <= {dict(each)["team"] for each in rows}
        shown = math.fsum(one({labels: points}) for labels, points in rows.items())
        assert shown == pytest.approx(people_used(scene, days) * price, abs=1e-6), ref
    centers = see(seen, panel("devin-teams", "Chargeback by cost center", "C"))
    assert {dict(each)["cost_center"] for each in centers} == {
        "CC-1000",
        "CC-1042",
        "CC-2011",
        "(none)",
    }
    cycles: dict[str, float] = {}
    for labels, points in see(seen, panel("devin-teams", "Cost by billing cycle")).items():
        cycle = dict(labels)["cycle"]
        cycles[cycle] = cycles.get(cycle, 0) + one({labels: points})
    assert [*sorted(cycles.values())] == pytest.approx(
        sorted(people_used(scene, days) * PRICE for days in (running, *whole[: len(cycles) - 1])),
        abs=1e-6,
    )
    assert len(cycles) > 2


def rmb(told: object) -> float:
    return float(str(told).replace(",", ""))


def ratio(told: object) -> float:
    return float(str(told).removesuffix("%")) / 100


@pytest.mark.parametrize("number", [0, 1], ids=["All", "one_organization"])
def test_what_is_shown_of_the_gateway_is_what_it_tells(
    server: Server, scene: Scene, number: int
) -> None:
    seen = viewer(server, last_days(7), *organizations(scene, number))
    answer = Gateway(scene.world.population.chance).dashboard(RANGE_DAYS, scene.now)
    tech, business = answer["tech"], answer["business"]
    assert isinstance(tech, dict)
    assert isinstance(business, dict)
    yesterday, today = tech["daily_trend"][-2:]
    for title, expected in (
        ("Gateway: cost today", rmb(today["cost_rmb"])),
        ("Gateway: cost", rmb(tech["total_cost_rmb"])),
        ("Gateway: requests", tech["total_requests"]),
        ("Gateway: requests today", today["requests"]),
        ("Gateway: tokens today", today["tokens"]),
        ("Gateway: conversations", business["total_conversations"]),
        ("Gateway: characters", 10_000 * business["total_chars_wan"]),
        ("Gateway: budget", ratio(business["budget_progress_pct"])),
    ):
        shown = one(see(seen, panel("devin-ai-spend", title)))
        assert shown == pytest.approx(expected, abs=1e-6), title
    requests = line(see(seen, panel("devin-ai-spend", "Gateway: requests today")))
    assert requests == f"so far; {yesterday['requests']:,} yesterday"
    for title, key, expected_bars in (
        (
            "cost by team",
            "team_name",
            {row["team_name"]: rmb(row["cost_rmb"]) for row in business["team_cost_ranking"]},
        ),
        (
            "requests by model",
            "model",
            {row["model"]: row["requests"] for row in tech["model_distribution"]},
        ),
    ):
        bars = see(seen, panel("devin-ai-spend", f"Gateway: {title}"))
        told = {dict(labels)[key]: one({labels: points}) for labels, points in bars.items()}
        assert told == pytest.approx(expected_bars, abs=1e-6), title
    types = see(seen, panel("devin-ai-spend", "Gateway: tokens by type"))
    assert {kind for labels in types for _, kind in labels} == {"prompt", "completion", "other"}
    assert (
        math.fsum(one({labels: points}) for labels, points in types.items())
        == (tech["total_tokens"])
    )


def test_devins_cost_beside_the_gateways_equals_the_ledger(server: Server, scene: Scene) -> None:
    seen = viewer(server, last_days(7))
    uses = acus_of(scene, ())
    today = max(uses)
    shown = see(seen, panel("devin-ai-spend", "Devin today"))
    assert one(shown) == pytest.approx(summed(uses, [today]) * PRICE, abs=1e-6)
    before = re.fullmatch(r"so far; ([\d,.]+) USD yesterday", line(shown))
    assert before
    assert rmb(before[1]) == pytest.approx(summed(uses, [today - 1]) * PRICE, abs=0.006)
    begun = day_number(scene.world.cycles(scene.now)[0][0])
    bars = see(seen, panel("devin-ai-spend", "Devin: cost by organization"))
    told = {dict(labels)["org_name"]: one({labels: points}) for labels, points in bars.items()}
    assert told == pytest.approx(
        {
            name: PRICE * summed(acus_of(scene, (org_id,)), list(range(begun, today + 1)))
            for org_id, name in scene.world.organizations
        },
        abs=1e-6,
    )


def test_closeness_to_each_limit_is_the_simulations_own(server: Server, scene: Scene) -> None:
    seen = viewer(server, last_days(7))
    expected = closeness(scene.world, scene.now)
    by_name = {name: org_id for org_id, name in scene.world.organizations}
    shown: dict[tuple[str, str], float] = {}
    for agent, ref in (("cloud", "G"), ("local", "I")):
        rows = see(seen, panel("devin-cost", "Cost by organization", ref))
        for labels, points in rows.items():
            told = dict(labels)
            org_id = told.get("org_id") or by_name[told["org_name"]]
            shown[org_id, agent] = one({labels: points})
    limited, _ = scene.world.people[:2]
    near = see(seen, panel("devin-cost", "Users close to a limit"))
    shown[limited.id, "all"] = one(near)
    assert shown == pytest.approx(expected, abs=1e-9)
    people = panel("devin-people", "Limit used")
    values = {**seen.values(Dashboard(path_of("devin-people"))), "person": limited.id}
    assert one(seen.see(people, values)) == pytest.approx(expected[limited.id, "all"], abs=1e-9)


def test_both_counts_of_the_cycle_are_those_of_the_apis(server: Server, scene: Scene) -> None:
    seen = viewer(server, last_days(7))
    told = v2_usage(scene.world, scene.now, None, None)
    older = {
        "Sessions": told["sessions_count"],
        "Searches": told["searches_count"],
        "Pull requests opened": told["prs_opened"],
        "Pull requests merged": told["prs_merged"],
        "Pull requests closed": told["prs_closed"],
    }
    start, end = scene.world.cycles(scene.now)[0]
    totals = scene.world.sessions(start, end, scene.now, org=None)
    states = totals.by_pull_request
    newer = {
        "Sessions": totals.created,
        "Searches": scene.world.searches(start, end, scene.now, org=None),
        "Pull requests opened": states.total() - states[None],
        "Pull requests merged": states["merged"],
        "Pull requests closed": states["closed"],
    }
    less = {name: float(str(count)) - newer[name] for name, count in older.items()}
    for ref, figures in (("A", newer), ("B", older), ("C", less)):
        rows = see(seen, panel("devin-exporter", "The cycle as v3 and v2 count it", ref))
        shown = {dict(labels)["figure"]: one({labels: points}) for labels, points in rows.items()}
        assert shown == figures


SHOWN_TO_ORGANIZATIONS = {
    "devin-overview": {
        "Sessions": "A",
        "ACUs": "A",
        "Cost": "A",
        "Active users": "A",
        "Whole days": "A",
        "ACUs by day and product": "AB",
        "ACUs by user": "A",
        "Recent sessions": "ABCDE",
    },
    "devin-cost": {
        "Cost so far": "A",
        "Cost at the end": "A",
        "ACUs so far": "A",
        "A merged pull request": "A",
        "Days left": "A",
        "Cost by organization": "ABCDE",
        "Cost by day and product": "A",
        "Cycle against the pool": "AB",
        "ACUs by product": "A",
    },
    "devin-monthly-report": {
        "Cost of the last cycle": "A",
        "ACUs of the last cycle": "A",
        "Forecast of this cycle": "A",
        "By organization": "ABCDE",
        "By product": "A",
        "Top users": "A",
    },
    "devin-ai-spend": {
        "Devin today": "A",
        "Devin this cycle": "A",
        "Devin: cost by day": "A",
        "Devin: cost by organization": "A",
    },
    "devin-adoption": {
        "Active today": "A",
        "Active this week": "A",
        "Active this month": "A",
        "Sessions created by day": "A",
        "Sessions": "A",
        "Merged pull requests": "A",
        "Merge rate": "A",
        "Sessions that merge": "A",
        "Searches": "A",
        "ACUs of a session": "A",
        "Sessions with a playbook": "A",
        "Sessions with a search": "A",
        "Sessions by origin": "A",
        "Sessions by size": "ABCDE",
        "Pull requests": "ABCD",
        "Pull requests taken over": "A",
        "Pull requests in the cycle": "ABCD",
        "Automations enabled": "A",
    },
    "devin-queue-and-sessions": {
        "Sessions": "A",
        "Wait for a person": "A",
        "Sessions by status": "A",
    },
    "devin-people": {"Users with most ACUs": "A"},
    "devin-exporter": {"Tasks": "ABCDE", "Requests by endpoint": "A", "Targets up": "A"},
}
"""What is to be seen with an organization's key, where there are no series of the enterprise."""


OF_OTHER_SOURCES = {"DEVIN_V2_API_KEY", "AIONE_API_URL", "AIONE_TOKEN"}


@pytest.fixture(scope="module")
def of_organization(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Viewer]:
    """Who looks at an exporter that has an organization's key, with its history."""
    binary = find("prometheus", newer=False)
    if binary is None:
        pytest.skip("prometheus is missing: `make test` brings it by apt")
    of_v3 = {name: text for name, text in scene.settings.items() if name not in OF_OTHER_SOURCES}
    settings = {**of_v3, "DEVIN_SERVICE_USER_TOKEN": ORGANIZATIONS_KEY}
    with running(tmp_path_factory.mktemp("exporter"), **settings) as exporter:
        exporter.until('devin_exporter_task_up{task="user_consumption"} 1')
        exporter.until("devin_organization_searches_cycle{")
        address = exporter.url.removeprefix("http://").replace("localhost", "127.0.0.1")
        of_organization = replace(scene, exporter=address, settings=settings)
        folder = tmp_path_factory.mktemp("prometheus")
        shipped = SHIPPED
        fill(binary, of_organization, folder, "--until=now")
        with serving(binary, of_organization, folder, shipped) as server:
            yield Viewer(server, last_days(30))


@pytest.mark.parametrize("uid", SHOWN_TO_ORGANIZATIONS)
def test_an_organizations_key_shows_what_is_its_own(
    of_organization: Viewer, scene: Scene, uid: str
) -> None:
    used_today = anything_used_today(scene, organizations(scene, 1))
    for title, refs in SHOWN_TO_ORGANIZATIONS[uid].items():
        for ref in refs:
            target = panel(uid, title, ref)
            if used_today or target.name not in OF_TODAY:
                assert see(of_organization, target), target.name


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_an_organizations_key_shows_nothing_for_the_enterprise(
    of_organization: Viewer, path: Path
) -> None:
    descriptions = {str(p["title"]): str(p["description"]) for p in Dashboard(path).panels}
    for target in Dashboard(path).targets:
        if ENTERPRISE_ONLY in descriptions[target.panel] and not says_why_empty(target):
            assert not see(of_organization, target), target.name


def test_without_the_gateway_nothing_is_shown_of_it(of_organization: Viewer) -> None:
    for target in chain.from_iterable(Dashboard(path).targets for path in DASHBOARDS):
        if target.panel.startswith("Gateway") and not says_why_empty(target):
            assert not see(of_organization, target), target.name


def test_with_an_organizations_key_all_is_the_organization(
    of_organization: Viewer, scene: Scene
) -> None:
    chosen = organizations(scene, 1)
    uses, days = acus_of(scene, chosen), whole_days(of_organization.range)
    assert total(see(of_organization, panel("devin-overview", "ACUs"))) == pytest.approx(
        summed(uses, days), abs=1e-6
    )
    assert total(see(of_organization, panel("devin-overview", "Sessions"))) == sum(
        sessions_of(scene, chosen, day) for day in days
    )
    bars = see(of_organization, panel("devin-overview", "ACUs by day and product"))
    assert {dict(labels)["product"] for labels in bars} >= {"devin", "review"}
    for labels, points in bars.items():
        for moment, value in points.items():
            use = uses[day_number(moment)].get(dict(labels)["product"], 0)
            assert value == pytest.approx(use, abs=1e-6)
