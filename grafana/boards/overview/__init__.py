"""Overview: the figures of the range, and the newest sessions."""
