"""ACUs of sessions by tag, repository, origin, playbook and automation."""

import math
from collections.abc import Iterator, Mapping, Sequence

import httpx
import pytest
import respx
from hypothesis import given
from hypothesis import strategies as st

from exporter.demo.endpoints import DemoKey
from exporter.demo.people import Size
from exporter.demo.session_list import sessions
from exporter.demo.world import World
from exporter.sources.devin.operations.breakdowns.labels import MOST_VALUES
from exporter.sources.devin.operations.breakdowns.repository import UNKNOWN, repository_of
from exporter.sources.devin.operations.breakdowns.shares import Shares
from tests.support.rig import KEY, Clock, Rig, Scrape, at, rig, simulated_api

URL = "https://api.test"
NOW = at("2026-03-20 15:30:00")
DAY = 86_400
SIZE = Size(organizations=2, users=12, days=60)
LIST = "/v3/enterprise/sessions"
TASKS = ("identity", "cycles", "sessions", "session_breakdowns", "enterprise_consumption")
DIMENSIONS = {
    "tag": "tag",
    "repository": "repository",
    "origin": "origin",
    "playbook": "playbook_id",
    "automation": "automation_id",
}


def session(
    session_id: str, *, acus: float = 1.0, age: float = 3_600, quiet: float = 60, **fields: object
) -> dict[str, object]:
    """A session that was created `age` seconds ago and has changed `quiet` seconds ago."""
    return {
        "session_id": session_id,
        "org_id": "org-1",
        "url": "",
        "status": "running",
        "acus_consumed": acus,
        "created_at": int(NOW - age),
        "updated_at": int(NOW - quiet),
        "tags": [],
        "pull_requests": [],
        **fields,
    }


def pull_requests(*rows: tuple[str, str | None]) -> list[Mapping[str, object]]:
    return [
        {"pr_url": f"https://git.example.com/{path}", "pr_state": state} for path, state in rows
    ]


class Listed:
    """The sessions that the API has; each request of them is noted."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.rows: Sequence[object] = ()
        self.requests: list[tuple[int, int | None]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Respond to a request of the list."""
        query = request.url.params
        after, before = int(query["updated_after"]), query.get("updated_before")
        self.requests.append((after, int(before) if before else None))

        def within(row: object) -> bool:
            changed = row.get("updated_at") if isinstance(row, dict) else None
            return not isinstance(changed, int) or after < changed < float(before or math.inf)

        items = [row for row in self.rows if within(row)]
        return httpx.Response(200, json={"items": items, "has_next_page": False})


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def api() -> Iterator[respx.Router]:
    with respx.mock(base_url=URL, assert_all_called=False) as router:
        router.get("/v3/self").respond(json={"principal_type": "service_user", "org_id": None})
        cycle = {"after": int(at("2026-03-05 08:00:00")), "before": int(at("2026-04-05 08:00:00"))}
        router.get("/v3/enterprise/consumption/cycles").respond(
            json={"items": [cycle], "has_next_page": False}
        )
        day = {"date": int(at("2026-03-20 08:00:00")), "acus": 10.0}
        router.get("/v3/enterprise/consumption/daily").respond(
            json={"total_acus": 10.0, "consumption_by_date": [day]}
        )
        yield router


@pytest.fixture
def listed(api: respx.Router, clock: Clock) -> Listed:
    made = Listed(clock)
    api.get(LIST).mock(side_effect=made)
    return made


@pytest.fixture
def polled(listed: Listed, clock: Clock) -> Iterator[Rig]:
    assert listed is not None
    with rig(URL, clock, session_breakdown_limit="3", recent_sessions="0") as made:
        yield made


def rows(scrape: Scrape, dimension: str, window: str = "today") -> dict[str, float]:
    family = scrape.family(f"devin_session_{dimension}_{window}_acus")
    return {dict(labels)[DIMENSIONS[dimension]]: value for labels, value in family.items()}


def poll(polled: Rig) -> Scrape:
    polled.poll(*TASKS)
    assert [polled.error(task) for task in TASKS] == [None] * len(TASKS)
    return polled.scrape()


def counts(scrape: Scrape, name: str = "devin_repository_prs_cycle") -> dict[str, float]:
    """The values by repository, and by state if there is one."""
    return {
        " ".join(filter(None, (dict(labels)["repository"], dict(labels).get("state")))): value
        for labels, value in scrape.family(name).items()
    }


# Repositories


@pytest.mark.parametrize(
    ("address", "repository"),
    [
        ("https://github.com/acme/widgets/pull/7", "github.com/acme/widgets"),
        ("https://GitHub.com/Acme/Widgets/pull/7/files?w=1#r2", "github.com/Acme/Widgets"),
        ("https://user:secret@github.com/acme/widgets.git/pull/7", "github.com/acme/widgets"),
        ("https://git.example.com:8443/acme/w/pulls/7", "git.example.com:8443/acme/w"),
        ("https://git.example.com:443/acme/w/pulls/7", "git.example.com/acme/w"),
        ("https://gitlab.com/group/sub/w/-/merge_requests/3", "gitlab.com/group/sub/w"),
        ("https://bitbucket.org/acme/w/pull-requests/5", "bitbucket.org/acme/w"),
        ("https://b.example.com/projects/KEY/repos/w/pull-requests/5", "b.example.com/KEY/w"),
        ("https://dev.azure.com/org/proj/_git/w/pullrequest/9", "dev.azure.com/org/proj/w"),
        ("https://github.com/acme/pull/pull/7", "github.com/acme/pull"),
        ("https://github.com/users/projects/pull/7", "github.com/users/projects"),
        ("https://[::1]:99999/acme/w/pull/7", UNKNOWN),
        ("https://[/acme/w/pull/7", UNKNOWN),
        ("https://github.com/acme/pull/7", UNKNOWN),
        ("https://github.com/acme/widgets", UNKNOWN),
        ("/acme/widgets/pull/7", UNKNOWN),
        ("", UNKNOWN),
    ],
)
def test_a_repository_is_host_owner_and_name_without_what_may_be_secret(
    address: str, repository: str
) -> None:
    assert repository_of(address) == repository


@given(st.text())
def test_no_address_is_an_error(text: str) -> None:
    for address in (text, f"https://{text}/a/b/pull/1", f"https://h/{text}/b/pull/1"):
        assert len(repository_of(address)) <= 128


# Sums


@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from("abcdef"), min_size=1, max_size=4, unique=True),
            st.floats(-1e6, 1e6),
        )
    )
)
def test_what_was_added_and_taken_away_leaves_nothing(
    amounts: list[tuple[list[str], float]],
) -> None:
    shares = Shares()
    for values, amount in amounts:
        shares.add(values, amount)
    total = math.fsum(shares.rows(shares.largest(2)).values())
    assert total == pytest.approx(math.fsum(amount for _, amount in amounts), abs=1e-6)
    for values, amount in reversed(amounts):
        shares.take(values, amount)
    assert shares.rows(shares.largest(2)) == {}


def test_several_tags_and_repositories_share_a_session_evenly(polled: Rig, listed: Listed) -> None:
    requests = pull_requests(
        ("acme/x/pull/1", "merged"),
        ("acme/x/pull/2", "open"),
        ("acme/x/pull/2", "open"),
        ("acme/y/pull/1", None),
    )
    listed.rows = [
        session("1", acus=3.0, tags=["a", "b", "b", "c"], pull_requests=requests),
        session("2", acus=1.0, tags=["a"], origin="slack", playbook_id="p", automation_id="m"),
    ]
    scrape = poll(polled)
    x, y = "git.example.com/acme/x", "git.example.com/acme/y"
    for window in ("today", "cycle"):
        assert rows(scrape, "tag", window) == {"a": 2, "b": 1, "c": 1, "unexplained": 6}
        assert rows(scrape, "repository", window) == {x: 1.5, y: 1.5, "": 1, "unexplained": 6}
        assert rows(scrape, "origin", window) == {"slack": 1, "": 3, "unexplained": 6}
        assert rows(scrape, "playbook", window) == {"p": 1, "": 3, "unexplained": 6}
        assert rows(scrape, "automation", window) == {"m": 1, "": 3, "unexplained": 6}
    assert counts(scrape, "devin_repository_sessions_cycle") == {x: 0.5, y: 0.5, "": 1}
    assert counts(scrape) == {f"{x} merged": 1, f"{x} open": 1, y: 1}


def test_beyond_the_limit_all_others_are_one_row(polled: Rig, listed: Listed) -> None:
    listed.rows = [
        session(
            str(n), acus=n, tags=[f"t{n}"], pull_requests=pull_requests((f"a/r{n}/pull/1", "open"))
        )
        for n in range(1, 6)
    ]
    listed.rows += [session("6", acus=0.5)]
    scrape = poll(polled)
    expected = {"t5": 5, "t4": 4, "t3": 3, "other": 3, "": 0.5, "unexplained": -5.5}
    assert rows(scrape, "tag") == expected
    assert counts(scrape)["other open"] == 2
    assert counts(scrape, "devin_repository_sessions_cycle")["other"] == 2


def test_values_that_are_rows_of_ours_and_more_than_are_told_apart_are_other(
    polled: Rig, listed: Listed
) -> None:
    many = [f"{n:03}" for n in range(MOST_VALUES + 9)]
    requests = pull_requests(*((f"a/{name}/pull/1", "open") for name in many))
    listed.rows = [
        session("1", acus=2.0, tags=["unexplained", "other"]),
        session("2", acus=51.0, tags=many, pull_requests=requests),
    ]
    scrape = poll(polled)
    own = {"048": 1.0, "049": 1.0, "047": 1.0}
    assert rows(scrape, "tag") == {**own, "other": 50.0, "unexplained": -43.0}
    assert sum(counts(scrape).values()) == MOST_VALUES + 9


# Windows


def test_a_session_from_before_the_window_counts_from_its_first_known_figure(
    polled: Rig, listed: Listed, clock: Clock
) -> None:
    def old(acus: float, *, quiet: float) -> dict[str, object]:
        return session("1", acus=acus, quiet=quiet, age=40 * DAY, tags=["old"])

    listed.rows = [old(7.0, quiet=60)]
    scrape = poll(polled)
    assert rows(scrape, "tag") == rows(scrape, "tag", "cycle") == {"unexplained": 10}
    listed.rows = [old(9.0, quiet=0)]
    clock.now += 60
    scrape = poll(polled)
    assert rows(scrape, "tag") == rows(scrape, "tag", "cycle") == {"old": 2, "unexplained": 8}
    listed.rows = [old(8.5, quiet=-1)]
    assert rows(poll(polled), "tag") == {"old": 1.5, "unexplained": 8.5}
    # Restated below what it was: nothing is known to have been consumed since.
    listed.rows = [old(6.0, quiet=-2)]
    assert rows(poll(polled), "tag") == {"unexplained": 10}
    listed.rows = [old(6.25, quiet=-3)]
    assert rows(poll(polled), "tag") == {"old": 0.25, "unexplained": 9.75}


def test_at_a_days_start_sessions_begin_with_what_they_had(
    polled: Rig, listed: Listed, clock: Clock, api: respx.Router
) -> None:
    listed.rows = [session("1", acus=4.0, tags=["a"])]
    poll(polled)
    clock.now = at("2026-03-21 08:00:00")
    assert rows(polled.scrape(), "tag") == {}
    day = {"date": int(clock.now), "acus": 1.0}
    api.get("/v3/enterprise/consumption/daily").respond(
        json={"total_acus": 1.0, "consumption_by_date": [day]}
    )
    clock.now += 5
    assert rows(poll(polled), "tag") == {"unexplained": 1}
    clock.now += 3_600
    listed.rows = [{**session("1", acus=4.5, tags=["a"]), "updated_at": int(clock.now)}]
    scrape = poll(polled)
    assert rows(scrape, "tag") == {"a": 0.5, "unexplained": 0.5}
    assert rows(scrape, "tag", "cycle") == {"a": 4.5, "unexplained": -3.5}


def test_the_cycle_is_absent_until_all_of_it_is_listed(
    polled: Rig, listed: Listed, clock: Clock
) -> None:
    early = session("1", acus=2.0, age=12 * DAY, quiet=11 * DAY, tags=["early"])
    listed.rows = [early, session("2", acus=3.0, tags=["a"])]
    polled.poll("identity", "cycles", "sessions", "enterprise_consumption")
    scrape = polled.scrape()
    assert rows(scrape, "tag") == {"a": 3, "unexplained": 7}
    assert rows(scrape, "tag", "cycle") == {}
    polled.poll("session_breakdowns")
    assert rows(polled.scrape(), "tag", "cycle") == {"early": 2, "a": 3, "unexplained": 5}
    spans = [each for each in listed.requests if each[1] is not None]
    assert all(before - after <= DAY + 3 for after, before in spans if before is not None)
    assert spans[0][0] <= at("2026-03-05 08:00:00")
    asked = len(spans)
    clock.now += 60
    poll(polled)
    assert len([each for each in listed.requests if each[1] is not None]) == asked


def test_a_cycle_that_is_known_after_the_sessions_is_listed_at_once(
    polled: Rig, listed: Listed
) -> None:
    early = session("1", acus=2.0, age=12 * DAY, quiet=11 * DAY, tags=["early"])
    listed.rows = [early, session("2", acus=3.0, tags=["a"])]
    polled.poll("identity", "sessions", "cycles", "session_breakdowns", "enterprise_consumption")
    assert rows(polled.scrape(), "tag", "cycle") == {"early": 2, "a": 3, "unexplained": 5}


def test_while_the_sessions_cannot_be_polled_the_task_fails_with_them(
    polled: Rig, api: respx.Router
) -> None:
    poll(polled)
    api.get(LIST).respond(500)
    polled.poll("sessions", "session_breakdowns")
    assert isinstance(polled.error("session_breakdowns"), type(polled.error("sessions")))
    assert polled.error("sessions") is not None


def test_once_a_day_the_cycle_is_listed_again_so_that_later_merges_are_seen(
    polled: Rig, listed: Listed, clock: Clock
) -> None:
    def ended(state: str) -> dict[str, object]:
        requests = pull_requests(("acme/x/pull/1", state))
        return session("1", age=5 * DAY, quiet=4 * DAY, pull_requests=requests)

    listed.rows = [ended("open")]
    assert counts(poll(polled)) == {"git.example.com/acme/x open": 1}
    listed.rows = [ended("merged")]
    clock.now = at("2026-03-21 08:59:00")
    assert counts(poll(polled)) == {"git.example.com/acme/x open": 1}
    clock.now = at("2026-03-21 09:00:00")
    assert counts(poll(polled)) == {"git.example.com/acme/x merged": 1}


def test_after_a_long_outage_the_days_between_are_listed(
    polled: Rig, listed: Listed, clock: Clock, api: respx.Router
) -> None:
    listed.rows = [session("1", acus=1.0, tags=["a"])]
    poll(polled)
    clock.now += 3 * DAY
    between = {**session("2", acus=5.0, tags=["b"]), "created_at": int(NOW + DAY)}
    listed.rows = [*listed.rows, {**between, "updated_at": int(NOW + DAY) + 60}]
    polled.poll("identity", "cycles", "sessions", "enterprise_consumption")
    assert rows(polled.scrape(), "tag", "cycle") == {}
    polled.poll("session_breakdowns")
    scrape = polled.scrape()
    assert rows(scrape, "tag", "cycle") == {"a": 1, "b": 5, "unexplained": 4}
    assert rows(scrape, "tag") == {"unexplained": 0}
    assert api is not None


def test_a_clock_that_goes_back_begins_anew(polled: Rig, listed: Listed, clock: Clock) -> None:
    clock.now += 2 * DAY
    listed.rows = [session("1", acus=1.0, tags=["a"])]
    poll(polled)
    clock.now = NOW
    assert rows(poll(polled), "tag") == {"a": 1, "unexplained": 9}


# What is not known


def test_a_row_that_cannot_be_read_is_unexplained_and_takes_the_counts_away(
    polled: Rig, listed: Listed, clock: Clock
) -> None:
    good = session("1", acus=2.0, tags=["a"], pull_requests=pull_requests(("a/x/pull/1", "open")))
    listed.rows = [good, {**session("2", acus=3.0), "tags": 7}]
    scrape = poll(polled)
    assert rows(scrape, "tag", "cycle") == {"a": 2, "unexplained": 8}
    assert counts(scrape) == {}
    listed.rows = [good, session("2", acus=3.0, tags=["b"])]
    clock.now = at("2026-03-21 09:30:00")
    scrape = poll(polled)
    assert rows(scrape, "tag", "cycle") == {"a": 2, "b": 3, "unexplained": 5}
    assert counts(scrape) == {"git.example.com/a/x open": 1}


def test_without_the_total_nothing_is_said_to_be_unexplained(
    polled: Rig, listed: Listed, api: respx.Router
) -> None:
    api.get("/v3/enterprise/consumption/daily").respond(403)
    listed.rows = [session("1", acus=2.0, tags=["a"])]
    polled.poll(*TASKS)
    assert rows(polled.scrape(), "tag") == {"a": 2}


def test_data_that_is_too_old_is_absent(polled: Rig, listed: Listed, clock: Clock) -> None:
    listed.rows = [session("1", acus=2.0, tags=["a"])]
    poll(polled)
    clock.now += 3_600
    polled.poll("session_breakdowns", "enterprise_consumption")
    scrape = polled.scrape()
    assert rows(scrape, "tag") == {}
    assert scrape.one("devin_exporter_task_entities_missing", task="session_breakdowns") == 1


def test_before_sessions_and_cycle_are_known_the_task_says_so(polled: Rig) -> None:
    polled.poll("session_breakdowns")
    error = polled.error("session_breakdowns")
    assert error is not None
    assert "not known yet" in str(error)


# Settings, keys and privacy


def test_a_limit_of_0_turns_the_task_off(listed: Listed, clock: Clock) -> None:
    listed.rows = [session("1")]
    with rig(URL, clock, session_breakdown_limit="0") as polled:
        polled.poll(*TASKS)
        state = polled.store.states()["session_breakdowns"]
        assert state.switched_off == "DEVIN_SESSION_BREAKDOWN_LIMIT is 0"
        assert not any(name.startswith("devin_session_tag") for name in polled.scrape().names())
        assert all(before is None for _, before in listed.requests)


@pytest.mark.parametrize("mode", ["hash", "off"])
def test_where_users_are_not_shown_what_people_have_named_is_not_kept(
    listed: Listed, clock: Clock, mode: str
) -> None:
    requests = pull_requests(("ada.amari/x/pull/1", "open"))
    listed.rows = [
        session("1", acus=2.0, tags=["for-ada.amari"], pull_requests=requests, origin="slack")
    ]
    with rig(URL, clock, user_metrics=mode, user_hash_key="one-key") as polled:
        scrape = poll(polled)
        assert "amari" not in polled.page()
    assert rows(scrape, "origin") == {"slack": 2, "unexplained": 8}
    assert rows(scrape, "tag") == rows(scrape, "repository") == {}
    assert not scrape.family("devin_repository_sessions_cycle")


@pytest.mark.parametrize("of_organization", [False, True])
def test_rows_of_the_simulation_add_up_for_both_kinds_of_keys(
    clock: Clock, *, of_organization: bool
) -> None:
    world = World(SIZE, start=NOW)
    org_id, _ = world.organizations[0]
    key = DemoKey(org_id=org_id) if of_organization else DemoKey()
    with (
        simulated_api(SIZE, clock, keys={KEY: key}) as (_, api),
        rig(api.url, clock) as polled,
    ):
        polled.poll()
        scrape = polled.scrape()
    of = "organization_" if of_organization else ""
    for window in ("today", "cycle"):
        total = math.fsum(scrape.family(f"devin_{of}consumption_{window}_acus").values())
        for dimension in DIMENSIONS:
            shown = rows(scrape, dimension, window)
            assert math.fsum(shown.values()) == pytest.approx(total, abs=1e-6)
            assert len(shown) > 1
    start = int(at("2026-03-20 08:00:00"))
    held = sessions(world, start, NOW, org=0 if of_organization else None)
    explained = math.fsum(v for k, v in rows(scrape, "tag").items() if k != "unexplained")
    assert explained == pytest.approx(math.fsum(float(str(r["acus_consumed"])) for r in held))
