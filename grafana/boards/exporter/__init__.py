"""Exporter: its tasks, its requests, and its sources side by side."""
