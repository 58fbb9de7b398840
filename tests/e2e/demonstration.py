"""Starting `make demo` as a terminal does, and looking for what it leaves behind."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.limits import HANG_SECONDS
from tests.support.prometheus import ROOT

SMALL = {
    "DEMO_ORGANIZATIONS": "2",
    "DEMO_USERS": "10",
    "WEB_LISTEN_ADDRESS": "127.0.0.1:0",
}


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A demo that runs."""

    process: subprocess.Popen[str]
    folder: Path
    mark: str
    lines: list[str] = field(default_factory=list)

    def until(self, beginning: str) -> str:
        """Read what it prints until a line begins so; gives that line."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if line.strip().startswith(beginning):
                return line.strip()
        raise AssertionError(f"no line begins with {beginning!r}:\n" + "\n".join(self.lines))

    def links(self) -> dict[str, str]:
        """The list that it prints at last, by name."""
        self.until("Ctrl-C ends all of it.")
        found = (line.rpartition("  ") for line in self.lines if line.startswith("  "))
        return {name.strip(): url for name, _, url in found}

    def interrupt(self) -> int:
        """Send what Ctrl-C sends to all in the terminal's foreground; gives the exit status."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(HANG_SECONDS)

    def left_behind(self) -> list[str]:
        """Processes that it has started and files that it has made, which are still there."""
        processes = [
            path.with_name("cmdline").read_text().replace("\0", " ")
            for path in Path("/proc").glob("[0-9]*/environ")
            if self.mark in _read(path)
        ]
        return processes + [str(path) for path in self.folder.iterdir()]


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # it has just ended
        return ""


def executable(path: Path, text: str) -> None:
    """Make a program."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@contextmanager
def started(
    folder: Path, *, path: str, tools: Path, settings: Mapping[str, str] = SMALL
) -> Iterator[Demonstration]:
    """Run it in a session of its own, with a folder for temporary files of its own."""
    temporary = folder / "temporary"
    temporary.mkdir()
    mark = f"MARK_OF_A_TEST={uuid.uuid4()}"
    name, _, value = mark.partition("=")
    environment = {**os.environ, **settings, "PATH": path, "TMPDIR": str(temporary), name: value}
    with subprocess.Popen(
        [sys.executable, "-m", "deploy.demo", tools],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield Demonstration(process, temporary, mark)
        finally:
            process.terminate()
