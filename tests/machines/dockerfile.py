"""The Dockerfile, replayed step by step without a container engine.

Only what `.dockerignore` lets through is there; each stage has a folder of its own in which the
image's paths stand.
"""

import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from exporter.cli.catalogue import ROOT

DOCKERFILE = ROOT / "deploy" / "Dockerfile"
IGNORED = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
OF_THE_IMAGE = re.compile(r"(?<![\w./-])/(opt|rootfs|src|state|usr|var)(?=/|$|\s)")


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
        words = [word for word in rest.split() if not word.startswith(("--chmod=", "--chown="))]
        source_root = self.given
        if words[0].startswith("--from="):
            source_root = self.earlier[words.pop(0).removeprefix("--from=")]
        *sources, target = words
        into = target if target.startswith("/") else f"{self.workdir}/{target}"
        for source in sources:
            file = source_root / source.lstrip("/")
            place = Path(self.here(into.rstrip("/"))) if into != "/" else self.root
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
            outer = Path(sys.base_prefix) / "bin" / "python3"  # with pip, as the image's
            (folder / "python").write_text(f'#!/bin/sh\nexec {outer} "$@"\n')
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
