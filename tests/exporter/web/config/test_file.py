"""The web configuration's file, which is read again when anything changes."""

import time
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from exporter.web.config.document import WebConfigError
from exporter.web.config.file import WebConfigFile
from tests.exporter.web.config.folder import Folder, hash_of
from tests.support.limits import HANG_SECONDS
from tests.support.processes import BETWEEN_LOOKS
from tests.support.rig import Clock

PAIR = "tls_server_config: {cert_file: server.crt, key_file: server.key}\n"


class Reading:
    """A file that is read again."""

    def __init__(self, folder: Folder, text: str) -> None:
        self.folder = folder
        self.clock = Clock(1_000.0)
        self.registry = CollectorRegistry()
        path = folder.write(text)
        self.file = WebConfigFile(path, registry=self.registry, clock=self.clock)

    def figures(self) -> tuple[float | None, float | None]:
        """The metrics."""
        names = ("successful", "success_timestamp_seconds")
        prefix = "devin_exporter_web_config_last_reload_"
        found = [self.registry.get_sample_value(prefix + name) for name in names]
        return found[0], found[1]


def look_twice(file: WebConfigFile) -> None:
    """Find a change, and find that it is over."""
    file.reload_if_changed()
    file.reload_if_changed()


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder.at(tmp_path)


def test_a_start_with_a_broken_file_fails_with_its_name(folder: Folder) -> None:
    with pytest.raises(WebConfigError, match=r"web\.yml: tls: is no key of this file"):
        Reading(folder, "tls: {}")


def test_nothing_is_read_again_while_nothing_changes(folder: Folder) -> None:
    reading = Reading(folder, PAIR)
    before = reading.file.current
    look_twice(reading.file)
    assert reading.file.current is before
    assert reading.figures() == (1, 1_000)


def test_a_new_certificate_is_used_once_its_key_is_there_too(
    folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    reading = Reading(folder, PAIR)
    before = reading.file.current
    reading.clock.now += 5
    key = (folder.path / "server.key").read_bytes()
    folder.renew()
    new = (folder.path / "server.key").read_bytes()
    (folder.path / "server.key").write_bytes(key)
    look_twice(reading.file)
    assert reading.file.current is before
    assert reading.figures() == (0, 1_000)
    look_twice(reading.file)
    assert caplog.text.count("cannot be used; the configuration before it stays") == 1
    (folder.path / "server.key").write_bytes(new)
    look_twice(reading.file)
    assert reading.file.current is not before
    assert reading.figures() == (1, 1_005)


def test_a_broken_file_leaves_the_one_before_in_use_until_it_is_mended(folder: Folder) -> None:
    reading = Reading(folder, f"basic_auth_users: {{alice: {hash_of()}}}")
    for broken in ("basic_auth_users: {alice: x}", "{", "tls_server_config: {cert_file: x}"):
        folder.write(broken)
        look_twice(reading.file)
        assert set(reading.file.current.users) == {"alice"}
        assert reading.figures()[0] == 0
    (folder.path / "web.yml").unlink()
    look_twice(reading.file)
    assert set(reading.file.current.users) == {"alice"}
    folder.write(f"basic_auth_users: {{bob: {hash_of()}}}")
    look_twice(reading.file)
    assert set(reading.file.current.users) == {"bob"}
    assert reading.figures()[0] == 1


def test_a_file_that_a_broken_configuration_names_mends_it(folder: Folder) -> None:
    reading = Reading(folder, "")
    folder.write(PAIR.replace("server.crt", "later.crt"))
    look_twice(reading.file)
    assert reading.figures()[0] == 0
    (folder.path / "later.crt").write_bytes((folder.path / "server.crt").read_bytes())
    look_twice(reading.file)
    assert reading.figures()[0] == 1
    assert reading.file.current.context is not None


def test_a_link_that_is_turned_is_a_change(folder: Folder) -> None:
    """As Kubernetes replaces the files of a secret."""
    for name, user in (("one", "alice"), ("two", "bob")):
        (folder.path / name).mkdir()
        (folder.path / name / "web.yml").write_text(f"basic_auth_users: {{{user}: {hash_of()}}}")
    (folder.path / "data").symlink_to("one")
    (folder.path / "web.yml").symlink_to("data/web.yml")
    file = WebConfigFile(folder.path / "web.yml", registry=CollectorRegistry(), clock=Clock(0.0))
    (folder.path / "new").symlink_to("two")
    (folder.path / "new").rename(folder.path / "data")
    look_twice(file)
    assert set(file.current.users) == {"bob"}


def test_a_file_that_is_still_being_written_is_left_alone(folder: Folder) -> None:
    reading = Reading(folder, f"basic_auth_users: {{alice: {hash_of()}}}")
    for half in ("", "basic_auth_users:", f"basic_auth_users: {{bob: {hash_of()}}}"):
        folder.write(half)
        reading.file.reload_if_changed()
        assert set(reading.file.current.users) == {"alice"}
    reading.file.reload_if_changed()
    assert set(reading.file.current.users) == {"bob"}


def test_sighup_reads_at_once(folder: Folder) -> None:
    reading = Reading(folder, "")
    folder.write(f"basic_auth_users: {{bob: {hash_of()}}}")
    reading.file.reload()
    assert set(reading.file.current.users) == {"bob"}


def test_a_name_that_no_file_can_have_is_refused(folder: Folder) -> None:
    with pytest.raises(WebConfigError, match="embedded null"):
        Reading(folder, 'tls_server_config: {cert_file: "a\\0b", key_file: server.key}')


def test_a_change_is_seen_while_the_files_are_watched(folder: Folder) -> None:
    reading = Reading(folder, f"basic_auth_users: {{alice: {hash_of()}}}")
    reading.file.start()
    folder.write(f"basic_auth_users: {{bob: {hash_of()}}}")
    deadline = time.monotonic() + HANG_SECONDS
    while set(reading.file.current.users) != {"bob"}:
        assert time.monotonic() < deadline
        BETWEEN_LOOKS.wait(0.05)
    reading.file.stop()
    assert reading.figures() == (1, 1_000)


def test_what_is_not_supported_is_noted_whenever_the_file_is_read(
    folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    reading = Reading(folder, PAIR + "http_server_config: {http2: true}")
    reading.file.reload()
    assert caplog.text.count("HTTP/2 is not supported; HTTP/1.1 is served") == 2
