"""Prometheus exporter for the usage and cost of AI engineers."""

__version__ = "0.1.0"
