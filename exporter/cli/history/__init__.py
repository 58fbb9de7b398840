"""The history of a source: as OpenMetrics for Prometheus, and as charges for finance."""
