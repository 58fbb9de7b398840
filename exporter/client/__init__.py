"""The HTTP client for JSON APIs."""
