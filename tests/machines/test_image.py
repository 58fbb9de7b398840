"""The Dockerfile, replayed step by step without a container engine.

Only what `.dockerignore` lets through is there; each stage has a folder of its own in which the
image's paths stand; the exporter then runs from it as an ordinary user who can write nothing.
"""

import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from exporter import __version__
from exporter.cli.catalogue import ROOT
from tests.support import loopback
from tests.support.limits import HANG_SECONDS
from tests.support.processes import STARTED

DOCKERFILE = ROOT / "deploy" / "Dockerfile"
IGNORED = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
ORDINARY_USER = 65_534
REVISION = "0123456789abcdef"
OF_THE_IMAGE = re.compile(r"(?<![\w./-])/(opt|src|var)(?=/|$|\s)")


def is_let_through(path: str) -> bool:
    """Whether a file of the repository reaches the build: the last pattern that matches decides."""
    let = True
    for line in IGNORED:
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        is_exception = pattern.startswith("!")
        pattern = pattern.removeprefix("!")
        parents = [path, *map(str, Path(path).parents)]
        if pattern.startswith("**/"):
            hit = any(fnmatch.fnmatch(Path(each).name, pattern[3:]) for each in parents)
        else:
            hit = any(fnmatch.fnmatch(each, pattern) for each in parents if each != ".")
        if hit:
            let = is_exception
    return let


def context(folder: Path) -> Path:
    """What the build is given."""
    for parent, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if not name.startswith(".")]
        here = Path(parent).relative_to(ROOT)
        for name in (str(here / file) for file in files):
            if is_let_through(name):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
    return folder


def instructions() -> Iterator[tuple[str, str]]:
    """The Dockerfile's steps, lines that go on put together."""
    text = DOCKERFILE.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            keyword, _, rest = line.strip().partition(" ")
            yield keyword, rest.strip()


@dataclass
class Image:
    """The stage that is being built."""

    root: Path
    given: Path
    earlier: dict[str, Path] = field(default_factory=dict)
    workdir: str = "/"
    environment: dict[str, str] = field(default_factory=dict)
    user: str = "0"
    entrypoint: list[str] = field(default_factory=list)
    health_check: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)

    def here(self, text: str) -> str:
        """Paths of the image as paths of this machine."""
        return OF_THE_IMAGE.sub(rf"{self.root}/\1", text)

    def replay(self, arguments: Mapping[str, str]) -> None:
        """Build all stages; the last one stays."""
        stage = ""
        for keyword, rest in instructions():
            if keyword == "FROM":
                if stage:
                    self.earlier[stage] = Path(f"{self.root}.{stage}")
                    self.root.rename(self.earlier[stage])
                self.root.mkdir()
                self.workdir, self.environment, self.user = "/", {}, "0"
                stage = rest.partition(" AS ")[2] or "last"
            elif keyword == "ARG":
                name, _, default = rest.partition("=")
                self.environment[name] = arguments.get(name, default)
            else:
                getattr(self, f"_{keyword.lower()}")(rest)

    def _workdir(self, rest: str) -> None:
        self.workdir = rest
        Path(self.here(rest)).mkdir(parents=True, exist_ok=True)

    def _copy(self, rest: str) -> None:
        words = [word for word in rest.split() if not word.startswith("--chmod=")]
        source_root = self.given
        if words[0].startswith("--from="):
            source_root = self.earlier[words.pop(0).removeprefix("--from=")]
        *sources, target = words
        into = target if target.startswith("/") else f"{self.workdir}/{target}"
        for source in sources:
            file = source_root / source.lstrip("/")
            place = Path(self.here(into.rstrip("/")))
            if file.is_dir():
                shutil.copytree(file, place, symlinks=True, dirs_exist_ok=True)
            else:
                place = place / file.name if target.endswith("/") else place
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, place)

    def _run(self, rest: str) -> None:
        if os.geteuid() != 0:  # who is not root cannot give anything away
            rest = rest.replace("-o 65534 -g 65534 ", "")
        ran = subprocess.run(
            ["sh", "-c", self.here(rest)],
            cwd=self.here(self.workdir),
            env={**os.environ, **self.environment, "PATH": self._path()},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, f"{rest}\n{ran.stdout}{ran.stderr}"

    def _path(self) -> str:
        folder = self.root.with_name("python")
        if not folder.exists():
            folder.mkdir()
            outer = Path(sys.base_prefix) / "bin" / "python3"
            # The image's one python has pip; here one may lack it, and one be out of reach.
            choice = f'[ "$2" = pip ] && exec {outer} "$@"\nexec {python_for_anybody()} "$@"'
            (folder / "python").write_text(f"#!/bin/sh\n{choice}\n")
            (folder / "python").chmod(0o755)
        return f"{folder}:{os.environ['PATH']}"

    def _env(self, rest: str) -> None:
        for word in rest.split():
            name, _, value = word.partition("=")
            self.environment[name] = self.here(value).replace("$PATH", self._path())

    def _label(self, rest: str) -> None:
        for name, value in re.findall(r'([\w.]+)="([^"]*)"', rest):
            self.labels[name] = value.replace("$REVISION", self.environment["REVISION"])

    def _user(self, rest: str) -> None:
        self.user = rest.partition(":")[0]

    def _expose(self, rest: str) -> None:
        assert rest == "9877"

    def _healthcheck(self, rest: str) -> None:
        self.health_check = [self.here(word) for word in json.loads(rest.partition("CMD ")[2])]

    def _entrypoint(self, rest: str) -> None:
        self.entrypoint = json.loads(rest)


def python_for_anybody() -> str:
    """A python of ours or a newer version that every user of this machine may run."""
    for candidate in (Path(sys.base_prefix) / "bin" / "python3", Path("/usr/bin/python3")):
        if candidate.exists() and all(
            p.stat().st_mode & 0o001 for p in candidate.resolve().parents
        ):
            asked = "import sys; sys.exit(sys.version_info < (3, 11))"
            if subprocess.run([str(candidate), "-c", asked], check=False).returncode == 0:
                return str(candidate)
    pytest.skip("every python here is in a folder that only its owner may enter")


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
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


def run_in(image: Image, command: list[str], **settings: str) -> "subprocess.Popen[bytes]":
    """Start something as the image's user, with what the image and the settings say."""
    program = shutil.which(command[0], path=image.environment["PATH"])
    assert program is not None
    return subprocess.Popen(
        [program, *command[1:]],
        env={**image.environment, **settings},
        cwd=image.here(image.workdir),
        user=int(image.user) if os.geteuid() == 0 else None,
        group=int(image.user) if os.geteuid() == 0 else None,
        extra_groups=[] if os.geteuid() == 0 else None,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def test_the_image_holds_the_exporter_and_nothing_of_the_tests(
    image: Image, record_property: Callable[[str, object], None]
) -> None:
    files = [path for path in image.root.rglob("*") if path.is_file() and not path.is_symlink()]
    record_property(
        "MiB in the image, without Python's own", sum(f.stat().st_size for f in files) >> 20
    )
    names = {path.name for path in files}
    assert {"devin-exporter", "healthcheck.py", "ledger.py"} <= names
    assert not {"conftest.py", "pytest", "ruff", "mypy", "pip"} & names
    assert not (image.root / "src").exists()
    given = {path.relative_to(image.given).parts[0] for path in image.given.rglob("*")}
    assert given == {
        "LICENSE", "README.md", "exporter", "pyproject.toml", "requirements-build.lock",
        "requirements.lock",
    }  # fmt: skip
    assert image.labels["org.opencontainers.image.version"] == __version__
    assert image.labels["org.opencontainers.image.revision"] == REVISION


def test_it_runs_as_an_ordinary_user_who_can_write_nothing(image: Image) -> None:
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
            with run_in(image, [*image.health_check, str(process.pid)]) as check:
                assert check.wait(HANG_SECONDS) == 0
            anywhere = "import pathlib, sys; pathlib.Path(sys.prefix, 'x').write_text('')"
            with run_in(image, ["python", "-c", anywhere]) as writing:
                assert writing.wait(HANG_SECONDS) == 1
            with run_in(image, [*image.entrypoint, "--version"]) as version:
                told, _ = version.communicate(timeout=HANG_SECONDS)
            assert told.decode().strip() == f"devin-exporter {__version__}"
        finally:
            process.terminate()
            assert process.wait(HANG_SECONDS) == 0
