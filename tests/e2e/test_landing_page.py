"""The landing page in a real browser, also for those who cannot see it."""

import json
import re
import shutil
import subprocess
import tarfile
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.limits import HANG_SECONDS
from tests.support.processes import Running, running

AXE = "axe-core@4.10.3"
SMALL = {"DEMO_USERS": "5", "DEMO_ORGANIZATIONS": "1", "DEMO_DAYS": "5"}
CHECK = """
<script>{axe}</script>
<script>
axe.run(document, {{resultTypes: ["violations"]}}).then((found) => {{
  const told = document.createElement("pre");
  told.id = "found";
  told.textContent = JSON.stringify(
    found.violations.map((each) => [each.impact, each.id, each.nodes[0].html]));
  document.body.append(told);
}});
</script>
"""


class Figures(NamedTuple):
    """The series of the page, and the name, state and series of each task."""

    series: int
    tasks: list[tuple[str, str, int]]


def browser() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    pytest.skip("there is no Chromium here: `apt install chromium` brings it")


def opened(url: str, profile: Path, *options: str) -> tuple[str, str]:
    """What a browser makes of a page, and what it says about it."""
    ended = subprocess.run(
        [
            browser(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--no-proxy-server", "--enable-logging=stderr", "--virtual-time-budget=20000",
            f"--user-data-dir={profile}", *options, "--dump-dom", url,
        ],
        capture_output=True, text=True, timeout=HANG_SECONDS, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return ended.stdout, "\n".join(line for line in ended.stderr.splitlines() if "CONSOLE" in line)


def of_one_moment(demo: Running, profile: Path) -> tuple[Figures, str, str]:
    """A status, and what a browser shows meanwhile: polls go on, but not between these two."""
    deadline = time.monotonic() + HANG_SECONDS
    while time.monotonic() < deadline:
        before = figures(demo)
        shown, complaints = opened(f"{demo.url}/", profile)
        if figures(demo) == before:
            return before, shown, complaints
    raise AssertionError(f"the figures never stood still; log:\n{demo.log.read_text()}")


def figures(demo: Running) -> Figures:
    """What stays the same in the status until something is published."""
    status = demo.get("/api/v1/status").json()
    tasks = [(task["name"], task["state"], task["series"]) for task in status["tasks"]]
    return Figures(status["series"], tasks)


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core."""
    npm = shutil.which("npm") or pytest.skip("there is no npm here, which brings axe-core")
    folder = tmp_path_factory.mktemp("axe")
    packed = subprocess.run(
        [npm, "pack", "--silent", AXE], cwd=folder, capture_output=True, text=True, check=False
    )
    if packed.returncode:
        pytest.skip(f"npm cannot bring axe-core: {packed.stderr.strip()[-200:]}")
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        file = archive.extractfile("package/axe.min.js")
        assert file is not None
        return file.read().decode("utf-8")


def test_a_browser_shows_the_figures_of_the_status_and_complains_of_nothing(
    tmp_path: Path,
) -> None:
    with running(tmp_path, "demo", **SMALL) as demo:
        demo.until('"not_fresh":[]', path="/api/v1/status")
        status, shown, complaints = of_one_moment(demo, tmp_path / "profile")
    assert complaints == ""
    assert f"{status.series} series are published" in shown
    for name, state, series in status.tasks:
        (row,) = re.findall(rf'<th scope="row">{name}</th>.*?</tr>', shown, re.DOTALL)
        assert f">{state}" in row
        assert f'<td class="number">{series}</td>' in row


@pytest.mark.parametrize("look", ["wide", "phone", "dark"])
def test_who_cannot_see_the_page_can_read_it(tmp_path: Path, axe: str, look: str) -> None:
    options = {
        "wide": ["--window-size=1280,900"],
        "phone": ["--window-size=360,700"],
        "dark": ["--blink-settings=preferredColorScheme=0"],
    }[look]
    with running(tmp_path, "demo", **SMALL) as demo:
        demo.until('"not_fresh":[]', path="/api/v1/status")
        page = demo.get("/").text
    copy = tmp_path / "page.html"
    copy.write_text(page.replace("</body>", CHECK.format(axe=axe) + "</body>"), encoding="utf-8")
    shown, _ = opened(copy.as_uri(), tmp_path / "profile", *options)
    found = re.search(r'<pre id="found">(.*?)</pre>', shown, re.DOTALL)
    assert found, shown[-500:]
    violations = json.loads(found[1])
    assert [each for each in violations if each[0] in {"serious", "critical"}] == []
