"""Tasks, when they run, and the store that keeps their results."""
