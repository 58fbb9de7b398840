"""The history of finished days."""
