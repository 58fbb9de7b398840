"""How many files the process may open, and how many of them connections may use."""

import resource
from contextlib import suppress

MOST_CONNECTIONS = 512


def raise_open_files() -> None:
    """Raise the limit on open files as far as it may be raised."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Where the system has a lower limit of its own than it says, the present one stays.
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def most_connections() -> int:
    """How many connections may be open, so that the polls have files, too."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(1, min(MOST_CONNECTIONS, files // 4))
