"""How long the tests wait."""

HANG_SECONDS = 600
"""Bounds what hangs, never what is slow: nothing that works takes so long on a busy machine."""
