"""Settings, keys and their files, TLS, proxies and the log format."""
