"""Prints for people, and handles streams that cannot be written."""

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from io import TextIOWrapper

STANDARD_DESCRIPTORS = (0, 1, 2)


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
