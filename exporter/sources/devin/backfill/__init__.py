"""Backfill: the history of finished days."""
