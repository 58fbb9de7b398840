"""PEM texts as files, as OpenSSL takes only paths."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_OPEN_FILES = Path("/proc/self/fd")


@contextmanager
def as_file(text: str) -> Iterator[str]:
    """The path of a file with this text that no other user can read."""
    descriptor = -1
    if _OPEN_FILES.exists() and hasattr(os, "memfd_create"):
        with suppress(OSError):
            descriptor = os.memfd_create("pem")
    if descriptor < 0:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            yield file.name
        return
    try:
        os.write(descriptor, text.encode())
        yield str(_OPEN_FILES / str(descriptor))
    finally:
        os.close(descriptor)
