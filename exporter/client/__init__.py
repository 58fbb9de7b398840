"""The one client for JSON APIs."""
