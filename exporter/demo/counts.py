"""Counts of the simulated API: categories, pull requests, code scans, automations, v2 usage."""

from collections.abc import Mapping, Sequence

from exporter.demo.people import DAY
from exporter.demo.world import SessionTotals, World

Record = Mapping[str, object]


def categories(totals: SessionTotals) -> Record:
    """`…/metrics/sessions-by-category`."""
    rows: dict[str, list[Record]] = {}
    for (category, subcategory), sessions in sorted(totals.by_category.items(), key=str):
        parts = rows.setdefault(category, [])
        if subcategory is not None:
            parts.append(
                {
                    "subcategory_id": None if " " in subcategory else subcategory,
                    "display_name": subcategory.title(),
                    "sessions_count": sessions,
                    "acus": totals.acus_by_category[category, subcategory],
                }
            )
    return {
        "categories": [
            {
                "category": category,
                "sessions_count": sum(
                    n for (name, _), n in totals.by_category.items() if name == category
                ),
                "acus": sum(
                    n for (name, _), n in totals.acus_by_category.items() if name == category
                ),
                "subcategories": parts,
            }
            for category, parts in rows.items()
        ]
    }


def taken_over(sessions: int) -> Mapping[str, int]:
    """Pull requests of others that some of these sessions pushed to."""
    open_now, merged, closed = sessions // 40, sessions // 15, sessions // 60
    return {
        "prs_taken_over_count": open_now + merged + closed,
        "prs_taken_over_opened_count": open_now,
        "prs_taken_over_merged_count": merged,
        "prs_taken_over_closed_count": closed,
    }


def scans(world: World, after: int, before: int, now: float) -> Record:
    """`…/code-scans/metrics`: two scans a day, one of which leads to a pull request."""
    days = max(0, (min(before, int(now)) - max(after, world.founded * DAY)) // DAY)
    merged, closed = days // 2, days // 6
    return {
        "scans_count": 2 * days,
        "repos_scanned_count": min(days, len(world.organizations)),
        "prs_created_count": days,
        "prs_open_count": days - merged - closed,
        "prs_merged_count": merged,
        "prs_closed_count": closed,
        "avg_pr_time_to_merge_seconds": DAY / 2 if merged else None,
        "avg_pr_open_duration_seconds": DAY if days else None,
        "open_critical_findings_count": days // 20,
        "open_high_findings_count": days // 5,
        "open_medium_findings_count": days,
        "open_low_findings_count": 3 * days,
    }


def automations(org: int, *, founded: int) -> Sequence[Record]:
    """`…/automations` of an organization; one of them is disabled."""
    return [
        {
            "automation_id": f"automation-{org}-{number}",
            "name": f"Automation {number}",
            "enabled": number > 0,
            "created_at": founded,
            "updated_at": founded,
        }
        for number in range(1 + org % 3)
    ]


def v2_usage(world: World, now: float, after: int | None, before: int | None) -> Record:
    """`/v2/enterprise/metrics/usage`; the running cycle if there are no bounds.

    As with a git server on premises, the states of pull requests are those of the last midnight.
    """
    begun, ends = world.cycles(now)[0]
    start, end = begun if after is None else after, ends if before is None else before
    totals = world.sessions(start, end, now, org=None)
    states = totals.by_pull_request
    midnight = int(now) // DAY * DAY
    synchronised = world.sessions(start, min(end, midnight), now, org=None).by_pull_request
    return {
        "sessions_count": totals.created,
        "searches_count": world.searches(start, end, now, org=None),
        "prs_opened": states.total() - states[None],
        "prs_closed": synchronised["closed"],
        "prs_merged": synchronised["merged"],
    }
