"""Files that are no files, each a private one in a test's own folder."""

import os
import stat
from pathlib import Path

import pytest

NULL, FULL = 3, 7
"""The minor numbers of the memory devices that swallow all and that take nothing."""


def memory_device(path: Path, minor: int) -> Path:
    """A device like `null` or `full`; the test does not run where it cannot be made or opened."""
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, minor))
        os.close(os.open(path, os.O_WRONLY))
    except PermissionError:
        pytest.skip("devices cannot be made here: that takes root and a folder that allows them")
    return path
