"""The locks: complete, installed without resolving anything, and untouched by new releases."""

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from exporter.cli.catalogue import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PYTHONS = [
    classifier.rpartition(" ")[2]
    for classifier in PYPROJECT["project"]["classifiers"]
    if re.fullmatch(r"Programming Language :: Python :: 3\.\d+", classifier)
]
SYSTEMS = {
    "Linux": {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"},
    "macOS": {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix"},
    "Windows": {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt"},
}
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-build.lock")
PIPS = ["23.0.1", "23.2.1", "26.1"] if sys.version_info < (3, 12) else ["26.1"]
"""Debian 12's, Python 3.11's, and a recent one; the old ones do not run on newer Pythons."""
INSTALLS = re.compile(r"\bpip3?\b(?:\)|\s)(?:.*\s)?install\s|\$\(PIP\) install\s|\buv sync\b")
READ = (".md", ".sh", ".yml", ".yaml", ".service", ".toml")


@dataclass(frozen=True, slots=True)
class Locked:
    """A pin, and where it holds."""

    version: Version
    marker: Marker | None

    def is_for(self, environment: Mapping[str, str]) -> bool:
        """Whether it is installed in such an environment."""
        return self.marker is None or self.marker.evaluate(dict(environment))


def lock(name: str) -> dict[NormalizedName, Locked]:
    """What a lock lists, by canonical name."""
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    found = {}
    for line in text.splitlines():
        requirement = Requirement(line.partition(" --hash")[0])
        (pin,) = requirement.specifier
        assert pin.operator == "=="
        found[canonicalize_name(requirement.name)] = Locked(
            Version(pin.version), requirement.marker
        )
    return found


def groups(name: str) -> Iterator[str]:
    for entry in PYPROJECT["dependency-groups"][name]:
        if isinstance(entry, str):
            yield entry
        else:
            yield from groups(entry["include-group"])


ROOTS = {
    "requirements.lock": PYPROJECT["project"]["dependencies"],
    "requirements-dev.lock": [*PYPROJECT["project"]["dependencies"], *groups("dev")],
    "requirements-build.lock": [*groups("build"), *PYPROJECT["build-system"]["requires"]],
}
REQUIRED_BY = {
    canonicalize_name(each.metadata["Name"]): each.requires or [] for each in distributions()
}


def environments() -> Iterator[tuple[str, dict[str, str]]]:
    for python in PYTHONS:
        for name, system in SYSTEMS.items():
            yield (
                f"Python {python} on {name}",
                {
                    **{key: str(value) for key, value in default_environment().items()},
                    **system,
                    "python_version": python,
                    "python_full_version": f"{python}.0",
                    "implementation_version": f"{python}.0",
                },
            )


def unmet(name: str, environment: Mapping[str, str]) -> Iterator[str]:
    """Requirements that the lock does not meet, followed through what is installed here."""
    pins = lock(name)
    todo = [(Requirement(text), "pyproject.toml") for text in ROOTS[name]]
    seen: set[tuple[str, str]] = set()
    while todo:
        wanted, by = todo.pop()
        key = canonicalize_name(wanted.name)
        pin = pins.get(key)
        if pin is None or not pin.is_for(environment):
            yield f"{by} requires {wanted}, which is not locked"
            continue
        if not SpecifierSet(str(wanted.specifier), prereleases=True).contains(pin.version):
            yield f"{by} requires {wanted}; locked is {pin.version}"
        for extra in ("", *sorted(wanted.extras)):
            if (key, extra) in seen:
                continue
            seen.add((key, extra))
            for text in REQUIRED_BY.get(key, []):
                further = Requirement(text)
                if further.marker is None and extra:
                    continue
                if further.marker is None or further.marker.evaluate(
                    {**environment, "extra": extra}
                ):
                    todo.append((further, key))


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_all_that_is_required_on_each_supported_python_and_system(name: str) -> None:
    assert PYTHONS[:1] == ["3.11"]
    for where, environment in environments():
        assert list(unmet(name, environment)) == [], where


@pytest.mark.parametrize("name", LOCKS)
def test_what_is_installed_is_what_the_lock_says(name: str) -> None:
    pins = lock(name)
    here = {key: str(value) for key, value in default_environment().items()}
    versions = {canonicalize_name(d.metadata["Name"]): Version(d.version) for d in distributions()}
    for key, pin in pins.items():
        if pin.is_for(here):
            assert versions[key] == pin.version, key
    assert set(versions) - {"devin-exporter"} <= set(lock("requirements-dev.lock")) | {"pip"}


def test_a_package_in_two_locks_has_one_version() -> None:
    everything = lock("requirements-dev.lock")
    for name in LOCKS:
        for key, pin in lock(name).items():
            if key in everything:
                assert everything[key].version == pin.version, key


def install_steps() -> Iterator[tuple[str, str]]:
    """Each line of the project that installs Python packages, with where it stands."""
    files = [ROOT / "Makefile", ROOT / "deploy" / "Dockerfile", *ROOT.glob("*.md")]
    for folder in ("deploy", "docs", "tests", ".github"):
        files += [path for path in (ROOT / folder).rglob("*") if path.suffix in READ]
    for path in sorted(files):
        for line in path.read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
            if INSTALLS.search(line) and not line.lstrip().startswith("#"):
                yield str(path.relative_to(ROOT)), line.strip()


def test_no_install_step_resolves_anything() -> None:
    steps = list(install_steps())
    assert {"Makefile", "deploy/Dockerfile"} <= {place for place, _ in steps}
    for place, line in steps:
        assert "--no-deps" in line, f"{place}: {line}"
        assert "--require-hashes" in line or "--no-index" in line, f"{place}: {line}"


def pip_of(version: str, folder: Path) -> dict[str, str]:
    """An environment in which `python -m pip` is this version."""
    place = folder / version
    wheels = place / "wheel"
    download = ["download", "--quiet", "--no-deps", "--dest", str(wheels), f"pip=={version}"]
    fetch(download)
    with zipfile.ZipFile(next(wheels.glob("*.whl"))) as archive:
        archive.extractall(place / "pip")
    environment = {**os.environ, "PYTHONPATH": str(place / "pip")}
    asked = pip(environment, "--version")
    assert f"pip {version} " in asked.stdout
    return environment


def pip(environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    python = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
    return subprocess.run(
        [str(python), "-m", "pip", *arguments],
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
    )


def fetch(arguments: list[str]) -> None:
    fetched = pip(os.environ, *arguments)
    if fetched.returncode:
        pytest.skip(f"the package index cannot be reached: {fetched.stderr.strip()[-200:]}")


def pretend(folder: Path, name: str, version: str) -> None:
    """A wheel of a release that does not exist."""
    stem = f"{name.replace('-', '_')}-{version}"
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as wheel:
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        wheel.writestr(f"{stem}.dist-info/METADATA", metadata)
        tag = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr(f"{stem}.dist-info/WHEEL", tag)
        wheel.writestr(f"{stem}.dist-info/RECORD", "")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index with the locked releases, and a later one of all that is required with an extra."""
    folder = tmp_path_factory.mktemp("index")
    locked = str(ROOT / "requirements-dev.lock")
    fetch(["download", "-q", "--no-deps", "--require-hashes", "-r", locked, "-d", str(folder)])
    with_extra = {
        canonicalize_name(requirement.name)
        for requires in REQUIRED_BY.values()
        for requirement in map(Requirement, requires)
        if requirement.extras
    }
    newer = with_extra & set(lock("requirements-dev.lock"))
    assert "coverage" in newer
    for name in newer:
        pretend(folder, name, "9999.0")
    return folder


def install_command(target: str) -> list[str]:
    """What the Makefile calls pip with to install a lock."""
    printed = subprocess.run(
        ["make", "--dry-run", "--always-make", target],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = (line for line in printed.stdout.splitlines() if "--require-hashes" in line)
    words = line.split()
    return words[words.index("install") :]


@pytest.mark.parametrize("version", PIPS)
def test_later_releases_on_the_index_change_nothing(
    index: Path, tmp_path: Path, version: str
) -> None:
    environment = {
        **pip_of(version, tmp_path),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(index),
        "PIP_CONFIG_FILE": os.devnull,
    }
    report = tmp_path / "report.json"
    command = install_command(".venv/dev.stamp")
    ran = pip(environment, *command, "--dry-run", "--ignore-installed", "--report", str(report))
    assert ran.returncode == 0, ran.stderr
    chosen = {
        canonicalize_name(each["metadata"]["name"]): Version(each["metadata"]["version"])
        for each in json.loads(report.read_text(encoding="utf-8"))["install"]
    }
    here = {key: str(value) for key, value in default_environment().items()}
    assert chosen == {
        key: pin.version for key, pin in lock("requirements-dev.lock").items() if pin.is_for(here)
    }
