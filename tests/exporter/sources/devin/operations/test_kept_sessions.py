"""Sessions after a restart, a long pause, or with other settings."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest
import respx

from exporter.scheduling.kept import Kept
from exporter.sources.devin.members import directory
from exporter.sources.devin.operations import sessions
from tests.support.rig import Clock, Rig, Scrape, at, rig

NOW = at("2026-03-20 15:30:00")
DAY = 86_400
URL = "https://api.test"
RECENT = "devin_recent_session_info"


def session(name: str, updated: float, **fields: object) -> dict[str, object]:
    return {
        "session_id": name,
        "org_id": "o",
        "url": "",
        "status": "exit",
        "acus_consumed": 1.0,
        "created_at": int(updated) - 60,
        "updated_at": int(updated),
        "title": f"Title of {name}",
        **fields,
    }


class Api:
    """The list of sessions, and how far back it was requested."""

    def __init__(self, router: respx.Router) -> None:
        self.listed: list[dict[str, object]] = []
        self.asked: list[int] = []
        router.get("/v3/enterprise/sessions").mock(side_effect=self._list)

    def _list(self, request: httpx.Request) -> httpx.Response:
        after = int(request.url.params["updated_after"])
        self.asked.append(after)
        found = [each for each in self.listed if int(str(each["updated_at"])) > after]
        return httpx.Response(200, json={"items": found, "has_next_page": False})


@pytest.fixture
def router() -> Iterator[respx.Router]:
    with respx.mock(base_url=URL) as made:
        yield made


@pytest.fixture
def api(router: respx.Router) -> Api:
    return Api(router)


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


def kept_of(polled: Rig) -> dict[str, Kept]:
    return {part.name: part for task in polled.tasks for part in task.kept}


@contextmanager
def restarted(before: Rig, clock: Clock, **settings: str) -> Iterator[Rig]:
    """Another process with what one has kept."""
    with rig(URL, clock, **settings) as again:
        new = kept_of(again)
        for part, kept in kept_of(before).items():
            values = {key: entry.encode() for key, entry in kept.entries().items()}
            # What cannot be read is dropped.
            with suppress(ValueError):
                new[part].restore(values)
        again.scheduler.publish_known()
        yield again


def titles(scrape: Scrape) -> dict[str, str]:
    rows = [dict(labels) for labels in scrape.family(RECENT)]
    return {row["session_id"]: row["title"] for row in rows}


def test_after_a_pause_of_more_than_a_day_no_session_between_is_missing_and_no_state_is_old(
    api: Api, clock: Clock
) -> None:
    api.listed = [session("before", NOW - 60, status="running")]
    with rig(URL, clock) as before:
        before.poll(sessions.TASK)
        clock.now = NOW + 3 * DAY
        api.listed = [
            session("before", NOW + 600, status="error"),
            session("between", NOW + DAY),
            session("after", NOW + 3 * DAY - 60),
        ]
        with restarted(before, clock) as again:
            again.poll(sessions.TASK)
            rows = [dict(labels) for labels in again.scrape().family(RECENT)]
        # A process that could not poll for so long must do the same.
        before.poll(sessions.TASK)
        assert [dict(labels) for labels in before.scrape().family(RECENT)] == rows
    states = {row["session_id"]: row["status"] for row in rows}
    assert states == {"before": "error", "between": "exit", "after": "exit"}


def test_after_a_short_pause_only_what_has_changed_is_requested(api: Api, clock: Clock) -> None:
    api.listed = [session("a", NOW - 2 * DAY), session("b", NOW - 60)]
    with rig(URL, clock, session_titles="true") as before:
        before.poll(sessions.TASK)
        clock.now = NOW + 3_600
        api.asked.clear()
        with restarted(before, clock, session_titles="true") as again:
            again.poll(sessions.TASK)
            assert set(titles(again.scrape())) == {"a", "b"}
    assert api.asked == [int(NOW) - 601]


def test_with_more_rows_the_sessions_of_further_back_are_requested(api: Api, clock: Clock) -> None:
    api.listed = [session("new", NOW - 60), session("old", NOW - 20 * DAY)]
    with rig(URL, clock, recent_sessions="1") as before:
        before.poll(sessions.TASK)
        assert set(titles(before.scrape())) == {"new"}
        clock.now += 60
        with (
            restarted(before, clock, recent_sessions="2") as ended_before_a_poll,
            restarted(ended_before_a_poll, clock, recent_sessions="2") as again,
        ):
            again.poll(sessions.TASK)
            assert set(titles(again.scrape())) == {"new", "old"}


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({"session_titles": "false"}, {"session_titles": "true"}),
        (
            {"session_titles": "true", "user_metrics": "off"},
            {"session_titles": "true", "user_metrics": "id"},
        ),
    ],
)
def test_titles_that_were_not_kept_are_requested(
    api: Api, clock: Clock, first: dict[str, str], then: dict[str, str]
) -> None:
    api.listed = [session("a", NOW - 60), session("b", NOW - 5 * DAY)]
    with rig(URL, clock, **first) as before:
        before.poll(sessions.TASK)
        assert set(titles(before.scrape()).values()) == {""}
        clock.now += 60
        with restarted(before, clock, **then) as again:
            again.poll(sessions.TASK)
            assert titles(again.scrape()) == {"a": "Title of a", "b": "Title of b"}


def test_names_that_were_not_kept_are_absent_until_the_lists_are_read(
    api: Api, router: respx.Router, clock: Clock
) -> None:
    assert api.listed == []
    member = {"user_id": "u", "email": "u@example.com", "name": "U", "role_assignments": []}
    nobody = {"user_id": "nobody", "role_assignments": []}
    page = {"items": [member, nobody], "has_next_page": False}
    router.get("/v3/enterprise/members/users").respond(json=page)
    router.get("/v3/enterprise/members/idp-users").respond(
        json={"items": [], "has_next_page": False}
    )

    def emails(polled: Rig) -> set[str]:
        rows = polled.scrape().family("devin_user_info")
        return {dict(labels)["user_email"] for labels in rows}

    with rig(URL, clock, user_metrics="id") as before:
        before.poll(directory.USERS_TASK)
        clock.now += 60
        with restarted(before, clock, user_metrics="full") as again:
            again.poll(sessions.TASK)
            assert again.scrape().one("devin_users") == 2
            assert emails(again) == set()
            again.poll(directory.USERS_TASK)
            assert emails(again) == {"u@example.com", ""}
