"""The web configuration: TLS, users, headers and rate limit, in the exporter-toolkit's format."""
