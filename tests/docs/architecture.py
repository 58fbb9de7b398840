"""The modules of each folder of `exporter/`, for the map in `docs/architecture.md`.

`python -m tests.docs.architecture` writes them; a test compares them.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from exporter.cli.catalogue import ROOT

EXPORTER = ROOT / "exporter"
MAP = ROOT / "docs" / "architecture.md"
PARTS_OF_EVERY_PACKAGE = {"__init__", "__main__"}
ROW = re.compile(r"^\| `([a-z_0-9/]+)/` \| (.*?) \|(.*)\|$", re.MULTILINE)
"""A folder, what lives there, and its modules."""


def packages(top: Path) -> list[Path]:
    """Every package below a folder, itself first."""
    return [top, *sorted(path.parent for path in top.glob("*/**/__init__.py"))]


def folders() -> list[Path]:
    """Every package of the exporter, itself first."""
    return packages(EXPORTER)


def name_of(folder: Path) -> str:
    """Its path from the root."""
    return folder.relative_to(ROOT).as_posix()


def modules_in(folder: Path) -> list[str]:
    """Its modules, but for those that every package may have."""
    return sorted({path.stem for path in folder.glob("*.py")} - PARTS_OF_EVERY_PACKAGE)


def current(text: str) -> str:
    """The map with a row for each folder: what is written of it stays, its modules are listed."""
    written = {place: about for place, about, _ in ROW.findall(text)}
    elsewhere = [
        row[0] for row in ROW.finditer(text) if not (ROOT / row[1]).is_relative_to(EXPORTER)
    ]
    rows = [*_rows(written), *elsewhere]
    before, after = ROW.search(text), list(ROW.finditer(text))[-1]
    assert before is not None
    return text[: before.start()] + "\n".join(rows) + text[after.end() :]


def _rows(written: dict[str, str]) -> Iterator[str]:
    for folder in folders():
        name = name_of(folder)
        about = written.get(name) or _docstring(folder)
        modules = ", ".join(f"`{module}`" for module in modules_in(folder))
        yield f"| `{name}/` | {about} | {modules} |"


def _docstring(folder: Path) -> str:
    tree = ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))
    first, _, _ = (ast.get_docstring(tree) or "").partition("\n")
    return first.rstrip(".").replace("|", "/")


if __name__ == "__main__":
    MAP.write_text(current(MAP.read_text(encoding="utf-8")), encoding="utf-8")
