"""What a release says of itself: `python -m deploy.release.notes v1.2.3` prints the tag's changes.

They are the section of that version in CHANGELOG.md. A tag that is not the version of the code ends
with an error, and so does a changelog in which a change would be left out.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from exporter import __version__

CHANGELOG = Path(__file__).parents[2] / "CHANGELOG.md"
SECTION = re.compile(r"^## +(.+)$", re.MULTILINE)
DATED = re.compile(r"\[?(?P<version>[^\s\]]+)\]? - \d{4}-\d{2}-\d{2}")
UNRELEASED = "Unreleased"


class ReleaseError(Exception):
    """Why there is no release of this tag."""


def release_notes(tag: str, *, version: str, changelog: str) -> str:
    """The changes of a version, without its heading.

    Raises:
        ReleaseError: if the tag is not the version's, or the changelog leaves a change out.
    """
    if tag != f"v{version}":
        raise ReleaseError(f"the tag is {tag}, and exporter.__version__ wants v{version}")
    parts = SECTION.split(changelog)[1:]
    sections = [(h.strip(), c.strip()) for h, c in zip(parts[::2], parts[1::2], strict=True)]
    of_it = [
        changes
        for heading, changes in sections
        if (dated := DATED.fullmatch(heading)) and dated["version"] == version
    ]
    if len(of_it) != 1:
        raise ReleaseError(f"CHANGELOG.md wants one section `## {version} - YYYY-MM-DD`")
    if not of_it[0]:
        raise ReleaseError(f"CHANGELOG.md: the section of {version} is empty")
    if any(changes for heading, changes in sections if heading.strip("[]") == UNRELEASED):
        raise ReleaseError(
            f"CHANGELOG.md has changes under {UNRELEASED}, which this release holds:"
            f" move them to {version}"
        )
    return of_it[0] + "\n"


def main(arguments: Sequence[str] = tuple(sys.argv[1:])) -> int:
    """Print them; 0, or 1 with the reason on standard error, or 2 without a tag."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m deploy.release.notes TAG\n")
        return 2
    try:
        notes = release_notes(
            arguments[0], version=__version__, changelog=CHANGELOG.read_text(encoding="utf-8")
        )
    except ReleaseError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(notes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
