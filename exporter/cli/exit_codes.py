"""Exit statuses of the commands."""

BAD_USAGE = 2
FAILED = 1
LACKING = 1
"""Of `check`: not all enabled metrics can be fed."""
INTERRUPTED = 130
