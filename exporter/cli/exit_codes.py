"""Exit statuses of the commands."""

BAD_USAGE = 2
FAILED = 1
LACKING = 1
"""Exit status of `check` if not all enabled data sets can be read."""
INTERRUPTED = 130
