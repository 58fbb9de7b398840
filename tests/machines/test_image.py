"""The image: what it holds, that it runs, and that it is the same whoever builds it."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from exporter import __version__
from exporter.cli.catalogue import ROOT
from tests.machines.dockerfile import Image, context
from tests.support import loopback
from tests.support.limits import HANG_SECONDS
from tests.support.processes import STARTED

ORDINARY_USER = 65_534
REVISION = "0123456789abcdef"


@contextmanager
def replayed() -> Iterator[Image]:
    """The image's tree, which nobody may write to any more."""
    with tempfile.TemporaryDirectory(prefix="devin-exporter-image-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the ordinary user must get there
        given = folder / "context"
        given.mkdir()
        built = Image(folder / "image", context(given))
        built.replay({"REVISION": REVISION})
        for path in (built.root, *built.root.rglob("*")):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode & ~0o222)
        yield built
        for path in built.root.rglob("*"):
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o755)
        built.root.chmod(0o755)


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    with replayed() as built:
        yield built


def digest(root: Path) -> dict[str, str]:
    """Every file of a tree with its mode, its time and its contents."""
    found = {}
    for path in sorted(root.rglob("*")):
        told = path.lstat()
        if path.is_symlink():
            held = str(path.readlink())
        else:
            held = sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path.relative_to(root))] = f"{told.st_mode:o} {told.st_mtime:.0f} {held}"
    return found


def inside(image: Image, command: list[str]) -> list[str]:
    """A command as it runs in a container: the image is all that there is of files."""
    if os.geteuid() != 0:
        pytest.skip("only root may make a folder the root of a process")
    change = shutil.which("chroot", path=f"{os.environ['PATH']}:/usr/sbin")
    assert change is not None
    return [change, f"--userspec={image.user}:{image.user}", "--groups=", str(image.root), *command]


def run_in(image: Image, command: list[str], **settings: str) -> "subprocess.Popen[bytes]":
    """Start something as the image's user, with what the image and the settings say."""
    environment = {
        name: value.replace(str(image.root), "") for name, value in image.environment.items()
    }
    return subprocess.Popen(
        inside(image, command),
        env={**environment, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def test_the_image_holds_the_exporter_and_no_shell_and_nothing_of_the_tests(
    image: Image, record_property: Callable[[str, object], None]
) -> None:
    files = [path for path in image.root.rglob("*") if path.is_file() and not path.is_symlink()]
    record_property("MiB in the image", sum(f.stat().st_size for f in files) >> 20)
    names = {path.name for path in files}
    assert {"devin-exporter", "healthcheck.py", "ledger.py"} <= names
    assert not {"conftest.py", "pytest", "ruff", "mypy", "pip", "ensurepip"} & names
    programs = {path.name for path in (image.root / "usr" / "bin").iterdir()}
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    assert programs == {"devin-exporter", "python", "python3", python}
    executable = {
        path.name for path in files if path.stat().st_mode & 0o111 and ".so" not in path.name
    }
    assert executable == {"devin-exporter", python}
    given = {path.relative_to(image.given).parts[0] for path in image.given.rglob("*")}
    assert given == {
        "LICENSE", "README.md", "deploy", "exporter", "pyproject.toml", "requirements-build.lock",
        "requirements.lock",
    }  # fmt: skip
    assert image.labels["org.opencontainers.image.version"] == __version__
    assert image.labels["org.opencontainers.image.revision"] == REVISION


def test_it_runs_as_an_ordinary_user_from_the_image_alone(image: Image) -> None:
    assert int(image.user) == ORDINARY_USER
    flag = "--web.listen-address=127.0.0.1:0"
    with run_in(
        image, [*image.entrypoint, "demo", flag], DEMO_USERS="5", DEMO_DAYS="40"
    ) as process:
        try:
            assert process.stdout is not None
            line = next(line for line in process.stdout if line.startswith(STARTED))
            port = re.findall(rb":(\d+)/", line)[0].decode()
            page = loopback.get(f"http://127.0.0.1:{port}/metrics").text
            assert f'version="{__version__}",revision="{REVISION}"' in page
            check = [sys.executable, *image.health_check[1:], str(process.pid)]
            subprocess.run(check, check=True, timeout=HANG_SECONDS)  # it reads /proc
            anywhere = "import pathlib, sys; pathlib.Path(sys.prefix, 'x').write_text('')"
            with run_in(image, ["python", "-c", anywhere]) as writing:
                assert writing.wait(HANG_SECONDS) == 1
            with run_in(image, [*image.entrypoint, "--version"]) as version:
                told, _ = version.communicate(timeout=HANG_SECONDS)
            assert told.decode().strip() == f"devin-exporter {__version__}"
        finally:
            process.terminate()
            assert process.wait(HANG_SECONDS) == 0


def test_the_image_has_every_module_that_the_exporter_may_import(image: Image) -> None:
    every = (
        "import pkgutil, importlib, exporter\n"
        "for each in pkgutil.walk_packages(exporter.__path__, 'exporter.'):\n"
        "    if not each.name.endswith('__main__'): importlib.import_module(each.name)\n"
        "import sqlite3, ssl, zoneinfo; zoneinfo.ZoneInfo('Asia/Shanghai')\n"
        "ssl.create_default_context()\n"
    )
    with run_in(image, ["python", "-c", every]) as importing:
        assert importing.wait(HANG_SECONDS) == 0


def test_the_same_commit_and_lock_give_the_same_files(image: Image) -> None:
    with replayed() as other:
        assert digest(other.root / "usr") == digest(image.root / "usr")


def test_the_same_commit_gives_the_same_wheel_wherever_it_is_built(tmp_path: Path) -> None:
    built = []
    for number, age in enumerate((0, 1_000_000)):
        folder = tmp_path.joinpath(str(number), *["deeper"] * number)
        folder.mkdir(parents=True)
        given = context(folder)
        for path in given.rglob("*"):
            os.utime(path, (age, age))
        command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
        subprocess.run(command, cwd=given, check=True, capture_output=True)
        built += [path.read_bytes() for path in given.glob("dist/*.whl")]
    first, second = built
    assert first == second


def test_compose_builds_the_stage_that_has_a_shell() -> None:
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    compose = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    (stage,) = re.findall(r"(?m)^ +target: (\w+)$", compose)
    assert re.search(rf"(?m)^FROM python:\S+ AS {stage}$", dockerfile)
    assert dockerfile.rpartition("\nFROM ")[2].startswith("scratch\n")
