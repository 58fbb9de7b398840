"""Prints for people, and handles streams that cannot be written."""

import os
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from io import TextIOWrapper

from tqdm import tqdm

STANDARD_DESCRIPTORS = (0, 1, 2)
LOOK_SECONDS = 1.0


class PrintError(Exception):
    """The result of a command cannot be printed to standard output."""


def prepare_standard_streams() -> None:
    """Keep encodings from raising errors, and sockets from taking descriptors of closed streams."""
    for descriptor in STANDARD_DESCRIPTORS:
        try:
            os.fstat(descriptor)
        except OSError:
            with suppress(OSError):
                os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


def echo(line: str) -> None:
    """Print a line to standard error; it is lost if that cannot be written."""
    _print_if_possible(line, to_errors=True)


def announce(line: str) -> None:
    """Print a line to standard output; it is lost if that cannot be written."""
    _print_if_possible(line, to_errors=False)


def print_result(lines: Iterable[str]) -> None:
    """Print lines to standard output.

    Raises:
        PrintError: if standard output cannot be written.
    """
    if sys.stdout is None:
        raise PrintError("standard output: is closed")
    try:
        sys.stdout.writelines(f"{line}\n" for line in lines)
        sys.stdout.flush()
    except OSError as failure:
        raise PrintError(f"standard output: {failure.strerror}") from None


def _print_if_possible(line: str, *, to_errors: bool) -> None:
    stream = sys.stderr if to_errors else sys.stdout
    if stream is not None:
        with suppress(OSError):
            stream.write(f"{line}\n")
            stream.flush()


class FirstRound:
    """A line on a terminal that shows how far the first round of requests has come.

    It is shown until everybody has been requested once, or until it is stopped.

    Args:
        look: the entities that were requested, and all that are known.
    """

    def __init__(self, look: Callable[[], tuple[int, int]]) -> None:
        self._look = look
        self._stopped = threading.Event()

    def start(self) -> None:
        """Show it if standard error is a terminal."""
        if sys.stderr is not None and sys.stderr.isatty():
            threading.Thread(target=self._show, name="progress", daemon=True).start()

    def stop(self) -> None:
        """Show it no longer."""
        self._stopped.set()

    def _show(self) -> None:
        with tqdm(unit=" entities", desc="first round", leave=False) as bar:
            while not self._stopped.wait(LOOK_SECONDS):
                bar.n, bar.total = self._look()
                bar.refresh()
                if bar.total and bar.n >= bar.total:
                    return
