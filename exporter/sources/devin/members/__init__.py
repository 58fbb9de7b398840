"""Organizations, users and service users."""
