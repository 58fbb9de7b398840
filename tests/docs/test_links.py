"""Every link within the documents leads somewhere, and the site has every document."""

import re
from pathlib import Path

import pytest
import yaml

from deploy.release.site import CODE, ROOT, links, main, pages

CONFIGURATION = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")


def headings(page: Path) -> set[str]:
    """The anchors of a document, as GitHub and MkDocs make them."""
    text = re.sub(r"(?ms)^\s*```.*?^\s*```", "", page.read_text(encoding="utf-8"))
    found = set()
    for line in re.findall(r"(?m)^#+ (.+)$", text):
        words = re.sub(r"[^\w\s-]", "", line.replace("`", "").lower())
        found.add(re.sub(r"\s", "-", words.strip()))
    return found


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_document_leads_to_a_file_and_a_heading(page: Path) -> None:
    for target, anchor in links(page):
        assert target.is_file(), f"{target} is not there"
        assert target.is_relative_to(ROOT)
        if anchor:
            assert anchor in headings(target), f"{target.name} has no heading {anchor}"


def test_links_are_found_but_in_code() -> None:
    found = list(links(ROOT / "README.md"))
    assert (ROOT / "docs" / "install.md", "") in found
    assert CODE.sub("", "`[a](b.md)` and\n```sh\n[a](c.md)\n```\n").split() == ["and"]
    assert len(found) > 10


def test_the_site_lists_every_document_once() -> None:
    listed = re.findall(r"(?m)(\S+\.md)$", CONFIGURATION)
    assert sorted(listed) == sorted(str(page.relative_to(ROOT)) for page in pages())
    assert yaml.safe_load(CONFIGURATION)["strict"] is True


def test_the_sites_folder_has_what_the_documents_link_to(tmp_path: Path) -> None:
    left = tmp_path / "site" / "gone.md"
    left.parent.mkdir()
    left.write_text("", encoding="utf-8")
    main([str(tmp_path / "site")])
    assert not left.exists()
    for page in pages():
        assert (tmp_path / "site" / page.relative_to(ROOT)).is_file()
    assert (tmp_path / "site" / "deploy" / "prometheus" / "rules.yml").is_file()
    assert (tmp_path / "site" / "docs" / "images" / "overview-dark.png").is_file()


def test_forms_for_issues_are_whole() -> None:
    folder = ROOT / ".github" / "ISSUE_TEMPLATE"
    forms = [path for path in folder.glob("*.yml") if path.name != "config.yml"]
    assert len(forms) == 3
    for path in forms:
        form = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert {"name", "description", "body"} <= form.keys()
        ids = [each["id"] for each in form["body"] if each["type"] != "markdown"]
        assert ids
        assert len(ids) == len(set(ids))
    assert (ROOT / "SECURITY.md").is_file()
