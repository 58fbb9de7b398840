"""The map in `docs/architecture.md` is that of the tree."""

import itertools
import re
import tomllib
from pathlib import Path

import grimp
import pytest

from exporter import client, sources
from exporter.cli.catalogue import ROOT
from tests.docs.architecture import (
    EXPORTER,
    MAP,
    ROW,
    current,
    folders,
    modules_in,
    name_of,
    packages,
)

MOST_NAMES = 12
OF_PYTHON_ITSELF = {"__init__.py", "__pycache__"}
OF_PYTHON = [
    folder
    for top in (EXPORTER, *(ROOT / name for name in ("bench", "grafana", "tests")))
    for folder in packages(top)
]
OF_FILES = [
    folder
    for top in (ROOT / "deploy", ROOT / "docs", ROOT / "tests" / "payloads")
    for folder in (top, *sorted(path for path in top.rglob("*") if path.is_dir()))
    if folder.name not in OF_PYTHON_ITSELF
]
TEXT = MAP.read_text(encoding="utf-8")
ROWS = {place: (about, modules) for place, about, modules in ROW.findall(TEXT)}


def names(text: str) -> set[str]:
    """The modules that a text names."""
    return set(re.findall(r"`([a-z_0-9]+)`", text))


def test_every_folder_is_in_the_map_with_all_of_its_modules() -> None:
    assert current(TEXT) == TEXT, "run `make generate`"


def test_a_new_folder_gets_a_row_with_its_docstring() -> None:
    row = next(row[0] for row in ROW.finditer(TEXT) if row[1] == "exporter/client")
    without = TEXT.replace(f"{row}\n", "")
    docstring = (client.__doc__ or "").partition("\n")[0].rstrip(".")
    assert f"| `exporter/client/` | {docstring} | `body`, " in current(without)


def test_every_place_in_the_map_exists() -> None:
    assert [place for place in ROWS if not (ROOT / place).is_dir()] == []


@pytest.mark.parametrize("folder", folders(), ids=name_of)
def test_a_row_names_the_modules_of_its_folder_and_no_others(folder: Path) -> None:
    about, modules = ROWS[name_of(folder)]
    assert names(about) <= names(modules) == set(modules_in(folder))


@pytest.mark.parametrize("folder", OF_PYTHON, ids=name_of)
def test_no_folder_holds_more_than_a_reader_can_name(folder: Path) -> None:
    subfolders = [path for path in OF_PYTHON if path.parent == folder]
    assert len(modules_in(folder)) + len(subfolders) <= MOST_NAMES


@pytest.mark.parametrize("folder", OF_FILES, ids=name_of)
def test_no_folder_of_files_holds_more_than_a_reader_can_name(folder: Path) -> None:
    found = {path.name for path in folder.iterdir()} - OF_PYTHON_ITSELF
    assert len(found) <= MOST_NAMES, sorted(found)


def test_the_order_of_imports_is_the_one_that_is_checked() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    (line,) = re.findall(r"Imports point one way: `([^`]+)`", TEXT)
    assert re.split(r"\s+->\s+", line) == layers


def test_no_source_imports_another_so_that_each_can_be_removed() -> None:
    graph = grimp.build_graph("exporter")
    vendors = [f"{sources.__name__}.{path.parent.name}" for path in
               Path(*sources.__path__).glob("*/__init__.py")]  # fmt: skip
    assert len(vendors) >= len(sources.SOURCES)
    for importer, imported in itertools.permutations(vendors, 2):
        assert not graph.chain_exists(importer, imported, as_packages=True), (importer, imported)
