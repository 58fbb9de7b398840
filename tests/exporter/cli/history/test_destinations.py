"""Where `backfill` writes: files, links to files, and what is no file."""

import os
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from exporter.cli.history.destination import destination_of
from exporter.client.checkpoint import Checkpoint, CheckpointError
from exporter.demo.people import Size
from tests.exporter.commands import finished
from tests.support.limits import HANG_SECONDS
from tests.support.processes import EXPORTER, environment
from tests.support.rig import KEY, Clock, simulated_api
from tests.support.special_files import FULL, NULL, memory_device

NOW = time.time()
UNTIL = f"--until={datetime.fromtimestamp(int(NOW) - 7_200, UTC).isoformat()}"
FIXED = ("backfill", "--days=3", UNTIL)


@pytest.fixture(scope="module")
def given() -> Iterator[dict[str, str]]:
    """The settings that lead to a simulated API whose clock stands still."""
    with simulated_api(Size(organizations=1, users=3, days=20), Clock(NOW)) as (_, api):
        yield {
            "DEVIN_API_URL": api.url,
            "DEVIN_SERVICE_USER_TOKEN": KEY,
            "DEVIN_REQUESTS_PER_SECOND": "10000",
        }


@pytest.fixture(scope="module")
def history(given: dict[str, str]) -> bytes:
    """What standard output gets."""
    ended = finished(*FIXED, "--output=-", **given)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.endswith("# EOF\n")
    return ended.stdout.encode()


def through_a_shell(
    line: str, *arguments: str, given: dict[str, str]
) -> subprocess.CompletedProcess[bytes]:
    """Run the product by a line of shell, in which `"$@"` stands for it."""
    return subprocess.run(
        ["sh", "-c", line, "sh", EXPORTER, *FIXED, *arguments],
        env=environment(given),
        capture_output=True,
        timeout=HANG_SECONDS,
        check=False,
    )


def test_a_device_is_written_straight_and_stays_one(tmp_path: Path, given: dict[str, str]) -> None:
    device = memory_device(tmp_path / "null", NULL)
    ended = finished(*FIXED, f"--output={device}", **given)
    assert ended.returncode == 0, ended.stderr
    assert "begins anew" in ended.stderr
    assert stat.S_ISCHR(device.stat().st_mode)
    assert list(tmp_path.iterdir()) == [device]


def test_the_reader_of_a_named_pipe_gets_all_of_it(
    tmp_path: Path, given: dict[str, str], history: bytes
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()
    ended = finished(*FIXED, f"--output={pipe}", **given)
    assert ended.returncode == 0, ended.stderr
    reader.join(HANG_SECONDS)
    assert read == [history]
    assert list(tmp_path.iterdir()) == [pipe]


@pytest.mark.parametrize("before", ["an older history\n", None])
def test_a_link_is_followed_and_the_file_at_its_end_replaced(
    tmp_path: Path, given: dict[str, str], history: bytes, before: str | None
) -> None:
    here, volume = tmp_path / "here", tmp_path / "volume"
    here.mkdir()
    volume.mkdir()
    target = volume / "history.om"
    if before is not None:
        target.write_text(before)
        target.chmod(0o640)
    link = here / "link"
    link.symlink_to("../volume/history.om")
    (here / "again").symlink_to(link)
    ended = finished(*FIXED, f"--output={here / 'again'}", **given)
    assert ended.returncode == 0, ended.stderr
    assert link.is_symlink()
    assert target.read_bytes() == history
    assert list(volume.iterdir()) == [target]
    assert before is None or stat.S_IMODE(target.stat().st_mode) == 0o640


def test_a_descriptor_of_the_process_is_written_straight_by_any_of_its_names(
    tmp_path: Path, given: dict[str, str], history: bytes
) -> None:
    link = tmp_path / "like-stdout"
    link.symlink_to("/proc/self/fd/1")
    for output in (link, "/dev/fd/1"):
        ended = through_a_shell('"$@" | cat', f"--output={output}", given=given)
        assert ended.stdout == history, ended.stderr
    ended = through_a_shell('exec 7>&1; "$@" | cat', "--output=/dev/fd/7", given=given)
    assert ended.stdout == history, ended.stderr


def test_what_stands_in_a_file_that_output_is_appended_to_stays(
    tmp_path: Path, given: dict[str, str], history: bytes
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"before\n")
    link = tmp_path / "like-stdout"
    link.symlink_to("/proc/self/fd/1")
    line = f'"$@" >>{file} && echo after >>{file}'
    ended = through_a_shell(line, f"--output={link}", given=given)
    assert ended.returncode == 0, ended.stderr
    assert file.read_bytes() == b"before\n" + history + b"after\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "like-stdout"]


def test_a_file_that_is_a_mount_of_its_own_is_filled(
    tmp_path: Path, given: dict[str, str], history: bytes
) -> None:
    file, behind = tmp_path / "file", tmp_path / "behind"
    file.touch()
    behind.touch()
    inside = f'mount --bind {behind} {file} || exit 77; exec "$@"'
    ended = through_a_shell(
        f"exec unshare --mount sh -c '{inside}' sh \"$@\"", f"--output={file}", given=given
    )
    if ended.returncode in {77, 127} or ended.stderr.startswith(b"unshare: "):
        pytest.skip("mounts cannot be made here: that takes root")
    assert ended.returncode == 0, ended.stderr
    assert behind.read_bytes() == history
    assert sorted(path.name for path in tmp_path.iterdir()) == ["behind", "file"]


@pytest.mark.parametrize(
    ("redirection", "complaint"),
    [
        (">&-", "standard output: Bad file descriptor"),
        ("1<{file}", "standard output: Bad file descriptor"),
        (">{full}", "standard output: No space left on device"),
    ],
)
def test_standard_output_that_takes_nothing_is_one_line(
    tmp_path: Path, given: dict[str, str], redirection: str, complaint: str
) -> None:
    file = tmp_path / "file"
    file.touch()
    full = memory_device(tmp_path / "full", FULL)
    line = f'"$@" {redirection.format(file=file, full=full)}'
    ended = through_a_shell(line, "--output=-", given=given)
    assert ended.returncode == 1
    assert ended.stderr.decode().splitlines()[-1] == f"devin-exporter: {complaint}"
    assert b"Traceback" not in ended.stderr


def test_a_reader_that_goes_away_is_one_line(given: dict[str, str]) -> None:
    ended = through_a_shell('{ "$@" || echo "status $?" >&2; } | true', "--output=-", given=given)
    assert ended.stderr.decode().splitlines()[-2:] == [
        "devin-exporter: standard output: Broken pipe",
        "status 1",
    ]


def test_a_full_disk_leaves_no_file_and_is_one_line(tmp_path: Path, given: dict[str, str]) -> None:
    output = tmp_path / "history"
    ended = through_a_shell('ulimit -f 1; exec "$@"', f"--output={output}", given=given)
    assert ended.returncode == 1
    (line,) = ended.stderr.decode().splitlines()
    assert line.endswith(": File too large")
    assert not output.exists()


def test_what_cannot_be_written_to_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    for output, complaint in (
        (tmp_path, "Is a directory"),
        (loop, "Too many levels of symbolic links"),
        ("/dev/fd/999", "Bad file descriptor"),
    ):
        with pytest.raises(OSError, match=complaint):
            destination_of(str(output))


def test_a_descriptor_that_the_process_opened_itself_is_not_written_to(tmp_path: Path) -> None:
    with (
        (tmp_path / "own").open("wb") as own,
        pytest.raises(OSError, match="Bad file descriptor"),
    ):
        destination_of(f"/dev/fd/{own.fileno()}")


def test_answers_are_kept_in_a_regular_file_alone(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("of somebody else")
    link, pipe = tmp_path / "link", tmp_path / "pipe"
    link.symlink_to(elsewhere)
    os.mkfifo(pipe)
    for path in (link, pipe, tmp_path):
        with pytest.raises(CheckpointError, match="is no regular file"):
            Checkpoint.at(path, owner="me")
    assert elsewhere.read_text() == "of somebody else"
