"""Programs that were brought by apt: they run with nothing else on the machine."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urljoin

import pytest

from tests.support import loopback
from tests.support.limits import HANG_SECONDS
from tests.support.prometheus import NEWER, ROOT, find, prometheus

OF_AN_INSTALLED_PACKAGE = re.compile(rb"/usr/share/(?:prometheus|javascript)")
BROUGHT = NEWER.parent


def brought(folder: Path) -> Sequence[Path]:
    """The binaries of what was brought into a folder."""
    return sorted(folder.glob("debian/*/bin/*"))


@pytest.mark.parametrize("folder", [BROUGHT, NEWER], ids=["stable", "newer"])
def test_what_was_brought_names_no_file_of_an_installed_package(folder: Path) -> None:
    binaries = brought(folder)
    if not binaries:
        pytest.skip("nothing was brought: `make test` brings it by apt")
    named = {
        binary.name: found[0]
        for binary in binaries
        if (found := OF_AN_INSTALLED_PACKAGE.search(binary.read_bytes()))
    }
    assert not named


def test_the_graph_page_of_what_was_brought_has_all_that_it_loads(tmp_path: Path) -> None:
    binary = find("prometheus", newer=False)
    if binary is None or not Path(binary).resolve().is_relative_to(BROUGHT.resolve()):
        pytest.skip("no prometheus was brought: `make test` brings it where none is installed")
    with prometheus(binary, tmp_path, "global: {}") as server:
        url = f"{server.url}/classic/graph"
        page = loopback.get(url)
        if page.status_code == 404:
            pytest.skip("this version of Debian's prometheus has no graph page")
        loaded = re.findall(r'(?:src|href)="([^"]*/static/[^"]*)"', page.text)
        assert len(loaded) > 10
        for path in loaded:
            assert loopback.get(urljoin(url, path)).status_code == 200, path


def test_what_cannot_be_brought_is_named_and_no_error(tmp_path: Path) -> None:
    path = tmp_path / "bin"
    path.mkdir()
    for name in ("mkdir", "mktemp", "rm"):
        found = shutil.which(name)
        assert found is not None
        (path / name).symlink_to(found)
    ended = subprocess.run(
        ["/bin/sh", ROOT / "tests" / "machines" / "bring-prometheus.sh", tmp_path / "tools"],
        env={"PATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_SECONDS,
    )
    assert ended.returncode == 0
    assert ended.stderr.splitlines() == [
        f"{what} is missing and could not be brought: there is no apt here"
        for what in (
            "prometheus",
            "prometheus-alertmanager",
            "a newer prometheus",
            "a newer prometheus-alertmanager",
            "a newer victoria-metrics",
        )
    ]
