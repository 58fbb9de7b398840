"""Samples to bytes: the metrics page, and OpenMetrics text for a backfill."""
