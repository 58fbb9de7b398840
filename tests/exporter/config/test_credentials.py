"""Keys, from values and from files that change, and what is said of bad ones."""

import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config.credentials import FileKey, check_key
from exporter.config.settings import SettingsError, load
from exporter.errors import CredentialError
from exporter.sources.devin.settings import DevinSettings
from exporter.sources.devin_api import DevinApiSettings
from tests.support.rig import fields_of

SECRET = "cog_a_secret_of_the_tests"


def complaints(**fields: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as bad:
        load(
            (DevinSettings, DevinApiSettings), fields_of(DevinSettings, DevinApiSettings, **fields)
        )
    return bad.value.lines


def test_a_key_and_a_key_file_together_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(SECRET)
    (line,) = complaints(service_user_token=SECRET, service_user_token_file=str(file))
    assert "set one of the two" in line
    assert SECRET not in line


@pytest.mark.parametrize("content", ["", " \n", "two words", "zwei\nzeilen", "schlüssel"])
def test_a_key_that_no_header_can_carry_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "key"
    file.write_text(content)
    (line,) = complaints(service_user_token_file=str(file))
    assert line.startswith("DEVIN_SERVICE_USER_TOKEN_FILE: ")
    assert not content.strip() or content.strip() not in line
    if content.strip():
        (line,) = complaints(service_user_token=content)
        assert line.startswith("DEVIN_SERVICE_USER_TOKEN: ")


def test_a_key_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    (line,) = complaints(service_user_token_file=str(tmp_path / "none"))
    assert line.startswith("DEVIN_SERVICE_USER_TOKEN_FILE: ")
    assert "No such file" in line


def test_a_file_of_authorities_must_hold_certificates(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("none")
    for path in (file, tmp_path / "missing"):
        (line,) = complaints(ca_file=str(path))
        assert line.startswith("DEVIN_CA_FILE: ")


def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    link = tmp_path / "link"
    link.symlink_to(pipe)
    for path, kind in ((pipe, "pipe"), (link, "pipe"), (tmp_path, "directory")):
        (line,) = complaints(service_user_token_file=str(path))
        assert line.startswith("DEVIN_SERVICE_USER_TOKEN_FILE: the key's file ")
        assert f"is a {kind}; it wants to be a regular file" in line
        (line,) = complaints(ca_file=str(path))
        assert line == f"DEVIN_CA_FILE: is a {kind}; it wants to be a regular file"


def test_a_key_file_without_end_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("k" * 65_537)
    (line,) = complaints(service_user_token_file=str(file))
    assert "has more than 65536 bytes" in line


def test_a_key_file_that_becomes_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("first")
    key = FileKey(file)
    assert key() == "first"
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(CredentialError, match="is a pipe"):
        key()


def test_a_key_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(" first\n")
    key = FileKey(file)
    assert key() == "first"
    file.write_text("second, longer")
    with pytest.raises(CredentialError, match="printable ASCII"):
        key()
    file.write_text("third\n")
    assert key() == "third"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(CredentialError, match="is no text"):
        key()
    file.write_text("")
    with pytest.raises(CredentialError, match="is empty"):
        key()
    file.unlink()
    with pytest.raises(CredentialError, match="No such file"):
        key()
    file.write_text("fourth")
    assert key() == "fourth"


@given(st.text())
def test_a_checked_key_can_stand_in_a_header(text: str) -> None:
    with suppress(ValueError):
        key = check_key(text)
        assert key == text.strip()
        assert set(key) <= {chr(code) for code in range(0x21, 0x7F)}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('"cog_quoted"', "has quotes around the key"),
        ("'cog_quoted'", "has quotes around the key"),
        ("KEY=cog_named", "has a name and `=` before the key"),
        ("export KEY=cog_named", "has a name and `=` before the key"),
    ],
)
def test_what_stands_around_a_key_is_told(tmp_path: Path, content: str, complaint: str) -> None:
    file = tmp_path / "key"
    file.write_text(f"{content}\n")
    (line,) = complaints(service_user_token_file=str(file))
    assert line.startswith("DEVIN_SERVICE_USER_TOKEN_FILE: the key's file has ")
    assert complaint in line
    assert "cog_" not in line
    (line,) = complaints(service_user_token=content)
    assert line == f"DEVIN_SERVICE_USER_TOKEN: {complaint}; it wants the key alone"


@pytest.mark.parametrize("key", ["QUJDRA==", "abc=", "a.b=c", '"'])
def test_a_key_may_hold_what_only_resembles_that(key: str) -> None:
    assert check_key(key) == key
