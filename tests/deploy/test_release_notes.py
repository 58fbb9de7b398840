import subprocess
import sys

import pytest

from deploy.release.notes import CHANGELOG, ReleaseError, release_notes
from exporter import __version__
from exporter.cli.catalogue import ROOT

TOLD = """# Changelog

What it is.

## Unreleased

## 1.2.0 - 2026-03-01

### Added

- One thing.

### Fixed

- Another.

## [1.1.0] - 2026-02-01

- An old thing.
"""

WANTED = "wants one section `## 1.2.0 - YYYY-MM-DD`"


def notes(changelog: str = TOLD, *, tag: str = "v1.2.0", version: str = "1.2.0") -> str:
    return release_notes(tag, version=version, changelog=changelog)


def test_the_notes_are_the_versions_section_without_its_heading() -> None:
    assert notes() == "### Added\n\n- One thing.\n\n### Fixed\n\n- Another.\n"


def test_a_heading_may_be_a_link_and_the_last_section_ends_with_the_file() -> None:
    assert notes(tag="v1.1.0", version="1.1.0") == "- An old thing.\n"


@pytest.mark.parametrize("tag", ["v1.2.1", "1.2.0", "v1.2", "v1.2.0rc1", ""])
def test_a_tag_that_is_not_the_version_is_refused(tag: str) -> None:
    with pytest.raises(ReleaseError, match=r"exporter.__version__ wants v1\.2\.0"):
        notes(tag=tag)


@pytest.mark.parametrize(
    ("changelog", "told"),
    [
        (TOLD.replace("1.2.0", "1.3.0"), WANTED),
        (TOLD.replace("1.2.0 - 2026-03-01", "1.2.0"), WANTED),
        (TOLD.replace("2026-03-01", "soon"), WANTED),
        (TOLD.replace("[1.1.0]", "1.2.0"), WANTED),
        (TOLD.replace("[1.1.0] - 2026-02-01", "1.2.0 - 2026-03-01"), WANTED),
        (TOLD.partition("### Added")[0], "the section of 1.2.0 is empty"),
        (TOLD.replace("## Unreleased\n", "## Unreleased\n\n- A third.\n"), "move them to 1.2.0"),
        ("", WANTED),
    ],
    ids=[
        "none",
        "no date",
        "no day",
        "two",
        "the same two",
        "empty",
        "unreleased",
        "nothing at all",
    ],
)
def test_a_changelog_that_does_not_tell_the_release_is_refused(changelog: str, told: str) -> None:
    with pytest.raises(ReleaseError, match=told):
        notes(changelog)


def test_the_changelog_of_this_repository_can_be_released() -> None:
    released = CHANGELOG.read_text(encoding="utf-8")
    if f"## {__version__} - " not in released:
        released = released.replace("## Unreleased", f"## {__version__} - 2026-01-31")
    told = release_notes(f"v{__version__}", version=__version__, changelog=released)
    assert told.startswith("### ")


def test_every_place_that_names_the_version_names_the_same() -> None:
    compose = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    assert f"  image: devin-exporter:{__version__}\n" in compose
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    assert f'image.version="{__version__}"' in dockerfile


def test_the_command_ends_with_the_reason_or_says_how_it_is_called() -> None:
    def ran(*arguments: str) -> tuple[int, str, str]:
        command = [sys.executable, "-m", "deploy.release.notes", *arguments]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        return ended.returncode, ended.stdout, ended.stderr

    assert ran("v0.0.0") == (
        1, "", f"the tag is v0.0.0, and exporter.__version__ wants v{__version__}\n",
    )  # fmt: skip
    assert ran() == (2, "", "usage: python -m deploy.release.notes TAG\n")
