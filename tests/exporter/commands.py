"""Running a command of the product in the test's own process, as `main` does in one of its own.

A start costs more than most commands do. What is about the process itself, its signals, streams
and end, is tested with `tests.support.processes`.
"""

import io
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from exporter.cli.run import run
from tests.support.limits import HANG_SECONDS
from tests.support.processes import environment

OURS = logging.getLogger("exporter")


def finished(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command until it ends by itself."""
    with (
        _environment(environment(settings)),
        _signals_and_turns(),
        _logs(),
        _captured("stdout") as printed,
        _captured("stderr") as errors,
    ):
        status = run(arguments)
    return subprocess.CompletedProcess(arguments, status, "".join(printed), "".join(errors))


@contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        yield


@contextmanager
def _signals_and_turns() -> Iterator[None]:
    """Interrupt a command that hangs, and restore the signals that it blocks, and its turns."""
    blocked, turn = signal.pthread_sigmask(signal.SIG_BLOCK, ()), sys.getswitchinterval()
    main = threading.main_thread().ident
    assert main is not None
    hung = threading.Timer(HANG_SECONDS, signal.pthread_kill, (main, signal.SIGINT))
    hung.start()
    try:
        yield
    finally:
        hung.cancel()
        hung.join()
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        sys.setswitchinterval(turn)


@contextmanager
def _logs() -> Iterator[None]:
    """Restore where the logs go; a command closes the handlers that it finds."""
    root = logging.getLogger()
    handlers, levels = root.handlers[:], (root.level, OURS.level)
    root.handlers.clear()
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(levels[0])
        OURS.setLevel(levels[1])


@contextmanager
def _captured(name: str) -> Iterator[list[str]]:
    """Take what is written to a standard stream, by its name or by its descriptor."""
    before = getattr(sys, name)
    descriptor = {"stdout": 1, "stderr": 2}[name]
    kept = os.dup(descriptor)
    written: list[str] = []
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), descriptor)
        stream = io.TextIOWrapper(os.fdopen(os.dup(descriptor), "wb"), "utf-8", write_through=True)
        setattr(sys, name, stream)
        try:
            yield written
        finally:
            stream.close()
            setattr(sys, name, before)
            os.dup2(kept, descriptor)
            os.close(kept)
            file.seek(0)
            written.append(file.read().decode())
