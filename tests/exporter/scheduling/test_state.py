"""What a restart serves, and files that cannot be used."""

import logging
import math
import os
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
from array import array
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest

from exporter.demo.api import DemoApi
from exporter.demo.people import Size
from exporter.demo.world import World
from exporter.scheduling.kept import Entry, Kept
from exporter.scheduling.state_file import DAMAGED_SUFFIX, FILE_NAME, StateFile
from exporter.scheduling.state_tables import checked
from exporter.sources.devin.consumption.kept import decode_usage, encode_usage
from exporter.sources.devin.consumption.scopes import USER_SCOPE
from exporter.sources.devin.consumption.usage import EntityUsage
from tests.exporter.scheduling.restarts import poll_and_keep, restarted
from tests.support import loopback
from tests.support.limits import HANG_SECONDS
from tests.support.rig import KEY, Clock, Rig, at, rig, simulated_api

NOW = at("2026-03-20 15:30:00")
SIZE = Size(organizations=2, users=12, days=90)
OWNER = b"https://api.test cog_the_key_that_is_nowhere"
USER_CYCLE = "devin_user_consumption_cycle_acus"
USER_DAILY = USER_SCOPE.endpoint.path
CHECKED_AGAIN = (
    "UPDATE kept SET value = checked(part, key, value) "
    "WHERE part IN ('organization_consumption', 'cycles')"
)


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def simulated(clock: Clock) -> Iterator[tuple[World, DemoApi]]:
    with simulated_api(SIZE, clock) as made:
        yield made


def kept(**values: bytes) -> Kept:
    return Kept(
        name="a",
        entries=lambda: {key: Entry(value, partial(bytes, value)) for key, value in values.items()},
        restore=lambda _: None,
    )


@contextmanager
def opened(folder: Path, *, owner: bytes = OWNER) -> Iterator[StateFile | None]:
    file = StateFile.open(folder, owner=owner)
    try:
        yield file
    finally:
        if file is not None:
            file.close()


def values_in(folder: Path, *, owner: bytes = OWNER) -> object:
    with opened(folder, owner=owner) as file:
        assert file is not None
        return file.take_values()


def change(folder: Path, statement: str) -> None:
    """Change what is kept, past the exporter."""
    with closing(sqlite3.connect(folder / FILE_NAME)) as tables:
        tables.create_function("checked", 3, checked)
        tables.execute(statement)
        tables.commit()


def data(polled: Rig) -> dict[object, float]:
    """The series of the data that is kept, and those derived from it."""
    names = {
        metric.name
        for task in polled.tasks
        if task.kept or task.name in {"user_names", "unattributed", "metering"}
        for metric in task.metrics
    }
    return {key: value for key, value in polled.scrape().values.items() if key[0] in names}


def test_the_file_is_hardly_larger_than_what_it_keeps(tmp_path: Path) -> None:
    of_a_user = bytes(1_600)
    users = {f"user-{number}": of_a_user for number in range(200)}
    file = StateFile.open(tmp_path, owner=OWNER)
    assert file is not None
    file.save([kept(**users)])
    file.close()
    assert (tmp_path / FILE_NAME).stat().st_size < 1.5 * len(users) * len(of_a_user)


def test_a_restart_serves_the_last_good_data_without_a_request(
    simulated: tuple[World, DemoApi], clock: Clock, tmp_path: Path
) -> None:
    _, api = simulated
    before = data(poll_and_keep(api, clock, tmp_path))
    requests = api.traffic.total()
    clock.now += 60
    with restarted(api, clock, tmp_path) as again:
        assert data(again) == before
        assert api.traffic.total() == requests
        scrape = again.scrape()
        assert scrape.one("devin_exporter_task_up", task="user_consumption") == 1
        name = "devin_exporter_task_last_success_timestamp_seconds"
        assert scrape.one(name, task="user_consumption") == NOW
    assert len(before) > 100


def test_what_was_kept_expires_by_its_true_age_and_windows_end_on_time(
    simulated: tuple[World, DemoApi], clock: Clock, tmp_path: Path
) -> None:
    _, api = simulated
    poll_and_keep(api, clock, tmp_path)
    clock.now = NOW + 880
    with restarted(api, clock, tmp_path) as again:
        assert again.scrape().family("devin_user_consumption_cycle_acus")
        clock.now = NOW + 900
        assert again.scrape().family("devin_user_consumption_cycle_acus") == {}
        assert again.scrape().one("devin_exporter_task_up", task="user_consumption") == 0
    clock.now = at("2026-03-21 08:00:00")
    with restarted(api, clock, tmp_path, poll_interval="86400") as again:
        scrape = again.scrape()
        assert scrape.family("devin_consumption_cycle_acus")
        assert scrape.family("devin_consumption_today_acus") == {}
        assert scrape.family("devin_consumption_yesterday_acus") == {}


def test_after_a_restart_one_total_makes_everything_fresh_again(
    simulated: tuple[World, DemoApi], clock: Clock, tmp_path: Path
) -> None:
    _, api = simulated
    poll_and_keep(api, clock, tmp_path)
    clock.now = NOW + 3_600
    with restarted(api, clock, tmp_path) as again:
        assert again.scrape().family("devin_organization_consumption_cycle_acus") == {}
        again.poll()
        with rig(api.url, clock) as anew:
            anew.poll()
            assert data(again) == pytest.approx(data(anew), abs=1e-6)


def test_a_first_round_that_was_cut_short_is_served_and_goes_on_with_those_who_are_left(
    simulated: tuple[World, DemoApi], clock: Clock, tmp_path: Path
) -> None:
    _, api = simulated
    before = poll_and_keep(api, clock, tmp_path).scrape().family(USER_CYCLE)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as tables:
        tables.execute("DELETE FROM kept WHERE part = 'outcomes' AND key = 'user_consumption'")
        tables.execute(
            "DELETE FROM kept WHERE part = 'user_consumption' AND key IN "
            "(SELECT key FROM kept WHERE part = 'user_consumption' ORDER BY key LIMIT 6)"
        )
        tables.commit()
    with restarted(api, clock, tmp_path) as again:
        left = again.scrape().family(USER_CYCLE)
        assert left
        assert left.items() < before.items()
        assert again.scrape().one("devin_exporter_task_up", task="user_consumption") is None
        asked = api.traffic.requests[USER_DAILY, 200]
        again.poll()
        assert api.traffic.requests[USER_DAILY, 200] - asked == 6
        assert again.scrape().family(USER_CYCLE) == before


@pytest.mark.parametrize("mode", ["hash", "off"])
def test_what_the_present_mode_hides_is_not_served(
    simulated: tuple[World, DemoApi], clock: Clock, tmp_path: Path, mode: str
) -> None:
    world, api = simulated
    poll_and_keep(api, clock, tmp_path, user_metrics="full")
    with restarted(api, clock, tmp_path, user_metrics=mode, user_hash_key="k") as again:
        page = again.store.page.text.decode()
        assert "devin_consumption_cycle_acus{" in page
        assert ("devin_user_consumption_cycle_acus{" in page) == (mode == "hash")
        for person in world.people:
            if not person.service:
                assert person.id not in page
                assert person.name not in page


def bytes_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


@pytest.mark.parametrize("before", ["full", None])
@pytest.mark.parametrize("mode", ["id", "hash", "off"])
def test_names_are_not_even_kept_where_they_are_not_published(
    simulated: tuple[World, DemoApi], clock: Clock, tmp_path: Path, mode: str, before: str | None
) -> None:
    world, api = simulated
    # Ids are kept, and some have a name in them.
    people = [each for each in world.people if not each.service and each.name not in each.id]
    texts = [text.encode() for each in people for text in (each.email, each.name) if text]
    if before is not None:
        poll_and_keep(api, clock, tmp_path, user_metrics=before, session_titles="true")
        assert any(text in bytes_in(tmp_path) for text in texts)
    titles = "false" if mode == "id" else "true"
    with restarted(
        api, clock, tmp_path, user_metrics=mode, user_hash_key="k", session_titles=titles
    ) as again:
        again.poll()
    content = bytes_in(tmp_path)
    assert b"user_consumption" in content
    assert len(texts) > len(people)
    assert not [text for text in texts if text in content]


@pytest.mark.parametrize("mode", ["hash", "off"])
def test_tags_and_pull_requests_are_not_kept_where_users_are_hidden(
    simulated: tuple[World, DemoApi], clock: Clock, tmp_path: Path, mode: str
) -> None:
    _, api = simulated
    query = f"first=200&updated_after={int(NOW) - 86_400}"
    response = loopback.get(
        f"{api.url}/v3/enterprise/sessions?{query}", headers={"Authorization": f"Bearer {KEY}"}
    )
    listed = response.json()["items"]
    tags = [f'"{tag}"' for session in listed for tag in session["tags"]]
    addresses = [each["pr_url"] for session in listed for each in session["pull_requests"]]
    assert tags
    assert addresses
    poll_and_keep(api, clock, tmp_path, user_metrics=mode, user_hash_key="key-of-the-hashes")
    content = bytes_in(tmp_path)
    assert listed[0]["url"].encode() in content
    secrets = [*tags, *addresses, "key-of-the-hashes", KEY]
    assert not [text for text in secrets if text.encode() in content]


def test_no_key_is_kept_and_the_file_is_for_its_owner_alone(
    simulated: tuple[World, DemoApi], clock: Clock, tmp_path: Path
) -> None:
    _, api = simulated
    folder = tmp_path / "not" / "there yet"
    poll_and_keep(api, clock, folder)
    (file,) = folder.iterdir()
    assert KEY.encode() not in file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    poll_and_keep(api, clock, folder)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_only_what_has_changed_is_written_and_what_is_gone_is_removed(tmp_path: Path) -> None:
    encoded: list[str] = []

    def part(**values: bytes) -> Kept:
        def encode(key: str) -> bytes:
            encoded.append(key)
            return values[key]

        return Kept(
            name="a",
            entries=lambda: {
                key: Entry(value, partial(encode, key)) for key, value in values.items()
            },
            restore=lambda _: None,
        )

    with opened(tmp_path) as file:
        assert file is not None
        file.save([part(x=b"1", y=b"1")])
        file.save([part(x=b"1", y=b"2")])
        file.save([part(x=b"1", y=b"2")])
    assert encoded == ["x", "y", "y"]
    assert values_in(tmp_path) == {"a": {"x": b"1", "y": b"2"}}
    with opened(tmp_path) as file:
        assert file is not None
        file.save([part(x=b"3")])
    assert values_in(tmp_path) == {"a": {"x": b"3"}}


def test_a_part_of_the_same_version_is_left_as_it_was_written(tmp_path: Path) -> None:
    def part(version: int, **values: bytes) -> Kept:
        made = kept(**values)
        return Kept(
            name=made.name, entries=made.entries, restore=made.restore, version=lambda: version
        )

    with opened(tmp_path) as file:
        assert file is not None
        file.save([part(1, x=b"1", y=b"1")])
        file.save([part(1)])
    assert values_in(tmp_path) == {"a": {"x": b"1", "y": b"1"}}
    with opened(tmp_path) as file:
        assert file is not None
        file.save([part(1, x=b"2", y=b"1")])
        file.save([part(2, x=b"3")])
    assert values_in(tmp_path) == {"a": {"x": b"3"}}


def test_the_state_of_another_key_is_dropped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with opened(tmp_path) as file:
        assert file is not None
        file.save([kept(x=b"1")])
    assert values_in(tmp_path, owner=b"another") == {}
    assert "of another address or key" in caplog.text
    assert values_in(tmp_path) == {}


@pytest.mark.parametrize("damage", ["no database", "cut off", "overwritten"])
def test_a_damaged_file_is_set_aside(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / FILE_NAME
    with opened(tmp_path) as file:
        assert file is not None
        file.save([kept(**{f"x{n}": bytes(5_000) for n in range(50)})])
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(
        {
            "no database": b"these are no tables at all" * 100,
            "cut off": content[:middle],
            "overwritten": content[: middle - 20_000]
            + b"\xff" * 40_000
            + content[middle + 20_000 :],
        }[damage]
    )
    assert values_in(tmp_path) == {}
    assert path.with_name(FILE_NAME + DAMAGED_SUFFIX).exists()
    assert "is damaged" in caplog.text
    with opened(tmp_path) as file:
        assert file is not None
        file.save([kept(x=b"1")])
    assert values_in(tmp_path) == {"a": {"x": b"1"}}


def test_a_part_that_cannot_be_read_is_dropped_alone(
    simulated: tuple[World, DemoApi],
    clock: Clock,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    _, api = simulated
    poll_and_keep(api, clock, tmp_path)
    change(
        tmp_path,
        "UPDATE kept SET value = substr(value, 5, length(value) - 13) "
        "WHERE part = 'organization_consumption'",
    )
    change(tmp_path, "UPDATE kept SET value = CAST('{}' AS BLOB) WHERE part = 'cycles'")
    change(tmp_path, CHECKED_AGAIN)
    with restarted(api, clock, tmp_path) as again:
        scrape = again.scrape()
        assert scrape.family("devin_organization_consumption_today_acus") == {}
        assert scrape.family("devin_user_consumption_today_acus")
    assert "state of organization_consumption cannot be read" in caplog.text
    assert "state of cycles cannot be read" in caplog.text


@pytest.mark.parametrize(
    "damage",
    [
        "substr(value, 1, length(value) - 3) || X'01' || substr(value, length(value) - 1)",
        "substr(value, 1, 7)",
        "X''",
        "NULL",
        "key",
    ],
)
def test_a_value_with_a_wrong_byte_is_noticed_and_its_task_has_not_succeeded(
    simulated: tuple[World, DemoApi],
    clock: Clock,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    damage: str,
) -> None:
    _, api = simulated
    before = data(poll_and_keep(api, clock, tmp_path))
    one = "SELECT min(key) FROM kept WHERE part = 'organization_consumption'"
    change(
        tmp_path,
        f"UPDATE kept SET value = CAST({damage} AS BLOB) "  # noqa: S608 - of this test
        f"WHERE part = 'organization_consumption' AND key = ({one})",
    )
    with restarted(api, clock, tmp_path) as again:
        scrape = again.scrape()
        assert scrape.family("devin_organization_consumption_today_acus") == {}
        assert scrape.one("devin_exporter_task_up", task="organization_consumption") is None
        assert scrape.family("devin_user_consumption_today_acus")
        again.poll()
        assert data(again) == pytest.approx(before)
    assert "state of organization_consumption is damaged and is dropped" in caplog.text
    assert not (tmp_path / f"{FILE_NAME}{DAMAGED_SUFFIX}").exists()


def test_a_value_at_the_place_of_another_is_noticed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(tmp_path) as file:
        assert file is not None
        file.save([kept(x=b"1", y=b"2")])
    change(tmp_path, "UPDATE kept SET key = 'z' WHERE key = 'x'")
    assert values_in(tmp_path) == {}
    assert "state of a is damaged and is dropped" in caplog.text


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE kept SET key = CAST(X'66FF' AS TEXT) WHERE key = 'x'",
        "UPDATE kept SET value = X'00' WHERE key = 'owner'",
        "DROP TABLE kept",
        "ALTER TABLE kept RENAME COLUMN value TO worth",
    ],
)
def test_tables_that_cannot_be_read_are_set_aside(tmp_path: Path, damage: str) -> None:
    with opened(tmp_path) as file:
        assert file is not None
        file.save([kept(x=b"1")])
    change(tmp_path, damage)
    assert values_in(tmp_path) == {}
    assert (tmp_path / f"{FILE_NAME}{DAMAGED_SUFFIX}").exists()
    with opened(tmp_path) as file:
        assert file is not None
        file.save([kept(x=b"2")])
    assert values_in(tmp_path) == {"a": {"x": b"2"}}


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_number_that_is_not_finite_is_refused(number: float) -> None:
    usage = EntityUsage(NOW, range(2), {"devin": array("d", [1.0, number])}, None)
    with pytest.raises(ValueError, match="not finite"):
        decode_usage(encode_usage(usage))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("PRAGMA application_id = 77", "is the database of another program"),
        ("PRAGMA user_version = 999", "was written by a newer version"),
    ],
)
def test_a_foreign_or_newer_file_is_left_alone(
    tmp_path: Path, change: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / FILE_NAME
    with opened(tmp_path) as file:
        assert file is not None
        file.save([kept(x=b"1")])
    with closing(sqlite3.connect(path)) as tables:
        tables.execute(change)
    content = path.read_bytes()
    assert StateFile.open(tmp_path, owner=OWNER) is None
    assert path.read_bytes() == content
    assert why in caplog.text
    assert "nothing is kept across restarts" in caplog.text


SECOND = """
import logging, sys
from pathlib import Path
from exporter.scheduling.state_file import StateFile

logging.basicConfig(stream=sys.stdout)
assert StateFile.open(Path(sys.argv[1]), owner=b"o") is None
"""


def test_a_second_exporter_on_one_directory_says_so_and_runs_without(tmp_path: Path) -> None:
    with opened(tmp_path) as file:
        assert file is not None
        command = [sys.executable, "-c", SECOND, str(tmp_path)]
        second = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=HANG_SECONDS
        )
        assert second.returncode == 0, second.stderr
        assert "is in use by another exporter" in second.stdout
        file.save([kept(x=b"1")])
    assert values_in(tmp_path) == {"a": {"x": b"1"}}


@pytest.mark.parametrize("kind", ["file", "directory", "link", "pipe"])
def test_a_path_that_cannot_hold_the_file_is_gone_without(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "state"
    if kind == "file":
        folder.write_text("")
    else:
        folder.mkdir()
    path = folder / FILE_NAME
    if kind == "directory":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(tmp_path / "elsewhere")
    elif kind == "pipe":
        os.mkfifo(path)
    assert StateFile.open(folder, owner=OWNER) is None
    assert "nothing is kept across restarts" in caplog.text
    assert not (tmp_path / "elsewhere").exists()


def test_a_full_disk_is_told_once_and_the_file_keeps_the_old_state(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with opened(tmp_path) as file:
        assert file is not None
        file.save([kept(x=b"old")])
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        full = (tmp_path / FILE_NAME).stat().st_size + 4_096
        for _ in range(2):
            resource.setrlimit(resource.RLIMIT_FSIZE, (full, hard))
            try:
                file.save([kept(x=os.urandom(1_000_000))])
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        assert caplog.text.count("the state cannot be kept") == 1
        file.save([kept(x=b"new")])
        assert "the state is kept again" in caplog.text
    assert values_in(tmp_path) == {"a": {"x": b"new"}}


WRITER = """
import sys
from pathlib import Path
from exporter.scheduling.kept import Entry, Kept
from exporter.scheduling.state_file import StateFile

file = StateFile.open(Path(sys.argv[1]), owner=b"o")
turn = 0
while True:
    turn += 1
    value = turn.to_bytes(4, "big") * 2_000
    entries = {str(n): Entry(turn, lambda value=value: value) for n in range(30)}
    file.save([Kept(name="a", entries=lambda: entries, restore=print)])
    print(turn, flush=True)
"""


@pytest.mark.parametrize("lines", [1, 2, 5, 9, 14])
def test_killed_at_any_moment_the_file_has_the_old_or_the_new_state(
    tmp_path: Path, lines: int
) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        saved = [int(writer.stdout.readline()) for _ in range(lines)][-1]
        writer.kill()
        rest = writer.stdout.read().split()
    values = values_in(tmp_path, owner=b"o")
    assert isinstance(values, dict)
    (state,) = set(values["a"].values())
    turn = int.from_bytes(state[:4], "big")
    assert turn >= max([saved, *map(int, rest)])
    assert state == turn.to_bytes(4, "big") * 2_000
    assert len(values["a"]) == 30
