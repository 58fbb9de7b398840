"""Processes that end together: each in a group of its own, with all that it starts itself."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
LOOK_AGAIN_SECONDS = 0.05
PATIENCE_SECONDS = 10
LAST_LINES = 8


class EndedError(Exception):
    """It is time to end: a signal came, or the process that all is about has ended."""


class FailedError(Exception):
    """Something could not be had, in a sentence."""


def say(line: str) -> None:
    """Print a line.

    Raises:
        EndedError: if nobody reads any more.
    """
    try:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    except OSError:
        raise EndedError from None


class Signals:
    """Remembers that a signal asked to end, from when it is made until the process has ended.

    It raises nothing by itself: an exception out of nowhere could come between the start of a
    process and the note of it.
    """

    def __init__(self) -> None:
        self.heard = False
        for number in ENDING:
            ignored_by_nohup = signal.getsignal(number) is signal.SIG_IGN
            if not (number is signal.SIGHUP and ignored_by_nohup):
                signal.signal(number, self._hear)

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        self.heard = True


@dataclass(slots=True)
class Process:
    """One process, and what it printed."""

    name: str
    popen: subprocess.Popen[bytes]
    output: Path
    errors: Path
    watched: bool = False

    @property
    def has_ended(self) -> bool:
        """Whether it has."""
        return self.popen.poll() is not None

    def last_lines(self) -> str:
        """The end of what it said."""
        said = self.errors.read_text(errors="replace") + self.output.read_text(errors="replace")
        return "\n".join(said.strip().splitlines()[-LAST_LINES:])

    def signal_all(self, number: signal.Signals) -> None:
        """Send a signal to it and to what it has started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.popen.pid, number)


class Processes:
    """What was started and is ended at the end, however that comes.

    Args:
        folder: for what the processes print.
    """

    def __init__(self, signals: Signals, folder: Path) -> None:
        self._signals = signals
        self._folder = folder
        self._started: list[Process] = []
        self._main: Process | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end(*self._started)

    def start(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        name: str = "",
        errors_to_terminal: bool = False,
    ) -> Process:
        """Start a program.

        Raises:
            FailedError: if it cannot be started.
            EndedError: if it is time to end.
        """
        self.look()
        output = self._folder / f"{len(self._started)}.out"
        errors = output.with_suffix(".err")
        errors.touch()
        with output.open("wb") as printed, errors.open("wb") as complained:
            try:
                popen = subprocess.Popen(
                    command,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=printed,
                    stderr=None if errors_to_terminal else complained,
                    process_group=0,
                )
            except OSError as error:
                raise FailedError(f"{command[0]}: {error.strerror}") from None
        process = Process(name or Path(command[0]).name, popen, output, errors)
        self._started.append(process)
        return process

    def end_with(self, process: Process) -> None:
        """From now on it is time to end as soon as this one has ended."""
        self._main = process

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> str:
        """Run a program to its end, and give what it complained about.

        Raises:
            FailedError: if its exit status is not 0.
            EndedError: if it is time to end.
        """
        process = self.start(command, environment)
        self.until(lambda: process.has_ended)
        self._started.remove(process)
        process.signal_all(signal.SIGKILL)  # what it may have left
        if process.popen.returncode:
            raise FailedError(f"{' '.join(command[:3])} failed:\n{process.last_lines()}")
        return process.last_lines()

    def look(self) -> None:
        """Say which watched process has ended by itself.

        Raises:
            EndedError: if it is time to end.
        """
        if self._signals.heard or (self._main is not None and self._main.has_ended):
            raise EndedError
        for process in self._started:
            if process.watched and process.has_ended:
                process.watched = False
                say(f"{process.name}: ended by itself\n{process.last_lines()}")

    def until(self, happened: Callable[[], bool], *, seconds: float = float("inf")) -> bool:
        """Wait until something has happened; False if it did not within a time.

        Raises:
            EndedError: if it is time to end.
        """
        deadline = time.monotonic() + seconds
        while not happened():
            if time.monotonic() > deadline:
                return False
            self.look()
            time.sleep(LOOK_AGAIN_SECONDS)
        return True

    def end(self, *processes: Process) -> None:
        """End some processes, with all that they have started."""
        for process in processes:
            process.signal_all(signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE_SECONDS
        for process in processes:
            with suppress(subprocess.TimeoutExpired):
                process.popen.wait(max(0.0, deadline - time.monotonic()))
            process.signal_all(signal.SIGKILL)
            process.popen.wait()
        self._started = [each for each in self._started if each not in processes]
