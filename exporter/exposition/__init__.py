"""Samples to bytes: the metrics page and OpenMetrics history."""
