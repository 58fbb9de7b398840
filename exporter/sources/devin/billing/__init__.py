"""Billing cycles and the windows that end with them."""
