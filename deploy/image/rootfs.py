"""Puts Python, a virtual environment's packages and the libraries that both need into a folder.

`python rootfs.py VENV FOLDER`: the folder is then the whole file system of an image, without a
shell, pip or a package manager. The same input gives the same bytes, modes and times.
"""

import compileall
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path
from py_compile import PycInvalidationMode

EPOCH = 1_577_836_800
"""2020-01-01: the time of every file."""
LEFT_OUT = shutil.ignore_patterns(
    "__pycache__", "site-packages", "dist-packages", "test", "tests", "ensurepip", "idlelib",
    "lib2to3", "tkinter", "turtle*", "venv", "pydoc*", "config-*", "_test*", "_xx*",
    "_ctypes_test*", "_tkinter*",
)  # fmt: skip
OF_THE_INSTALLATION = shutil.ignore_patterns(
    "__pycache__", "RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "*.pth", "pip", "pip-*"
)
"""What pip writes beside the packages: it has paths of the build, and nobody reads it."""
NEEDED = re.compile(r"(?:=> )?(/\S+) \(0x")
MISSING = re.compile(r"(\S+) => not found")
USERS = "root:x:0:0::/:/none\nnobody:x:65534:65534::/var/lib/devin-exporter:/none\n"
PACKAGES = "usr/lib/devin-exporter"
"""Where every python finds them by PYTHONPATH: some are built to look elsewhere than others."""
LAUNCHER = "#!/usr/bin/python3\nimport sys\n\nfrom exporter.cli import main\n\nsys.exit(main())\n"


def main(arguments: Sequence[str] = tuple(sys.argv[1:])) -> None:
    """Fill the folder."""
    venv, root = map(Path, arguments)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    library = root / "usr" / "lib" / version
    shutil.copytree(sysconfig.get_path("stdlib"), library, ignore=LEFT_OUT, symlinks=True)
    shutil.copytree(
        venv / "lib" / version / "site-packages",
        root / PACKAGES,
        ignore=OF_THE_INSTALLATION,
    )
    programs = root / "usr" / "bin"
    programs.mkdir()
    interpreter = Path(sys.executable).resolve()
    shutil.copy2(interpreter, programs / version)
    for name in ("python3", "python"):
        (programs / name).symlink_to(version)
    (programs / "devin-exporter").write_text(LAUNCHER, encoding="utf-8")
    (programs / "devin-exporter").chmod(0o755)
    copy_libraries(root, [interpreter, *root.rglob("*.so"), *root.rglob("*.so.*")])
    write_etc(root / "etc")
    compile_all(root)
    make_equal(root)


def copy_libraries(root: Path, files: Sequence[Path]) -> None:
    """Copy what these files are linked with, to where the loader looks without a cache.

    Raises:
        SystemExit: naming a library that is not on this machine.
    """
    for library in sorted({each for file in files for each in linked_with(file)}):
        if library.is_relative_to(root):
            continue  # beside what needs it, in a package of its own
        is_loader = library.name.startswith("ld-linux")
        target = root / (str(library).lstrip("/") if is_loader else f"usr/lib/{library.name}")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(library.resolve(), target)


def linked_with(file: Path) -> Iterator[Path]:
    """The libraries that the loader would open for a file."""
    asked = subprocess.run(["ldd", file], capture_output=True, text=True, check=False)
    if missing := MISSING.search(asked.stdout):
        raise SystemExit(f"{file} needs {missing[1]}, which is not here")
    yield from (Path(path) for path in NEEDED.findall(asked.stdout))


def write_etc(folder: Path) -> None:
    """The few files that the C library and TLS read."""
    folder.mkdir()
    (folder / "passwd").write_text(USERS, encoding="utf-8")
    (folder / "group").write_text("root:x:0:\nnogroup:x:65534:\n", encoding="utf-8")
    (folder / "nsswitch.conf").write_text("hosts: files dns\n", encoding="utf-8")
    authorities = Path("/etc/ssl/certs/ca-certificates.crt")
    if authorities.exists():
        (folder / "ssl" / "certs").mkdir(parents=True)
        shutil.copy2(authorities, folder / "ssl" / "certs" / authorities.name)


def compile_all(root: Path) -> None:
    """Compile every module, as nothing can be written later."""
    compileall.compile_dir(
        root / "usr" / "lib",
        maxlevels=20,
        quiet=2,
        stripdir=str(root),
        prependdir="/",
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    )


def make_equal(root: Path) -> None:
    """Modes and times that do not depend on who builds, and when."""
    for path in (root, *sorted(root.rglob("*"))):
        if not path.is_symlink():
            is_program = path.parent == root / "usr" / "bin" or path.name.startswith("ld-linux")
            path.chmod(0o755 if path.is_dir() or is_program else 0o644)
        os.utime(path, (EPOCH, EPOCH), follow_symlinks=False)


if __name__ == "__main__":
    main()
