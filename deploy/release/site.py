"""Puts the documents, and the files that they link to, into a folder.

`make docs` runs `python -m deploy.release.site FOLDER`, and MkDocs builds the site from there.
Paths stay as they are, so that every link works in the repository and on the site.
"""

import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
LINK = re.compile(r"\]\((?!https?://|mailto:)(?P<path>[^)\s#]*)(?:#(?P<anchor>[^)\s]*))?\)")
CODE = re.compile(r"^\s*```.*?^\s*```|`[^`\n]+`", re.MULTILINE | re.DOTALL)


def pages() -> list[Path]:
    """Every document."""
    return [*(ROOT / name for name in PAGES), *sorted((ROOT / "docs").rglob("*.md"))]


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """What a document links to within the repository: the file and the heading, or none."""
    text = CODE.sub("", page.read_text(encoding="utf-8"))
    for found in LINK.finditer(text):
        target = (page.parent / found["path"]).resolve() if found["path"] else page
        yield target, found["anchor"] or ""


def main(arguments: Sequence[str] = tuple(sys.argv[1:])) -> None:
    """Fill the folder anew."""
    (folder,) = map(Path, arguments)
    shutil.rmtree(folder, ignore_errors=True)
    wanted = {*pages(), *(target for page in pages() for target, _ in links(page))}
    for path in sorted(wanted):
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


if __name__ == "__main__":
    main()
