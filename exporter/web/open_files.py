"""The limit on open files, and the share of it that connections may use."""

import resource
from contextlib import suppress

MOST_CONNECTIONS = 512


def raise_open_files() -> None:
    """Raise the soft limit on open files to the hard limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # A system may have a lower limit than it reports; the present one stays then.
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def most_connections() -> int:
    """The most open connections that leave file descriptors for the polls."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(1, min(MOST_CONNECTIONS, files // 4))
