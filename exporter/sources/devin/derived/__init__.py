"""Metrics that are computed from other data sets."""
