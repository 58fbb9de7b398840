"""The rows of docs/reference/failures.md about parts of the data, and that of the port."""

import socket

from exporter.client.endpoint import expand_path
from exporter.demo.endpoints import GATEWAY, V2, V3
from exporter.sources.devin.billing import cycles
from exporter.sources.devin.consumption.scopes import USER_SCOPE
from exporter.sources.devin.derived import unattributed, unreadable
from exporter.sources.devin.derived.teams import metrics as teams
from exporter.sources.devin.members import models, samples
from tests.failures.assertions import assert_as_the_row_says, assert_series
from tests.failures.rig import (
    INTERVAL,
    KEYS,
    Course,
    Servers,
    assert_no_part_of_a_key,
    course_of,
    own_families,
    polled,
    polled_tasks,
    stage,
)
from tests.failures.rows import MAIN, Row
from tests.support.faulty_server import JsonObject, changed, status
from tests.support.processes import STARTED, finished
from tests.support.rig import Scrape


def test_404_of_the_whole_v2_api__it_is_gone(of: Servers, row: Row) -> None:
    ((source,),) = row.victims
    task = MAIN[source][1]
    with stage(of) as staged:
        before = polled(staged)
        of.devin.misbehave(status(404), "/v2*")
        broken = polled(staged)
        assert_as_the_row_says(row, broken, {task})
        assert row.log in staged.logged()
        staged.clock.now += 3 * INTERVAL + 1
        late = polled(staged)
        assert_as_the_row_says(row, late, {task})
        of.heal()
        course = course_of(
            staged,
            {task},
            before=before,
            broken=broken,
            late=late,
            healed=polled(staged),
        )
        assert_series(row, course)


def test_one_user_whose_endpoint_always_fails(of: Servers, row: Row) -> None:
    task = USER_SCOPE.task
    # Everybody has a turn at every poll.
    with stage(of, {"DEVIN_SWEEP_INTERVAL": "1"}) as staged:
        before = polled(staged)
        told = before.page.family("devin_user_consumption_cycle_acus")
        victim = min(dict(labels)["user_id"] for labels in told)
        path = expand_path(f"{MAIN[V3][0]}/users/{{user_id}}", {"user_id": victim})
        of.devin.misbehave(status(500), path)
        staged.clock.now += 2
        broken = polled(staged)
        assert broken.failures() == {(task, row.reason): 1}
        assert_as_the_row_says(row, broken, {task})
        assert row.log in staged.logged()
        staged.clock.now += 3 * INTERVAL + 1
        late = polled(staged)
        assert_as_the_row_says(row, late, {task})
        assert late.missing(task) == 1
        of.heal()
        course = Course(
            lost=own_families(staged, {task}),
            # What belongs to no known user, and to groups, is not known without him.
            follow={unattributed.UNATTRIBUTED.name, *(each.name for each in teams.CONSUMPTION)},
            before=before.data,
            broken=broken.data,
            late=late.data,
            healed=polled(staged).data,
            entity=("user_id", victim),
        )
        assert_series(row, course)


def test_an_organization_that_cannot_be_read(of: Servers, row: Row) -> None:
    count, told = samples.ORGANIZATIONS.name, unreadable.UNREADABLE.name
    with stage(of) as staged:
        before = polled(staged)
        staged.logged()
        damaged = changed(without_name_of_first)
        of.devin.misbehave(damaged, models.ORGANIZATIONS.path)
        broken = polled(staged)
        assert_as_the_row_says(row, broken, polled_tasks(staged, (V3,)))
        assert staged.logged().count(row.log) == 1
        assert before.page.one(count) == len(before.page.family("devin_organization_info"))
        assert broken.page.one(count) is None
        assert broken.page.one(told, path=models.ORGANIZATIONS.path) == 1
        for family in ("devin_organization_info", "devin_organization_consumption_cycle_acus"):
            assert broken.page.family(family) == before.page.family(family)
        assert broken.page.family(unattributed.UNATTRIBUTED.name).keys() == {
            frozenset({("scope", "users")})
        }
        of.heal()
        healed = polled(staged)
        assert healed.page.one(count) == before.page.one(count)
        assert healed.page.one(told, path=models.ORGANIZATIONS.path) == 0


def without_name_of_first(page: JsonObject) -> JsonObject:
    """A page whose first row cannot be read."""
    items = page["items"]
    assert isinstance(items, list)
    return {**page, "items": [{**items[0], "name": 7}, *items[1:]]}


def test_a_list_of_members_that_is_empty_for_one_poll(of: Servers, row: Row) -> None:
    empty_for_one_poll(of, row, "/v3/enterprise/members*")


def test_a_list_of_cycles_that_is_empty_for_one_poll(of: Servers, row: Row) -> None:
    empty_for_one_poll(of, row, cycles.ENDPOINT.path)


def empty_for_one_poll(of: Servers, row: Row, path: str) -> None:
    (sources,) = row.victims
    with stage(of) as staged:
        before = polled(staged)
        staged.logged()
        nothing = changed(lambda page: {**page, "items": [], "total": 0})
        of.devin.misbehave(nothing, path)
        broken = polled(staged)
        tasks = polled_tasks(staged, sources)
        assert_as_the_row_says(row, broken, tasks)
        assert staged.logged() == row.log
        of.heal()
        healed = polled(staged)
        course = course_of(staged, tasks, before=before, broken=broken, healed=healed)
        assert_series(row, course)


def test_the_port_is_taken(row: Row) -> None:
    assert row.victims == ()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = finished(
            WEB_LISTEN_ADDRESS=f"127.0.0.1:{port}",
            LOG_LEVEL="debug",
            DEVIN_SERVICE_USER_TOKEN=KEYS[V3],
            DEVIN_V2_API_KEY=KEYS[V2],
            AIONE_API_URL="https://localhost",
            AIONE_TOKEN=KEYS[GATEWAY],
        )
    assert ended.returncode == 1
    assert row.log in ended.stderr
    assert f"127.0.0.1:{port}" in ended.stderr
    assert STARTED.decode() not in ended.stdout
    assert_series(row, Course(lost=frozenset(), before=None, broken=Scrape.of(ended.stdout).values))
    assert_no_part_of_a_key(ended.stdout, ended.stderr)
