"""The generated documents and the folders keep to what the code says."""

import re
from pathlib import Path

import pytest

from exporter.catalogue import PUBLISHED, ROOT, documents, main


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_generated_documents_are_current(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == documents()[path], "run `make generate`"


def test_documents_are_written_where_asked(tmp_path: Path) -> None:
    main(tmp_path)
    for path, text in documents().items():
        assert (tmp_path / path.name).read_text(encoding="utf-8") == text


def test_no_name_is_published_twice() -> None:
    names = [metric.name for metric in PUBLISHED]
    assert len(set(names)) == len(names)


def test_every_metric_and_setting_that_the_readme_names_exists() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    known = "".join(documents().values())
    for name in re.findall(r"`((?:devin|DEVIN|WEB|LOG|DEMO)_\w+)`", readme):
        assert f"`{name}`" in known, name


def test_no_source_file_is_longer_than_three_hundred_lines() -> None:
    for path in (ROOT / "exporter").rglob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 300, path


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 150
