"""Every family that counts against what the simulated world holds, at the same moment."""

from collections import Counter
from collections.abc import Iterator

import pytest

from exporter.demo.people import DAY, Size
from exporter.demo.world import World
from tests.support.rig import Clock, Rig, Scrape, at, rig, simulated_api

NOW = at("2026-03-20 23:30:00")
CYCLE = (at("2026-03-05 08:00:00"), at("2026-04-05 08:00:00"))
PREVIOUS_CYCLE = (at("2026-02-05 08:00:00"), at("2026-03-05 08:00:00"))
YESTERDAY = (at("2026-03-19 08:00:00"), at("2026-03-20 08:00:00"))
TODAY = (at("2026-03-20 08:00:00"), at("2026-03-21 08:00:00"))


@pytest.fixture(scope="module")
def polled() -> Iterator[tuple[World, Rig, Scrape]]:
    clock = Clock(NOW)
    size = Size(organizations=4, users=60, days=90)
    with simulated_api(size, clock) as (world, api), rig(api.url, clock) as made:
        made.poll()
        yield world, made, made.scrape()


def by_label(scrape: Scrape, name: str, label: str) -> dict[str, float]:
    return {dict(labels)[label]: value for labels, value in scrape.family(name).items()}


def test_sessions_created(polled: tuple[World, Rig, Scrape]) -> None:
    world, _, scrape = polled
    for name, window in (("today", TODAY), ("yesterday", YESTERDAY), ("cycle", CYCLE)):
        created = world.sessions(*window, NOW, org=None).created
        assert created > 0
        assert scrape.one(f"devin_sessions_created_{name}") == created


def test_sessions_by_origin_and_size_and_with_merged_pull_requests(
    polled: tuple[World, Rig, Scrape],
) -> None:
    world, _, scrape = polled
    totals = world.sessions(*CYCLE, NOW, org=None)
    origins = by_label(scrape, "devin_sessions_created_by_origin_cycle", "origin")
    assert origins == dict(totals.by_origin)
    sizes = by_label(scrape, "devin_sessions_created_by_size_cycle", "size")
    assert sizes == {size: totals.by_size[size] for size in ("xs", "s", "m", "l", "xl")}
    merged = totals.by_pull_request["merged"]
    assert scrape.one("devin_sessions_with_merged_prs_cycle") == merged > 0
    average = scrape.one("devin_session_average_cycle_acus")
    assert average == pytest.approx(totals.acus / totals.created)


def test_pull_requests(polled: tuple[World, Rig, Scrape]) -> None:
    world, _, scrape = polled
    states = world.sessions(*CYCLE, NOW, org=None).by_pull_request
    shown = {
        state: scrape.one(f"devin_prs_{state}_cycle")
        for state in ("created", "merged", "closed", "open")
    }
    assert shown == {
        "created": states["merged"] + states["closed"] + states["open"],
        "merged": states["merged"],
        "closed": states["closed"],
        "open": states["open"],
    }
    of_yesterday = world.sessions(*YESTERDAY, NOW, org=None).by_pull_request
    created = of_yesterday["merged"] + of_yesterday["closed"] + of_yesterday["open"]
    assert scrape.one("devin_prs_created_yesterday") == created > 0
    of_previous = world.sessions(*PREVIOUS_CYCLE, NOW, org=None).by_pull_request
    assert scrape.one("devin_prs_merged_previous_cycle") == of_previous["merged"] > 0


def test_searches(polled: tuple[World, Rig, Scrape]) -> None:
    world, _, scrape = polled
    searches = world.searches(*CYCLE, NOW, org=None)
    assert scrape.one("devin_searches_cycle") == searches > 0


def test_categories_add_up(polled: tuple[World, Rig, Scrape]) -> None:
    world, _, scrape = polled
    totals = world.sessions(*CYCLE, NOW, org=None)
    for name, held in (
        ("devin_category_sessions_cycle", Counter[str]()),
        ("devin_category_cycle_acus", Counter[str]()),
    ):
        for labels, value in scrape.family(name).items():
            held[dict(labels)["category"]] += value  # type: ignore[assignment]
        expected: Counter[str] = Counter()
        counts = totals.by_category if "sessions" in name else totals.acus_by_category
        for (category, _), value in counts.items():
            expected[category] += value  # type: ignore[assignment]
        assert held == pytest.approx(expected)
    subcategories = {
        dict(labels)["subcategory"] for labels in scrape.family("devin_category_sessions_cycle")
    }
    assert subcategories == {"", "sub-1", "sub-2", "Named Only"}


def test_organizations(polled: tuple[World, Rig, Scrape]) -> None:
    world, _, scrape = polled
    for index, (org_id, _) in enumerate(world.organizations):
        yesterday = world.sessions(*YESTERDAY, NOW, org=index)
        cycle = world.sessions(*CYCLE, NOW, org=index)
        previous_cycle = world.sessions(*PREVIOUS_CYCLE, NOW, org=index)
        shown = {
            name: scrape.one(f"devin_organization_{name}", org_id=org_id)
            for name in (
                "sessions_created_yesterday",
                "sessions_created_cycle",
                "prs_created_yesterday",
                "prs_merged_cycle",
                "prs_merged_previous_cycle",
                "searches_cycle",
            )
        }
        assert shown == {
            "sessions_created_yesterday": yesterday.created,
            "sessions_created_cycle": cycle.created,
            "prs_created_yesterday": sum(
                yesterday.by_pull_request[state] for state in ("merged", "closed", "open")
            ),
            "prs_merged_cycle": cycle.by_pull_request["merged"],
            "prs_merged_previous_cycle": previous_cycle.by_pull_request["merged"],
            "searches_cycle": world.searches(*CYCLE, NOW, org=index),
        }


def test_active_users(polled: tuple[World, Rig, Scrape]) -> None:
    world, _, scrape = polled
    day, week, month = (
        at("2026-03-20 00:00:00"),
        at("2026-03-16 00:00:00"),
        at("2026-03-01 00:00:00"),
    )
    windows = {
        "daily": (day, day + DAY),
        "weekly": (week, week + 7 * DAY),
        "monthly": (month, at("2026-04-01 00:00:00")),
        "previous_day": (day - DAY, day),
        "previous_week": (week - 7 * DAY, week),
        "previous_month": (at("2026-02-01 00:00:00"), month),
    }
    for name, window in windows.items():
        users = world.active_users(*window, NOW)
        assert users > 0
        assert scrape.one(f"devin_{name}_active_users") == users
        if name in {"daily", "weekly", "monthly"}:
            for index, (org_id, _) in enumerate(world.organizations):
                of_organization = world.active_users(*window, NOW, org=index)
                shown = scrape.one(f"devin_organization_{name}_active_users", org_id=org_id)
                assert shown == of_organization


def test_directory_and_expiry(polled: tuple[World, Rig, Scrape]) -> None:
    world, _, scrape = polled
    bots = [person for person in world.people if person.service]
    assert scrape.one("devin_organizations") == 4
    assert scrape.one("devin_users") == 60
    assert scrape.one("devin_service_users") == len(bots)
    expiries = by_label(scrape, "devin_service_user_expiry_timestamp_seconds", "service_user_id")
    expires = (world.founded + 500) * DAY
    assert expiries == {bot.id: expires for bot in bots if bot.index % 2 == 0}


def test_the_queue(polled: tuple[World, Rig, Scrape]) -> None:
    world, _, scrape = polled
    assert scrape.one("devin_queue_size") == world.queue_size(NOW)
