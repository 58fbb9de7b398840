"""Billing cycles, and windows of time."""
