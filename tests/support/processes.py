"""Starting the product as a process, as users do."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx

from tests.support import loopback
from tests.support.limits import HANG_SECONDS

EXPORTER = str(Path(sys.executable).with_name("devin-exporter"))
STARTED = b"Metrics: "
BETWEEN_LOOKS = threading.Event()
"""Never set: a process is looked at again and again, but not so often that it gets no work done."""


@dataclass
class Running:
    """A process of the product and what it printed."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path
    started: float
    simulated_api: str = ""

    def get(self, path: str = "/metrics", **headers: str) -> httpx.Response:
        """Ask it."""
        return loopback.get(self.url + path, headers=headers)

    def until(self, text: str, *, path: str = "/metrics") -> str:
        """Ask until a page holds a text."""
        deadline = time.monotonic() + HANG_SECONDS
        while time.monotonic() < deadline:
            page = self.get(path).text
            if text in page:
                return page
            BETWEEN_LOOKS.wait(0.05)
        raise AssertionError(f"{path} never held {text!r}; log:\n{self.log.read_text()}")

    def end(self) -> int:
        """Send SIGTERM and give the exit status."""
        self.process.terminate()
        return self.process.wait(HANG_SECONDS)


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The machine's environment with these settings."""
    return {**os.environ, "WEB_LISTEN_ADDRESS": "127.0.0.1:0", **settings}


def finished(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the product until it ends by itself."""
    return subprocess.run(
        [EXPORTER, *arguments],
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )


def _address(printed: IO[bytes], word: bytes) -> str:
    for line in printed:
        if line.startswith(word):
            return line.removeprefix(word).decode().strip()
    raise AssertionError(f"nothing printed begins with {word!r}")


@contextmanager
def running(
    folder: Path, *arguments: str, command: Sequence[str] = (EXPORTER,), **settings: str
) -> Iterator[Running]:
    """Run the product beside a test; killed at the end if the test has not ended it."""
    log = folder / "log"
    started = time.monotonic()
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            [*command, *arguments],
            env=environment(settings),
            stdout=subprocess.PIPE,
            stderr=errors,
        ) as process,
    ):
        assert process.stdout is not None
        try:
            api = _address(process.stdout, b"Simulated API: ") if "demo" in arguments else ""
            metrics = _address(process.stdout, STARTED)
            yield Running(process, metrics.removesuffix("/metrics"), log, started, api)
        finally:
            if process.poll() is None:
                process.kill()
