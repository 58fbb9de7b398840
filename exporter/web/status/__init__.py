"""The status of the exporter: as a page for people and as JSON."""
