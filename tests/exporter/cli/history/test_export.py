"""`export`: rows that FOCUS allows, which add up to the ledger, or nothing at all."""

import csv
import io
import json
import math
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from exporter.demo.api import DemoApi
from exporter.demo.endpoints import DemoKey
from exporter.demo.people import Person, Size
from exporter.demo.responses import Responses
from exporter.demo.world import SessionTotals, World
from exporter.exposition.focus import COLUMNS
from tests.exporter.cli.history.focus_rules import wrong_columns, wrong_in
from tests.exporter.commands import finished
from tests.support.rig import KEY, Clock, simulated_api

SIZE = Size(organizations=3, users=20, days=60)
NOW = time.time()
TODAY = int((NOW - 8 * 3_600) // 86_400)
DAYS = range(TODAY - 40 - (TODAY - 40 + 1) % 7, TODAY)
"""From a Wednesday on, on which every product is used."""
CHANGE = TODAY - 20


def today() -> int:
    """The number of the running day, which may have begun since this file was read."""
    return int((time.time() - 8 * 3_600) // 86_400)


def on(day: int) -> str:
    return str(date(1970, 1, 1) + timedelta(days=day))


PRICE = f"devin={on(DAYS.start)}=2.00,{on(CHANGE)}=2.25;1.50"


@pytest.fixture(scope="module")
def simulated() -> Iterator[tuple[World, DemoApi]]:
    world = World(SIZE, start=NOW)
    keys = {
        KEY: DemoKey(),
        "cog_own": DemoKey(org_id=world.organizations[0][0]),
        "cog_blind": DemoKey(frozenset({"ViewAccountConsumption", "ManageOrganizations"})),
        "cog_counting": DemoKey(frozenset({"ManageOrganizations", "ViewAccountMembership"})),
    }
    with simulated_api(SIZE, Clock(NOW), keys=keys) as made:
        yield made


def export(api: DemoApi, *flags: str, **more: str) -> CompletedProcess[str]:
    return export_of(api, DAYS, *flags, **more)


def export_of(api: DemoApi, days: range, *flags: str, **more: str) -> CompletedProcess[str]:
    given = {
        "DEVIN_API_URL": api.url,
        "DEVIN_SERVICE_USER_TOKEN": KEY,
        "DEVIN_REQUESTS_PER_SECOND": "10000",
        "DEVIN_ACU_PRICE": PRICE,
        **more,
    }
    span = (f"--from={on(days.start)}", f"--to={on(days.stop)}")
    return finished("export", "--format=focus", *span, "--output=-", *flags, **given)


def rows_of(ended: CompletedProcess[str]) -> list[dict[str, str]]:
    assert ended.returncode == 0, ended.stderr
    return list(csv.DictReader(io.StringIO(ended.stdout)))


CUTS = {
    "by organization": ((), {}),
    "by user": (("--by=user",), {}),
    "an organization's key": ((), {"DEVIN_SERVICE_USER_TOKEN": "cog_own"}),
    "an organization's users": (("--by=user",), {"DEVIN_SERVICE_USER_TOKEN": "cog_own"}),
    "users as hashes": (
        ("--by=user",),
        {"DEVIN_USER_METRICS": "hash", "DEVIN_USER_HASH_KEY": "one-key"},
    ),
    "no users": (("--by=user",), {"DEVIN_USER_METRICS": "off"}),
}
each_cut = pytest.mark.parametrize(("flags", "more"), CUTS.values(), ids=CUTS)


@each_cut
def test_its_rows_are_what_focus_allows_and_add_up_to_the_ledger(
    simulated: tuple[World, DemoApi], flags: tuple[str, ...], more: dict[str, str]
) -> None:
    world, api = simulated
    ended = export(api, *flags, **more)
    rows = rows_of(ended)
    assert wrong_columns(ended.stdout.partition("\n")[0].split(",")) == []
    assert list(rows[0]) == list(COLUMNS)
    assert [wrong for row in rows for wrong in wrong_in(row)] == []
    own = 0 if "cog_own" in more.values() else None
    ledger = world.consumption(DAYS, NOW, org=own)
    told: Counter[tuple[int, str]] = Counter()
    cost = 0.0
    for row in rows:
        day = int(datetime.fromisoformat(row["ChargePeriodStart"]).timestamp()) // 86_400
        told[day, row["SkuId"]] += Decimal(row["ConsumedQuantity"])  # type: ignore[assignment]
    for day, use in ledger.items():
        for product, acus in use.items():
            assert float(told.pop((day, product), 0)) == pytest.approx(acus, abs=1e-9)
            price = 1.5 if product != "devin" else 2 if day < CHANGE else 2.25
            cost += acus * price
    assert not any(told.values())
    for name in ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost"):
        assert float(sum(Decimal(row[name]) for row in rows)) == pytest.approx(cost, abs=1e-6)


def test_an_organization_is_a_sub_account_with_its_own_days(
    simulated: tuple[World, DemoApi],
) -> None:
    world, api = simulated
    rows = rows_of(export(api))
    assert {row["Tags"] for row in rows} == {""}
    for number, (org_id, name) in enumerate(world.organizations):
        of_it = [row for row in rows if row["SubAccountId"] == org_id]
        assert {row["SubAccountName"] for row in of_it} == {name}
        told = sum(Decimal(row["ConsumedQuantity"]) for row in of_it)
        ledger = world.consumption(DAYS, NOW, org=number)
        acus = sum(value for use in ledger.values() for value in use.values())
        assert float(told) == pytest.approx(acus, abs=1e-9)
    assert any(not row["SubAccountId"] and row["SkuId"] != "devin" for row in rows)


def test_users_are_tags_as_far_as_the_mode_says(simulated: tuple[World, DemoApi]) -> None:
    world, api = simulated
    people = [person for person in world.people if not person.service]

    def tags(**more: str) -> list[dict[str, str]]:
        rows = rows_of(export(api, "--by=user", **more))
        return [json.loads(row["Tags"]) for row in rows if row["Tags"]]

    full = tags()
    assert {t["user"] for t in full if "user" in t} <= {person.id for person in people}
    assert any("user_email" in t and "user_name" in t for t in full)
    assert any("service_user" in t for t in full)
    named = {key for each in tags(DEVIN_USER_METRICS="id") for key in each}
    assert named == {"user", "service_user", "service_user_name"}
    hashed = tags(DEVIN_USER_METRICS="hash", DEVIN_USER_HASH_KEY="one-key", DEVIN_USER_LIMIT="2")
    hashes = {t["user"] for t in hashed if "user" in t}
    assert len(hashes) > 2
    assert all(re.fullmatch("[0-9a-f]{16}", each) for each in hashes)
    assert not any("user" in t for t in tags(DEVIN_USER_METRICS="off"))


def test_hash_and_off_name_nobody(simulated: tuple[World, DemoApi]) -> None:
    world, api = simulated
    for mode in ({"DEVIN_USER_METRICS": "hash", "DEVIN_USER_HASH_KEY": "k"},
                 {"DEVIN_USER_METRICS": "off"}):  # fmt: skip
        ended = export(api, "--by=user", **mode)
        assert ended.returncode == 0
        for person in world.people:
            if not person.service:
                for secret in (person.id, person.name, person.email):
                    assert secret is None or secret not in ended.stdout + ended.stderr


TEAMS = """
teams:
  Platform: {cost_center: CC-1, emails: ["[a-d]*"], users: [BOT]}
  Payments: {cost_center: CC-2, groups: [on-call, eng-*]}
  Nobody: {cost_center: CC-3, users: [nobody]}
"""
TEAM_MODES = {
    "full": {},
    "hash": {"DEVIN_USER_METRICS": "hash", "DEVIN_USER_HASH_KEY": "k"},
    "off": {"DEVIN_USER_METRICS": "off"},
}


def teams_of(world: World) -> dict[str, str]:
    """The teams of all users and service users, by id; empty for those in none."""

    def team(person: Person) -> str:
        if person.service:
            return "Platform" if person is bot_of(world) else ""
        if person.email and person.email[0].lower() in "abcd":
            return "Platform"
        return "Payments" if person.by_group else ""

    return {person.id: team(person) for person in world.people}


def bot_of(world: World) -> Person:
    return next(person for person in world.people if person.service)


def by_team(rows: list[dict[str, str]]) -> dict[str, float]:
    """The ACUs by team and cost center."""
    sums: Counter[str] = Counter()
    for row in rows:
        tags = json.loads(row["Tags"] or "{}")
        name = " ".join(tags[key] for key in ("team", "cost_center") if key in tags)
        sums[name] += Decimal(row["ConsumedQuantity"])  # type: ignore[assignment]
    return {name: float(acus) for name, acus in sums.items()}


@pytest.fixture
def teams(simulated: tuple[World, DemoApi], tmp_path: Path) -> Path:
    world, _ = simulated
    path = tmp_path / "teams.yml"
    path.write_text(TEAMS.replace("BOT", f'"{bot_of(world).id}"'))
    return path


@pytest.mark.parametrize("mode", TEAM_MODES)
def test_teams_and_cost_centers_add_up_to_the_ledger(
    simulated: tuple[World, DemoApi], teams: Path, mode: str
) -> None:
    world, api = simulated
    more = {"DEVIN_TEAMS_FILE": str(teams), "DEVIN_GROUP_MIN_USERS": "1", **TEAM_MODES[mode]}
    rows = rows_of(export(api, "--by=user", **more))
    assert [wrong for row in rows for wrong in wrong_in(row)] == []
    found, team_of = by_team(rows), teams_of(world)
    centers = {"Platform": "Platform CC-1", "Payments": "Payments CC-2", "": ""}
    expected = dict.fromkeys(centers.values(), 0.0)
    whole = sum(acus for use in world.consumption(DAYS, NOW).values() for acus in use.values())
    for row in rows_of(export(api, "--by=user")):
        tags = json.loads(row["Tags"] or "{}")
        entity = tags.get("user") or tags.get("service_user")
        expected[centers[team_of[entity] if entity else ""]] += float(row["ConsumedQuantity"])
    assert all(expected.values())
    assert found == pytest.approx(expected, abs=1e-6)
    assert math.fsum(found.values()) == pytest.approx(whole, abs=1e-6)


@pytest.mark.parametrize("mode", ["hash", "off"])
def test_small_teams_are_one_where_users_are_not_shown(
    simulated: tuple[World, DemoApi], teams: Path, mode: str
) -> None:
    world, api = simulated
    more = {"DEVIN_TEAMS_FILE": str(teams), **TEAM_MODES[mode]}
    people = Counter(team for id_, team in teams_of(world).items() if id_ not in services_of(world))
    most = max(people.values())
    assert most > min(people.values())
    for least in (most, most + 1, 1_000):
        found = by_team(rows_of(export(api, "--by=user", DEVIN_GROUP_MIN_USERS=str(least), **more)))
        own = {name for name in found if name not in {"", "other"}}
        assert len(own) <= (least == most)
        if least == 1_000:
            assert "other" not in found
        whole = sum(acus for use in world.consumption(DAYS, NOW).values() for acus in use.values())
        assert math.fsum(found.values()) == pytest.approx(whole, abs=1e-6)


def services_of(world: World) -> set[str]:
    return {person.id for person in world.people if person.service}


def test_nothing_is_written_if_teams_are_wanted_and_not_known(
    simulated: tuple[World, DemoApi], teams: Path
) -> None:
    _, api = simulated
    more = {"DEVIN_TEAMS_FILE": str(teams)}
    own = export(api, "--by=user", DEVIN_SERVICE_USER_TOKEN="cog_own", **more)
    assert (own.returncode, own.stdout) == (1, "")
    assert "the teams are not known: an organization's key does not list all members" in own.stderr
    assert export(api, DEVIN_SERVICE_USER_TOKEN="cog_own", **more).returncode == 0
    teams.write_text("teams:\n  A: {user: [u]}\n")
    broken = export(api, "--by=user", **more)
    assert (broken.returncode, broken.stdout) == (1, "")
    assert "line 2: an unknown key or column; is users meant?" in broken.stderr


REFUSED = {
    "no price": ({"DEVIN_ACU_PRICE": ""}, "there is no price; set DEVIN_ACU_PRICE"),
    "a day before the first price": (
        {"DEVIN_ACU_PRICE": f"{on(DAYS.start + 1)}=2"},
        f"no price of cascade on {on(DAYS.start)}; of devin on {on(DAYS.start)}",
    ),
    "a product without a price": ({"DEVIN_ACU_PRICE": "devin=2"}, "no price of cascade on "),
    "a list that the key may not read": (
        {"DEVIN_SERVICE_USER_TOKEN": "cog_blind"},
        "the key lacks what an export needs: ",
    ),
    "a ledger that the key may not read": (
        {"DEVIN_SERVICE_USER_TOKEN": "cog_counting"},
        "nothing is exported, as a part is missing: ",
    ),
    "a key that the API does not know": ({"DEVIN_SERVICE_USER_TOKEN": "cog_unknown"}, "401"),
}


@pytest.mark.parametrize(("more", "why"), REFUSED.values(), ids=REFUSED)
def test_nothing_is_written_if_anything_is_missing(
    simulated: tuple[World, DemoApi], tmp_path: Path, more: dict[str, str], why: str
) -> None:
    _, api = simulated
    ended = export(api, "--by=user", **more)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert why in ended.stderr
    output = tmp_path / "charges.csv"
    assert export(api, "--by=user", f"--output={output}", **more).returncode == 1
    assert not output.exists()


def test_a_day_that_has_not_ended_is_refused(simulated: tuple[World, DemoApi]) -> None:
    _, api = simulated
    ended = export_of(api, range(today() - 2, today() + 1))
    assert (ended.returncode, ended.stdout) == (1, "")
    assert f"the billing day of {on(today())} has not ended" in ended.stderr
    assert f"{on(today())} is the latest that can be given" in ended.stderr


def test_a_file_appears_whole_and_leaves_nothing_beside_it(
    simulated: tuple[World, DemoApi], tmp_path: Path
) -> None:
    _, api = simulated
    output = tmp_path / "charges.csv"
    ended = export(api, f"--output={output}", "--billing-account=ours")
    assert ended.returncode == 0, ended.stderr
    assert list(tmp_path.iterdir()) == [output]
    rows = list(csv.DictReader(io.StringIO(output.read_text(encoding="utf-8"))))
    assert ended.stderr.endswith(f"{len(rows)} charges\n")
    assert {row["BillingAccountId"] for row in rows} == {"ours"}


def damaged_partial_file(api: DemoApi, output: Path) -> tuple[Path, bytes]:
    """What a refused export leaves, with responses that cannot be read; and its first line."""
    refused = export(api, f"--output={output}", DEVIN_ACU_PRICE="devin=2")
    assert refused.returncode == 1
    partial = output.with_name(f"{output.name}.partial")
    header, *responses = partial.read_bytes().splitlines()
    damaged = [line.partition(b"\t")[0] + b"\t{}" for line in responses]
    partial.write_bytes(b"\n".join([header, *damaged, b""]))
    return partial, header


def test_responses_are_used_again_on_the_same_billing_day(
    simulated: tuple[World, DemoApi], tmp_path: Path
) -> None:
    _, api = simulated
    damaged_partial_file(api, tmp_path / "charges.csv")
    ended = export(api, f"--output={tmp_path / 'charges.csv'}")
    assert (ended.returncode, "partial file is damaged" in ended.stderr) == (1, True)


def test_responses_of_an_earlier_billing_day_are_requested_again(
    simulated: tuple[World, DemoApi], tmp_path: Path
) -> None:
    _, api = simulated
    output = tmp_path / "charges.csv"
    partial, header = damaged_partial_file(api, output)
    earlier = header.replace(on(today()).encode(), on(today() - 1).encode())
    assert earlier != header
    partial.write_bytes(partial.read_bytes().replace(header, earlier))
    ended = export(api, f"--output={output}")
    assert ended.returncode == 0, ended.stderr
    assert f"{partial}: begun on another day; everything is requested again" in ended.stderr
    assert output.read_text(encoding="utf-8") == export(api).stdout


class Unmetered(World):
    """An enterprise whose plan has sessions and no ACUs."""

    def consumption(
        self, days: range, at: float, *, org: int | None = None
    ) -> dict[int, Mapping[str, float]]:
        """No day has any ACU."""
        del days, at, org
        return {}

    def personal_consumption(
        self, person: Person, days: range, at: float
    ) -> dict[int, Mapping[str, float]]:
        """No day has any ACU."""
        del person, days, at
        return {}


class Idle(Unmetered):
    """An enterprise in which nobody works."""

    def sessions(self, start: float, end: float, at: float, *, org: int | None) -> SessionTotals:
        """None are created."""
        del end, at
        return super().sessions(start, start, start, org=org)


@contextmanager
def served(world: World, key: DemoKey) -> Iterator[DemoApi]:
    api = DemoApi(Responses(world, Clock(NOW)), {KEY: key})
    api.start()
    yield api
    api.stop()


def test_a_plan_that_is_not_metered_has_nothing_to_export() -> None:
    with served(Unmetered(SIZE, start=NOW), DemoKey()) as api:
        ended = export(api)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert re.search(r"no ACU since \S+, but sessions were created: [1-9]", ended.stderr)
    assert "The plan is not metered" in ended.stderr


def test_days_without_acus_are_refused_if_the_key_does_not_see_whether_work_was_done() -> None:
    blind = DemoKey(frozenset({"ViewAccountConsumption", "ManageOrganizations"}))
    with served(Unmetered(SIZE, start=NOW), blind) as api:
        ended = export(api)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "the key may not see if that is true" in ended.stderr


def test_days_on_which_nothing_was_done_have_no_charges() -> None:
    with served(Idle(SIZE, start=NOW), DemoKey()) as api:
        ended = export(api)
    assert rows_of(ended) == []


WRONG_FLAGS = {
    "--format=csv": "--format: wants focus",
    "--from=soon": "--from: wants a date like 2026-10-01",
    "--to=2020-01-01": "--to: wants a date after --from",
    "--by=team": "--by: wants organization or user",
    "--file-type=xml": "--file-type: wants csv or parquet",
    "--output=": "--output: wants a file",
    "--days=3": "--days is a flag of backfill",
}


@pytest.mark.parametrize(("flag", "why"), WRONG_FLAGS.items())
def test_a_wrong_flag_is_named(flag: str, why: str) -> None:
    ended = finished("export", "--from=2026-01-01", "--to=2026-02-01", "--output=-", flag)
    assert ended.returncode == 2
    assert why in ended.stderr


def test_a_flag_of_an_export_is_none_of_a_backfill() -> None:
    ended = finished("backfill", "--by=user", "--output=-")
    assert (ended.returncode, "--by is a flag of export" in ended.stderr) == (2, True)


def test_days_and_cycles_are_those_of_the_vendor(simulated: tuple[World, DemoApi]) -> None:
    world, api = simulated
    cycles = {
        tuple(f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}" for at in cycle)
        for cycle in world.cycles(NOW)
    }
    for row in rows_of(export(api)):
        assert row["ChargePeriodStart"].endswith("T08:00:00Z")
        assert (row["BillingPeriodStart"], row["BillingPeriodEnd"]) in cycles
