"""The map in `docs/architecture.md` is that of the tree."""

import re
import tomllib
from pathlib import Path

import pytest

from exporter.catalogue import ROOT

EXPORTER = ROOT / "exporter"
LIMIT = 14
UNNAMED = {"__init__", "__main__"}
"""Modules that every package may have."""

TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `([a-z_0-9/]+)/` \| (.+) \|$", TEXT, re.MULTILINE))
"""What the map says of each folder, by the folder's path."""


def is_folder(path: Path) -> bool:
    return path.is_dir() and path.name != "__pycache__"


FOLDERS = sorted(path for path in (EXPORTER, *EXPORTER.rglob("*")) if is_folder(path))


def name_of(folder: Path) -> str:
    return folder.relative_to(ROOT).as_posix()


def modules_in(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("*.py")} - UNNAMED


def named_in(row: str) -> set[str]:
    """The modules that a row names; what ends in a slash, or has one, is a folder."""
    return set(re.findall(r"`([a-z_0-9]+)`", row))


def test_every_place_in_the_map_exists() -> None:
    assert [place for place in ROWS if not (ROOT / place).is_dir()] == []


def test_every_folder_of_the_exporter_is_in_the_map() -> None:
    assert {place for place in ROWS if (ROOT / place).is_relative_to(EXPORTER)} == {
        name_of(folder) for folder in FOLDERS
    }


@pytest.mark.parametrize("folder", FOLDERS, ids=name_of)
def test_a_row_names_the_modules_of_its_folder_and_no_others(folder: Path) -> None:
    assert named_in(ROWS[name_of(folder)]) == modules_in(folder)


@pytest.mark.parametrize("folder", FOLDERS, ids=name_of)
def test_no_folder_holds_more_than_a_reader_can_name(folder: Path) -> None:
    folders = {path.name for path in folder.iterdir() if is_folder(path)}
    assert len(modules_in(folder) | folders) <= LIMIT


def test_the_order_of_imports_is_the_one_that_is_checked() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    (line,) = re.findall(r"Imports point one way: `([^`]+)`", TEXT)
    assert re.split(r"\s+->\s+", line) == layers
